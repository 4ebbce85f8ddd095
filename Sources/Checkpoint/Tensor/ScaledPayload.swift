/// Elements times a factor, computed in Float64 when they are read.
struct ScaledPayload: Payload {
  let source: Tensor
  let factor: Double

  var byteCount: Int { source.byteCount }
  var storage: String { "scaled" }
  var isWindowed: Bool { source.payload.isWindowed }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    let size = source.dtype.size
    let start = offset / size * size
    let end = (offset + buffer.byteCount + size - 1) / size * size
    var bytes = [UInt8](repeating: 0, count: end - start)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try source.payload.read(at: start, into: &raw)
    let values: [Double] = Elements.decode(bytes, as: source.dtype)
    let scaled = Elements.encode(values.map { $0 * factor }, as: source.dtype)
    try BytesPayload(scaled).read(at: offset - start, into: &buffer)
  }
}

extension Tensor {
  /// Every element times `factor`, rounded once to the tensor's own type; blocks are decoded for it.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` for elements that are no real numbers.
  public func scaled(by factor: Double) throws(CheckpointError) -> Tensor {
    guard isCastable else {
      throw CheckpointError(
        .unsupported, .tensor(name), "holds \(dtype.rawValue), which has no floating-point product")
    }
    guard !dtype.isPacked, !dtype.isQuantized else { return try cast(to: .f32).scaled(by: factor) }
    return Tensor(
      name: name, aliases: [], dtype: dtype, shape: shape,
      payload: ScaledPayload(source: self, factor: factor))
  }
}
