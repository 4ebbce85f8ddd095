/// The triangular factor R of A = Q·R for a tall matrix that comes some rows at a time.
///
/// RᵀR = AᵀA, so whatever is asked of A's columns (lengths, angles, singular values) R answers too, in
/// columns × columns numbers however many rows there were. Each piece is taken in by Householder
/// reflections of R above the piece: the reflection for column k touches row k of R and the piece only.
/// Source: Golub & Van Loan, Matrix Computations, 5.1 and 5.2 (reflections), 6.5 (appending rows).
///
/// Magnitudes from 1e-150 to 1e150 are safe from overflow and underflow; weights are far inside.
public struct TriangularFactor: Sendable {
  private var factor: Matrix

  public init(columns: Int) { factor = Matrix(rows: columns, columns: columns) }

  /// Upper triangular, with a diagonal that is not negative.
  public var matrix: Matrix {
    var result = factor
    for row in 0..<factor.rows where factor[row, row] < 0 {
      for column in row..<factor.columns { result[row, column] = -factor[row, column] }
    }
    return result
  }

  /// Takes in further rows of A.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` where a number is not finite or huge.
  public mutating func append(_ piece: Matrix) throws(CheckpointError) {
    let largest = try piece.largest()
    guard largest < 1e150 else {
      throw CheckpointError(.unsupported, Place(), "holds \(largest), too large to be decomposed")
    }
    let (rows, columns) = (piece.rows, factor.columns)
    var below = piece.values
    unsafe below.withUnsafeMutableBufferPointer { buffer in
      guard let below = buffer.baseAddress else { return }
      for k in 0..<columns {
        let column = unsafe below + k * rows
        let squares = unsafe Columns.dot(column, column, rows)
        // Nothing to remove.
        guard squares > 0 else { continue }
        let old = factor[k, k]
        let length = (old * old + squares).squareRoot()
        let new = old > 0 ? -length : length
        // The reflection I − τ·v·vᵀ with v = (1, column / (old − new)).
        let tau = (new - old) / new
        let divisor = 1 / (old - new)
        for row in 0..<rows { unsafe column[row] *= divisor }
        factor[k, k] = new
        for other in (k + 1)..<columns {
          let target = unsafe below + other * rows
          let share = unsafe tau * (factor[k, other] + Columns.dot(column, target, rows))
          factor[k, other] -= share
          unsafe Columns.add(column, times: -share, to: target, rows)
        }
      }
    }
  }
}
