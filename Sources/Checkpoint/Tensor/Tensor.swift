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

  public var byteCount: Int { dtype.byteCount(of: shape.count) }

  /// Memory that copying it takes, in bytes; an estimate.
  public var copyingBytes: Int {
    let window = payload.slice == nil ? Window.gathered : Window.copied
    return (payload.isWindowed ? min(window, byteCount) : byteCount) + payload.workingBytes
  }

  /// The same tensor under another name.
  public func renamed(_ name: String) -> Tensor {
    var copy = self
    copy.name = name
    return copy
  }

  /// All canonical bytes: little-endian, C order.
  public func bytes() throws(CheckpointError) -> [UInt8] {
    do throws(CheckpointError) {
      try checkLength()
      var bytes = [UInt8](repeating: 0, count: byteCount)
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      try payload.read(at: 0, into: &raw)
      if let checksum = payload.checksum {
        var state = ChecksumState(checksum.kind)
        state.update(raw.bytes)
        try state.check(checksum)
      }
      return bytes
    } catch {
      throw error.at(.tensor(name))
    }
  }

  /// Passes the canonical bytes to `body` piece by piece, in windows where the payload can be read in
  /// parts.
  ///
  /// Pieces hold whole elements and blocks. A checksum that the file states of them is checked.
  ///
  /// - Parameter window: memory that is used again, where many tensors are read.
  public func readWindows(
    through window: Window = Window(), _ body: (RawSpan) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      try checkLength()
      var state = payload.checksum.map { ChecksumState($0.kind) }
      let most =
        !payload.isWindowed
        ? byteCount
        : (payload.slice == nil ? Window.gathered : Window.copied) / dtype.size * dtype.size
      var position = 0
      while position < byteCount {
        let count = min(most, byteCount - position)
        try window.read(payload, at: position, count: count) { (bytes) throws(CheckpointError) in
          state?.update(bytes)
          try body(bytes)
        }
        position += count
      }
      try state?.check(payload.checksum)
    } catch {
      throw error.at(.tensor(name))
    }
  }

  /// Whether both have the same canonical bytes; checksums of both are checked.
  public func hasBytes(of other: Tensor) throws(CheckpointError) -> Bool {
    guard byteCount == other.byteCount else { return false }
    try other.checkLength()
    let window = Window()
    var state = other.payload.checksum.map { ChecksumState($0.kind) }
    var position = 0
    var isEqual = true
    try readWindows { (mine) throws(CheckpointError) in
      do throws(CheckpointError) {
        try window.read(other.payload, at: position, count: mine.byteCount) { theirs in
          state?.update(theirs)
          isEqual = isEqual && Window.equal(mine, theirs)
        }
      } catch {
        throw error.at(.tensor(other.name))
      }
      position += mine.byteCount
    }
    do throws(CheckpointError) {
      try state?.check(other.payload.checksum)
    } catch {
      throw error.at(.tensor(other.name))
    }
    return isEqual
  }

  func checkLength() throws(CheckpointError) {
    guard payload.byteCount == byteCount else {
      throw CheckpointError(
        .damaged, Place(),
        "holds \(payload.byteCount) bytes where \(dtype.rawValue) \(shape) needs \(byteCount)")
    }
  }

  /// All elements as `Float`, rounded to nearest where the stored type is wider.
  ///
  /// - Throws: ``CheckpointError`` for types whose elements are no real numbers that ckpt can decode.
  public func floats() throws(CheckpointError) -> [Float] {
    try checkDecodable()
    return Elements.decode(try bytes(), as: dtype)
  }

  /// All elements as `Double`; exact for every float type and for integers up to 2⁵³.
  public func doubles() throws(CheckpointError) -> [Double] {
    try checkDecodable()
    return Elements.decode(try bytes(), as: dtype)
  }

  private func checkDecodable() throws(CheckpointError) {
    guard !dtype.isComplex, dtype.isDecodable else {
      throw CheckpointError(
        .unsupported, .tensor(name), "elements of type \(dtype.rawValue) are no real numbers here")
    }
  }

  /// Elements transposed from `[rows, columns]` to `[columns, rows]`, computed when read; blocks,
  /// which run along the rows, are decoded for it.
  public func transposed() -> Tensor {
    guard shape.rank == 2 else { return self }
    guard !dtype.isPacked else { return cast(to: .f32).transposed() }
    return Tensor(
      name: name, aliases: aliases, dtype: dtype, shape: [shape[1], shape[0]],
      payload: StridedPayload.transposing(payload, shape: shape, size: dtype.size))
  }

  /// Whether it is a turned view of a matrix whose rows are this one's columns.
  public var liesByColumns: Bool {
    guard shape.rank == 2, shape[0] > 1, shape[1] > 1, let view = payload as? StridedPayload,
      view.shape == shape
    else { return false }
    return view.strides[0] < view.strides[1]
  }

  /// Whether ``cast(to:)`` to a float type has a meaning: floats of every width, and blocks that
  /// ckpt can decode.
  public var isCastable: Bool {
    dtype.isQuantized ? Quantization.decodes(dtype) : dtype.isFloat || dtype.isPacked
  }

  /// Whether ``cast(to:)`` can make `target`: any float, and blocks, which run along the last axis,
  /// for a matrix whose rows they fill.
  public func canBecome(_ target: DType) -> Bool {
    guard target.isQuantized else { return isCastable && target.isFloat }
    return Quantization.encodes(target) && dtype.isFloat && shape.rank >= 2
      && shape[shape.rank - 1] % target.block.elements == 0
  }

  /// Elements converted to another type, rounded to nearest even where that is a float, computed
  /// when read.
  ///
  /// - Parameter overflow: what becomes of finite values beyond the type's range.
  /// - Precondition: ``canBecome(_:)``.
  /// - Throws: ``CheckpointError`` on reading, when a finite value would become infinite and
  ///   `overflow` does not let it.
  public func cast(to target: DType, overflow: Overflow = .error) -> Tensor {
    guard target != dtype else { return self }
    // What is computed is rounded once, to the type that is asked for.
    if let computed = payload as? RowsPayload, dtype == .f64, !target.isQuantized, !target.isPacked
    {
      return Tensor(
        name: name, aliases: aliases, dtype: target, shape: shape,
        payload: computed.rounded(to: target, overflow: overflow))
    }
    // The same behind a turned view, so that turning it back leaves what was computed.
    if liesByColumns, !target.isQuantized, !target.isPacked, dtype == .f64,
      transposed().payload is RowsPayload
    {
      return transposed().cast(to: target, overflow: overflow).transposed()
    }
    return Tensor(
      name: name, aliases: aliases, dtype: target, shape: shape,
      payload: CastPayload(source: self, target: target, overflow: overflow))
  }
}
