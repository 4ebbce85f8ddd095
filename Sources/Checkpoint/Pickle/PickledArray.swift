import Synchronization

/// NumPy's arrays and numbers inside a pickle.
///
/// Source: `array_reduce` and `array_setstate` of NumPy's `methods.c`, `_frombuffer` of its
/// `numeric.py`, and what Python 3 makes of bytes in protocol 2 (`_codecs.encode` of a text).
extension PickleTree {
  func array(
    _ call: Pickle.Call, _ name: String, _ arguments: [Pickle.Value]
  ) throws(CheckpointError) -> PickledValue? {
    switch name {
    case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct":
      // State: version, shape, element type, whether in Fortran order, bytes.
      guard let state = pickle.elements(call.state), state.count == 5,
        let extents = pickle.elements(state[1]), let fortran = pickle.bool(state[3])
      else { return nil }
      return try array(state[2], extents, fortranOrder: fortran, bytes: state[4])
    case "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer":
      guard arguments.count == 4, let extents = pickle.elements(arguments[2]),
        let order = pickle.text(arguments[3])
      else { return nil }
      return try array(arguments[1], extents, fortranOrder: order == "F", bytes: arguments[0])
    case "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar":
      guard arguments.count == 2,
        case .tensor(let tensor) = try array(
          arguments[0], [], fortranOrder: false, bytes: arguments[1])
      else { return nil }
      let bytes = try Tensor(
        name: "", dtype: tensor.dtype, shape: tensor.shape, payload: tensor.payload
      ).bytes()
      return .attribute(.numbers(tensor.dtype, shape: [], bytes: bytes))
    case "numpy.dtype": return .attribute(Attribute("", text: typeName(call) ?? name).value)
    default: return nil
    }
  }

  private func array(
    _ type: Pickle.Value, _ extents: [Pickle.Value], fortranOrder: Bool, bytes: Pickle.Value
  ) throws(CheckpointError) -> PickledValue {
    let (dtype, bigEndian): (DType, Bool)
    switch element(type) {
    case .number(let found, let order): (dtype, bigEndian) = (found, order)
    case .refused(let reason), .unreadable(let reason): return .unreadable(reason)
    }
    let shape = try Shape(checking: extents.map { pickle.int($0) ?? -1 })
    guard let data = try self.bytes(of: pickle.node(bytes)) else {
      return .unreadable("is an array whose bytes are kept in an unknown way")
    }
    let count = dtype.byteCount(of: shape.count)
    let stored = try data.payload(count)
    guard stored.byteCount == count else {
      throw CheckpointError(
        .damaged, Place(),
        "\(dtype.rawValue) \(shape) needs \(count) bytes, but \(stored.byteCount) are stored")
    }
    return .tensor(
      PickledTensor(
        dtype: dtype, shape: shape,
        payload: try NPYHeader.payload(
          dtype, shape, fortranOrder: fortranOrder, bigEndian: bigEndian, stored: stored)))
  }

  /// The element type that a `numpy.dtype` object stands for.
  private func element(_ value: Pickle.Value) -> NPYHeader.Element {
    guard let call = pickle.call(value), className(call) == "numpy.dtype" else {
      return .unreadable("has no element type that is known")
    }
    let first = pickle.elements(call.arguments)?.first
    if let name = pickle.global(first) {
      return PickleTree.small[name].map { .number($0, bigEndian: false) }
        ?? .unreadable("has elements of type \(name)")
    }
    guard let descr = typeName(call) else { return .unreadable("has no known element type") }
    return NPYHeader.element(descr)
  }

  /// The code of a `numpy.dtype` object with its byte order.
  private func typeName(_ call: Pickle.Call) -> String? {
    guard let code = pickle.text(pickle.elements(call.arguments)?.first) else { return nil }
    // State: version, byte order, subarray, names, fields, …
    let state = pickle.elements(call.state) ?? []
    if state.count > 3, state[3] != .none { return "V" }
    let order = state.count > 1 ? pickle.text(state[1]) ?? "" : ""
    return order + code
  }

  /// Types that the package ml_dtypes adds to NumPy.
  private static let small: [String: DType] = [
    "ml_dtypes.bfloat16": .bf16, "ml_dtypes.float8_e4m3fn": .f8_e4m3,
    "ml_dtypes.float8_e5m2": .f8_e5m2, "ml_dtypes.float8_e4m3fnuz": .f8_e4m3fnuz,
    "ml_dtypes.float8_e5m2fnuz": .f8_e5m2fnuz, "ml_dtypes.float8_e8m0fnu": .f8_e8m0,
  ]

  /// Bytes of a pickle, and how they are kept.
  struct Data {
    var source: PickleSource
    var span: Pickle.Span
    /// Whether each byte is a character of a UTF-8 text.
    var isText: Bool
    var known: [UInt8]?

    var stored: Int { known?.count ?? span.length }

    /// - Parameter count: bytes that are expected.
    func payload(_ count: Int) throws(CheckpointError) -> any Payload {
      if let known { return BytesPayload(known) }
      guard isText else { return try source.payload(span) }
      guard count <= span.length, span.length <= 2 * count else {
        throw CheckpointError(
          .damaged, Place(), "\(count) bytes cannot be told by \(span.length) bytes of text")
      }
      return Latin1Payload(source: source, span: span, byteCount: count)
    }
  }

  /// The bytes that a value stands for, or `nil` when it is something else.
  func bytes(of node: Pickle.Node?) throws(CheckpointError) -> Data? {
    switch node {
    case .bytes(let span): return Data(source: pickle.source, span: span, isText: false)
    case .call(let call):
      guard let name = pickle.global(call.callee), let arguments = pickle.elements(call.arguments)
      else { return nil }
      let isBytes = ["builtins.bytes", "__builtin__.bytes"].contains(name)
      let isArray = ["builtins.bytearray", "__builtin__.bytearray"].contains(name)
      let none = Pickle.Span(offset: 0, length: 0)
      if arguments.isEmpty, isBytes || isArray {
        return Data(source: pickle.source, span: none, isText: false, known: [])
      }
      if arguments.count == 1, isArray, case .bytes(let span)? = pickle.node(arguments[0]) {
        return Data(source: pickle.source, span: span, isText: false)
      }
      guard arguments.count == 2, name == "_codecs.encode" || isArray,
        ["latin1", "latin-1"].contains(pickle.text(arguments[1]))
      else { return nil }
      if case .text(let text) = arguments[0] {
        let bytes = text.unicodeScalars.compactMap { UInt8(exactly: $0.value) }
        guard bytes.count == text.unicodeScalars.count else { return nil }
        return Data(source: pickle.source, span: none, isText: false, known: bytes)
      }
      guard case .longText(let span)? = pickle.node(arguments[0]) else { return nil }
      return Data(source: pickle.source, span: span, isText: true)
    default: return nil
    }
  }
}

/// Bytes that are kept as a text of the characters U+0000 to U+00FF in UTF-8.
///
/// Where a byte stands can only be counted, so the last place is remembered: windows that follow
/// each other are read once.
final class Latin1Payload: Payload {
  let byteCount: Int
  private let source: PickleSource
  private let span: Pickle.Span
  private let cursor: Mutex<Cursor>

  private struct Cursor {
    /// Bytes told so far, and bytes of text that told them.
    var told = 0
    var taken = 0
  }

  private static let window = 1 << 18

  init(source: PickleSource, span: Pickle.Span, byteCount: Int) {
    self.source = source
    self.span = span
    self.byteCount = byteCount
    cursor = Mutex(Cursor())
  }

  var storage: String { "text" }
  var isWindowed: Bool { true }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(buffer.byteCount)
    let end = offset + buffer.byteCount
    try cursor.withLock { (cursor) throws(CheckpointError) in
      if cursor.told > offset { cursor = Cursor() }
      while cursor.told < end {
        let window = try source.bytes(
          Pickle.Span(
            offset: span.offset + cursor.taken,
            length: min(span.length - cursor.taken, Latin1Payload.window)))
        var index = 0
        while index < window.count, cursor.told < end {
          var byte = window[index]
          if byte >= 0x80 {
            guard byte == 0xc2 || byte == 0xc3 else { throw damaged }
            guard index + 1 < window.count else { break }
            guard window[index + 1] & 0xc0 == 0x80 else { throw damaged }
            byte = byte << 6 | window[index + 1] & 0x3f
            index += 1
          }
          if cursor.told >= offset { bytes.append(byte) }
          cursor.told += 1
          index += 1
        }
        guard index > 0 else { throw damaged }
        cursor.taken += index
      }
      guard end < byteCount || cursor.taken == span.length else { throw damaged }
    }
    try BytesPayload(bytes).read(at: 0, into: &buffer)
  }

  private var damaged: CheckpointError {
    CheckpointError(
      .damaged, Place(offset: span.offset),
      "the text does not tell the \(byteCount) bytes that the array needs")
  }
}
