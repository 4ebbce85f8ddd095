/// A = U · diag(σ) · Vᵀ with orthonormal columns in U and V and σ₁ ≥ σ₂ ≥ … ≥ 0.
///
/// One-sided Jacobi: pairs of columns are rotated until all are orthogonal to working precision; their
/// lengths are then the singular values, which makes small ones as exact as large ones. In every row of
/// pairs the longest remaining column comes first (de Rijk 1989). Sources: Demmel & Veselić, "Jacobi's
/// method is more accurate than QR", SIAM J. Matrix Anal. Appl. 13 (1992); Golub & Van Loan, Matrix
/// Computations, 8.6.3.
///
/// What is at or below σ₁ · n · 2⁻⁵² counts as zero and is returned as such; U is completed to
/// orthonormal columns there. In each column of U the first of the largest elements is positive, so that
/// signs are fixed where the values differ. Meant for up to a few hundred columns.
public struct SingularValueDecomposition: Sendable {
  /// U: `[rows, min(rows, columns)]`.
  public let left: Matrix
  /// σ, in descending order.
  public let values: [Double]
  /// V: `[columns, min(rows, columns)]`.
  public let right: Matrix

  /// How many values are not zero.
  public var rank: Int { values.count { $0 > 0 } }

  /// - Throws: ``CheckpointError`` of kind `unsupported` where a number is not finite.
  public init(_ matrix: Matrix) throws(CheckpointError) {
    let largest = try matrix.largest()
    let isWide = matrix.rows < matrix.columns
    var rotation = JacobiRotation(isWide ? matrix.transposed() : matrix, largest: largest)
    try rotation.orthogonalize()
    var (a, v) = rotation.sorted()
    values = rotation.normalize(&a)
    let count = values.count
    var u = isWide ? v : a
    var w = isWide ? a : v
    for column in 0..<count where SingularValueDecomposition.isNegative(u, column) {
      for row in 0..<u.rows { u[row, column] = -u[row, column] }
      for row in 0..<w.rows { w[row, column] = -w[row, column] }
    }
    (left, right) = (u, w)
  }

  /// Whether the first of the largest elements is negative.
  private static func isNegative(_ matrix: Matrix, _ column: Int) -> Bool {
    var largest = 0.0
    for row in 0..<matrix.rows where matrix[row, column].magnitude > largest.magnitude {
      largest = matrix[row, column]
    }
    return largest < 0
  }
}

/// The columns of a matrix on their way to orthogonality, and the rotations that led there.
private struct JacobiRotation {
  /// A · V, scaled.
  private var columns: Matrix
  private var rotations: Matrix
  /// The columns' squared lengths.
  private var squares: [Double]
  /// The power of two by which all was divided, so that no square overflows.
  private let scale: Double

  private static let epsilon = 0x1p-52
  /// Sweeps over all pairs; about ten suffice.
  private static let mostSweeps = 60

  init(_ matrix: Matrix, largest: Double) {
    let power = largest == 0 ? 1 : Double(sign: .plus, exponent: largest.exponent, significand: 1)
    columns = matrix
    columns.values = matrix.values.map { $0 / power }
    scale = power
    rotations = Matrix(rows: matrix.columns, columns: matrix.columns)
    for index in 0..<matrix.columns { rotations[index, index] = 1 }
    squares = []
  }

  mutating func orthogonalize() throws(CheckpointError) {
    for _ in 0..<JacobiRotation.mostSweeps where sweep() == 0 { return }
    throw CheckpointError(
      .unsupported, Place(),
      "the columns are not orthogonal after \(JacobiRotation.mostSweeps) sweeps of rotations")
  }

  /// Rotates every pair of columns that is not orthogonal, once; how many there were.
  private mutating func sweep() -> Int {
    let (rows, count) = (columns.rows, columns.columns)
    let tolerance = JacobiRotation.epsilon * Double(rows).squareRoot()
    var squares = [Double](repeating: 0, count: count)
    var rotated = 0
    unsafe columns.values.withUnsafeMutableBufferPointer { first in
      unsafe rotations.values.withUnsafeMutableBufferPointer { second in
        guard let a = first.baseAddress, let v = second.baseAddress else { return }
        func square(_ column: Int) -> Double {
          unsafe Columns.dot(a + column * rows, a + column * rows, rows)
        }
        for column in 0..<count { squares[column] = square(column) }
        // What is shorter than this is nothing but rounding.
        let noise = (squares.max() ?? 0) * (JacobiRotation.epsilon * JacobiRotation.epsilon / 4)
        for p in 0..<count {
          var longest = p
          for q in p..<count where squares[q] > squares[longest] { longest = q }
          if longest != p {
            squares.swapAt(p, longest)
            for row in 0..<rows { unsafe first.swapAt(p * rows + row, longest * rows + row) }
            for row in 0..<count { unsafe second.swapAt(p * count + row, longest * count + row) }
          }
          for q in (p + 1)..<count where squares[q] > noise {
            let (x, y) = unsafe (a + p * rows, a + q * rows)
            let product = unsafe Columns.dot(x, y, rows)
            let lengths = squares[p].squareRoot() * squares[q].squareRoot()
            guard product.magnitude > tolerance * lengths else { continue }
            rotated += 1
            let zeta = (squares[q] - squares[p]) / (2 * product)
            let root = zeta.magnitude + (1 + zeta * zeta).squareRoot()
            let tangent = zeta < 0 ? -1 / root : 1 / root
            let cosine = 1 / (1 + tangent * tangent).squareRoot()
            let sine = cosine * tangent
            unsafe Columns.rotate(x, y, cosine: cosine, sine: sine, rows)
            unsafe Columns.rotate(v + p * count, v + q * count, cosine: cosine, sine: sine, count)
            let change = tangent * product
            for (column, next) in [(p, squares[p] - change), (q, squares[q] + change)] {
              // Where much cancels, what is left must be measured again.
              squares[column] = next > 1e-6 * squares[column] ? next : square(column)
            }
          }
        }
      }
    }
    self.squares = squares
    return rotated
  }

  /// The columns and the rotations, longest column first.
  func sorted() -> (Matrix, Matrix) {
    let order = squares.indices.sorted {
      squares[$0] != squares[$1] ? squares[$0] > squares[$1] : $0 < $1
    }
    var (a, v) = (columns, rotations)
    for (target, source) in order.enumerated() {
      for row in 0..<a.rows { a[row, target] = columns[row, source] }
      for row in 0..<v.rows { v[row, target] = rotations[row, source] }
    }
    return (a, v)
  }

  /// Divides each column by its length, and completes those of no length; the lengths, unscaled.
  func normalize(_ a: inout Matrix) -> [Double] {
    let rows = a.rows
    var lengths = (0..<a.columns).map { column in
      (0..<rows).reduce(0) { $0 + a[$1, column] * a[$1, column] }.squareRoot()
    }
    let zero = (lengths.first ?? 0) * Double(a.columns) * JacobiRotation.epsilon
    for column in lengths.indices {
      if lengths[column] > zero {
        for row in 0..<rows { a[row, column] /= lengths[column] }
      } else {
        lengths[column] = 0
        JacobiRotation.complete(&a, column)
      }
    }
    return lengths.map { $0 * scale }
  }

  /// Makes the column a unit vector that is orthogonal to those before it.
  private static func complete(_ a: inout Matrix, _ column: Int) {
    // Of all axes the one that lies least in the space of the others.
    let shares = (0..<a.rows).map { row in
      (0..<column).reduce(0) { $0 + a[row, $1] * a[row, $1] }
    }
    guard let least = shares.indices.min(by: { shares[$0] < shares[$1] }) else { return }
    for row in 0..<a.rows { a[row, column] = row == least ? 1 : 0 }
    // Twice is enough (Golub & Van Loan, 5.2.8).
    for _ in 0..<2 {
      for other in 0..<column {
        let share = (0..<a.rows).reduce(0) { $0 + a[$1, other] * a[$1, column] }
        for row in 0..<a.rows { a[row, column] -= share * a[row, other] }
      }
      let length = (0..<a.rows).reduce(0) { $0 + a[$1, column] * a[$1, column] }.squareRoot()
      for row in 0..<a.rows { a[row, column] /= length }
    }
  }
}
