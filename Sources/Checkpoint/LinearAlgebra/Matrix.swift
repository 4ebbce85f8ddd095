/// A dense matrix in Float64, each column contiguous.
///
/// Everything that is computed with it goes in one fixed order, without fused operations, so that the
/// same numbers give the same bytes on every CPU.
public struct Matrix: Sendable, Equatable {
  public let rows: Int
  public let columns: Int
  /// Column after column.
  var values: [Double]

  /// Zeros.
  public init(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    values = [Double](repeating: 0, count: rows * columns)
  }

  /// Numbers in C order, as tensors hold them.
  public init(rows: Int, columns: Int, inRows numbers: [Double]) {
    self.init(inRows: numbers, width: columns, columns: 0..<columns)
  }

  /// Some columns of a matrix of that width, whose numbers are in C order.
  public init(inRows numbers: [Double], width: Int, columns range: Range<Int>) {
    let rows = width == 0 ? 0 : numbers.count / width
    self.init(rows: rows, columns: range.count)
    for column in 0..<range.count {
      for row in 0..<rows {
        values[column * rows + row] = numbers[row * width + range.lowerBound + column]
      }
    }
  }

  public subscript(row: Int, column: Int) -> Double {
    get { values[column * rows + row] }
    set { values[column * rows + row] = newValue }
  }

  /// The numbers in C order.
  public var inRows: [Double] { transposed().values }

  public func transposed() -> Matrix {
    var result = Matrix(rows: columns, columns: rows)
    for column in 0..<columns {
      for row in 0..<rows { result[column, row] = self[row, column] }
    }
    return result
  }

  /// The first columns.
  public func leading(_ count: Int) -> Matrix {
    var result = Matrix(rows: rows, columns: count)
    result.values = Array(values.prefix(rows * count))
    return result
  }

  /// The product of the two.
  public func times(_ other: Matrix) -> Matrix {
    var result = Matrix(rows: rows, columns: other.columns)
    unsafe result.values.withUnsafeMutableBufferPointer { target in
      unsafe values.withUnsafeBufferPointer { source in
        guard let target = target.baseAddress, let source = source.baseAddress else { return }
        for column in 0..<other.columns {
          for inner in 0..<columns {
            unsafe Columns.add(
              source + inner * rows, times: other[inner, column], to: target + column * rows, rows)
          }
        }
      }
    }
    return result
  }

  /// The largest magnitude.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` where a number is infinite or none.
  func largest() throws(CheckpointError) -> Double {
    var largest = 0.0
    for (index, value) in values.enumerated() {
      guard value.isFinite else {
        throw CheckpointError(
          .unsupported, Place(),
          "row \(index % rows), column \(index / rows) is \(value); only finite numbers can be decomposed"
        )
      }
      largest = max(largest, value.magnitude)
    }
    return largest
  }
}

/// What is done with columns of `count` numbers; whoever calls holds that many behind each pointer.
enum Columns {
  /// Σ xᵢ·yᵢ, in four partial sums.
  @inline(__always)
  static func dot(
    _ x: UnsafePointer<Double>, _ y: UnsafePointer<Double>, _ count: Int
  ) -> Double {
    var sums = SIMD4<Double>.zero
    let whole = count & ~3
    for index in stride(from: 0, to: whole, by: 4) {
      unsafe sums += load(x + index) * load(y + index)
    }
    var sum = (sums[0] + sums[1]) + (sums[2] + sums[3])
    for index in whole..<count { unsafe sum += x[index] * y[index] }
    return sum
  }

  /// Adds factor · x to y.
  @inline(__always)
  static func add(
    _ x: UnsafePointer<Double>, times factor: Double, to y: UnsafeMutablePointer<Double>,
    _ count: Int
  ) {
    let whole = count & ~3
    for index in stride(from: 0, to: whole, by: 4) {
      unsafe store(load(y + index) + load(x + index) * factor, y + index)
    }
    for index in whole..<count { unsafe y[index] += x[index] * factor }
  }

  /// Makes c·x − s·y of x, and s·x + c·y of y.
  @inline(__always)
  static func rotate(
    _ x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>, cosine c: Double,
    sine s: Double, _ count: Int
  ) {
    let whole = count & ~3
    for index in stride(from: 0, to: whole, by: 4) {
      let (a, b) = unsafe (load(x + index), load(y + index))
      unsafe store(a * c - b * s, x + index)
      unsafe store(a * s + b * c, y + index)
    }
    for index in whole..<count {
      let (a, b) = unsafe (x[index], y[index])
      unsafe x[index] = a * c - b * s
      unsafe y[index] = a * s + b * c
    }
  }

  @inline(__always)
  private static func load(_ x: UnsafePointer<Double>) -> SIMD4<Double> {
    unsafe UnsafeRawPointer(x).loadUnaligned(as: SIMD4<Double>.self)
  }

  @inline(__always)
  private static func store(_ values: SIMD4<Double>, _ x: UnsafeMutablePointer<Double>) {
    unsafe UnsafeMutableRawPointer(x).storeBytes(of: values, as: SIMD4<Double>.self)
  }
}
