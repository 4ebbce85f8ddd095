/// Numbers that are computed in Float64, some rows at a time, when they are read.
struct RowsPayload: Payload {
  /// Indices of the first axis, and the elements behind each.
  let rows: Int
  let width: Int
  /// The type to which each number is rounded, once.
  let dtype: DType
  var overflow = Overflow.error
  let storage: String
  /// Whether what it is made of can be read in parts.
  let hasParts: Bool
  /// Memory for its operands while some rows are computed.
  let operandBytes: Int
  let make: @Sendable (Range<Int>) throws(CheckpointError) -> [Double]

  var byteCount: Int { dtype.byteCount(of: rows * width) }

  /// A result of moderate size is made at once: whoever turns it round would ask for every row
  /// again and again.
  var isWindowed: Bool { hasParts && byteCount > 48 << 20 }

  /// Float64 numbers of the operands and the result, and their bytes.
  var workingBytes: Int {
    operandBytes + (hasParts ? min(RowsPayload.step, rows * width) : rows * width) * 24
  }

  /// Elements that are computed at once.
  private static let step = 1 << 18

  /// The same numbers rounded to another type.
  func rounded(to dtype: DType, overflow: Overflow) -> RowsPayload {
    RowsPayload(
      rows: rows, width: width, dtype: dtype, overflow: overflow, storage: storage,
      hasParts: hasParts, operandBytes: operandBytes, make: make)
  }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0, width > 0 else { return }
    let size = dtype.size
    let end = offset + buffer.byteCount
    let last = min(rows, (end + width * size - 1) / (width * size))
    let step = hasParts ? max(1, RowsPayload.step / width) : rows
    var row = offset / (width * size)
    var target = 0
    while row < last {
      let part = row..<min(last, row + step)
      let values = try make(part)
      guard values.count == part.count * width else {
        throw CheckpointError(
          .damaged, Place(),
          "\(storage) made \(values.count) numbers where \(part.count * width) were expected")
      }
      let bytes = try encoded(values, from: row * width)
      let skipped = max(0, offset - row * width * size)
      let count = min(bytes.count - skipped, buffer.byteCount - target)
      // `count` bytes lie behind `skipped` in the one and behind `target` in the other.
      unsafe buffer.withUnsafeMutableBytes { to in
        unsafe bytes.withUnsafeBytes { from in
          unsafe UnsafeMutableRawBufferPointer(rebasing: to[target..<(target + count)])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: from[skipped..<(skipped + count)]))
        }
      }
      target += count
      row = part.upperBound
    }
  }

  private func encoded(_ values: [Double], from first: Int) throws(CheckpointError) -> [UInt8] {
    guard dtype != .f64 else { return Elements.encode(values, as: dtype) }
    return try overflow.encode(values, as: dtype) { index in
      CheckpointError(
        .unsupported, Place(),
        "element \(first + index) becomes \(values[index]), beyond the range of \(dtype.rawValue)",
        hint: "convert to a wider type first: --apply cast=f32")
    }
  }
}

extension Tensor {
  /// A Float64 tensor whose numbers are computed when they are read; ``cast(to:)`` rounds each once.
  ///
  /// - Parameters:
  ///   - operation: what is done, for people.
  ///   - operands: what it is made of; parts are computed where all of these can be read in parts.
  ///   - rows: the numbers of a range of the first axis, in C order.
  public static func computed(
    _ name: String, _ shape: Shape, operation: String, of operands: [Tensor],
    rows: @escaping @Sendable (Range<Int>) throws(CheckpointError) -> [Double]
  ) -> Tensor {
    let count = shape.extents.first ?? 1
    return Tensor(
      name: name, dtype: .f64, shape: shape,
      payload: RowsPayload(
        rows: count, width: count == 0 ? 0 : shape.count / count, dtype: .f64, storage: operation,
        hasParts: operands.allSatisfy {
          ($0.payload as? RowsPayload)?.hasParts ?? $0.payload.isWindowed
        },
        operandBytes: operands.reduce(0) { $0 + $1.payload.workingBytes }, make: rows))
  }

  /// The elements of a range of the first axis as `Double`.
  public func doubles(rows: Range<Int>) throws(CheckpointError) -> [Double] {
    let count = shape.extents.first ?? 1
    guard rows.lowerBound >= 0, rows.upperBound <= count else {
      throw CheckpointError(.mismatch, .tensor(name), "has \(count) rows, not \(rows)")
    }
    if let computed = payload as? RowsPayload, dtype == .f64 { return try computed.make(rows) }
    let width = count == 0 ? 0 : shape.count / count
    guard readsByRows, rows != 0..<count else {
      let values = try doubles()
      return rows == 0..<count
        ? values : Array(values[(rows.lowerBound * width)..<(rows.upperBound * width)])
    }
    do throws(CheckpointError) {
      var bytes = [UInt8](repeating: 0, count: rows.count * width * dtype.size)
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      try payload.read(at: rows.lowerBound * width * dtype.size, into: &raw)
      return Elements.decode(bytes, as: dtype)
    } catch {
      throw error.at(.tensor(name))
    }
  }
}
