/// A stored tensor: names, element type, shape, and where its bytes are.
public struct Tensor: Sendable {
  /// The name as the file spells it, unique within the checkpoint.
  public var name: String
  /// Other names of the same weights (tied tensors, a framework's second spelling).
  public var aliases: [String]
  public var dtype: DType
  public var shape: Shape
  public var payload: any Payload

  public init(
    name: String, aliases: [String] = [], dtype: DType, shape: Shape, payload: any Payload
  ) {
    self.name = name
    self.aliases = aliases
    self.dtype = dtype
    self.shape = shape
    self.payload = payload
  }

  /// A tensor of values made in memory.
  public init(name: String, shape: Shape, values: [Float]) {
    self.init(
      name: name, dtype: .f32, shape: shape,
      payload: BytesPayload(Elements.encode(values, as: .f32)))
  }

  public var byteCount: Int { shape.count * dtype.size }

  /// The same tensor under another name.
  public func renamed(_ name: String) -> Tensor {
    var copy = self
    copy.name = name
    return copy
  }

  /// All canonical bytes: little-endian, C order.
  public func bytes() throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    do throws(CheckpointError) {
      guard payload.byteCount == byteCount else {
        throw CheckpointError(
          .damaged, Place(),
          "holds \(payload.byteCount) bytes where \(dtype.rawValue) \(shape) needs \(byteCount)")
      }
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      try payload.read(at: 0, into: &raw)
    } catch {
      throw error.at(.tensor(name))
    }
    return bytes
  }

  /// All elements as `Float`, rounded to nearest where the stored type is wider.
  public func floats() throws(CheckpointError) -> [Float] {
    Elements.decode(try bytes(), as: dtype)
  }

  /// All elements as `Double`; exact for every float type and for integers up to 2⁵³.
  public func doubles() throws(CheckpointError) -> [Double] {
    Elements.decode(try bytes(), as: dtype)
  }

  /// Elements transposed from `[rows, columns]` to `[columns, rows]`, computed when read.
  public func transposed() -> Tensor {
    guard shape.rank == 2 else { return self }
    // Turned round twice, the stored bytes are copied as they are.
    let original = (payload as? TransposedPayload)?.source.payload
    return Tensor(
      name: name, aliases: aliases, dtype: dtype, shape: [shape[1], shape[0]],
      payload: original ?? TransposedPayload(source: self))
  }

  /// Elements converted to another float type, rounded to nearest even, computed when read.
  ///
  /// - Throws: ``CheckpointError`` on reading, when a finite value becomes infinite.
  public func cast(to target: DType) -> Tensor {
    guard target != dtype else { return self }
    return Tensor(
      name: name, aliases: aliases, dtype: target, shape: shape,
      payload: CastPayload(source: self, target: target))
  }
}
