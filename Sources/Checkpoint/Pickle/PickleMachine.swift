/// Reads a pickle: a stack machine that builds a ``Pickle`` and runs nothing.
///
/// Each operation makes at most one value, so memory is bounded by the number of operations, which
/// has a limit of its own; what is stated longer than the source is refused before it is read.
struct PickleMachine {
  private let source: PickleSource
  private var reader: ByteReader
  private var stack: [Pickle.Value] = []
  private var marks: [Int] = []
  /// Kept values; nearly every pickle numbers them in turn.
  private var memo: [Pickle.Value] = []
  private var otherMemo: [Int: Pickle.Value] = [:]
  private var nodes: [Pickle.Node] = []

  /// Operations at most; a tensor takes some 35.
  static let mostOperations = 5_000_000
  /// Bytes of a line of protocol 0.
  private static let longestLine = 1 << 16
  /// Bytes of text that are held at once.
  private static let longestText = 4096

  /// Reads the pickle at `offset`, or at the start of the source.
  static func read(_ source: PickleSource, at offset: Int? = nil) throws(CheckpointError) -> Pickle
  {
    var machine = PickleMachine(source: source)
    if let offset { try machine.reader.seek(offset) }
    return try machine.run()
  }

  private init(source: PickleSource) {
    self.source = source
    reader = source.reader
  }

  private mutating func run() throws(CheckpointError) -> Pickle {
    var left = PickleMachine.mostOperations
    while true {
      let at = reader.position
      let byte = try reader.u8()
      guard let opcode = PickleOpcode(rawValue: byte) else {
        throw reader.fail("\(byte) is no operation of a pickle", at: at)
      }
      if opcode == .stop {
        let root = try pop()
        return Pickle(
          root: root, nodes: nodes, source: source, end: reader.position,
          operations: PickleMachine.mostOperations - left)
      }
      left -= 1
      guard left > 0 else {
        throw reader.fail(
          "the pickle has more than \(PickleMachine.mostOperations) operations", at: at)
      }
      try perform(opcode, at: at)
    }
  }

  private mutating func perform(
    _ opcode: PickleOpcode, at: Int
  ) throws(CheckpointError) {
    switch opcode {
    case .stop: break
    case .proto:
      let version = try reader.u8()
      guard version <= 5 else { throw reader.fail("pickle protocol \(version) is unknown", at: at) }
    case .frame: try reader.need(reader.int(), for: "a frame")

    case .none: push(.none)
    case .yes: push(.bool(true))
    case .no: push(.bool(false))
    case .int, .long, .float: try pushNumber(opcode, at: at)
    case .binaryInt: push(.int(Int(Int32(bitPattern: try reader.u32()))))
    case .binaryInt1: push(.int(Int(try reader.u8())))
    case .binaryInt2: push(.int(Int(try reader.u16())))
    case .long1: try pushLong(Int(try reader.u8()))
    case .long4: try pushLong(Int(try reader.u32()))
    case .binaryFloat:
      reader.order = .big
      defer { reader.order = .little }
      push(.float(Double(bitPattern: try reader.u64())))

    case .string: try pushString(at: at)
    case .unicode: push(.text(try unescaped(line(), at: at)))
    case .binaryUnicode: try pushText(Int(try reader.u32()))
    case .shortBinaryUnicode: try pushText(Int(try reader.u8()))
    case .binaryUnicode8: try pushText(reader.int())
    case .binaryString, .binaryBytes: try pushBytes(Int(try reader.u32()))
    case .shortBinaryString, .shortBinaryBytes: try pushBytes(Int(try reader.u8()))
    case .binaryBytes8, .byteArray8: try pushBytes(reader.int())

    case .emptyTuple: push(.tuple([]))
    case .emptyList: push(.list([]))
    case .emptyDictionary: push(.dictionary([]))
    case .emptySet: push(.set([]))
    case .tuple: push(.tuple(try popMarked()))
    case .tuple1: push(.tuple(try popLast(1)))
    case .tuple2: push(.tuple(try popLast(2)))
    case .tuple3: push(.tuple(try popLast(3)))
    case .list: push(.list(try popMarked()))
    case .frozenSet: push(.set(try popMarked()))
    case .dictionary: push(.dictionary(try pairs(popMarked(), at: at)))
    case .append: try add(popLast(1), at: at)
    case .appends, .addItems: try add(popMarked(), at: at)
    case .setItem: try set(pairs(popLast(2), at: at), at: at)
    case .setItems: try set(pairs(popMarked(), at: at), at: at)

    case .mark: marks.append(stack.count)
    case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case .popMark: _ = try popMarked()
    case .duplicate: push(try top())

    case .put: try remember(lineNumber(at: at))
    case .binaryPut: try remember(Int(try reader.u8()))
    case .longBinaryPut: try remember(Int(try reader.u32()))
    case .memoize: try remember(memo.count + otherMemo.count)
    case .get: try recall(lineNumber(at: at), at: at)
    case .binaryGet: try recall(Int(try reader.u8()), at: at)
    case .longBinaryGet: try recall(Int(try reader.u32()), at: at)

    case .global: push(.global(try globalName()))
    case .stackGlobal:
      let names = try popLast(2)
      guard case .text(let module) = names[0], case .text(let name) = names[1] else {
        throw reader.fail("the name of a global is no text", at: at)
      }
      push(.global("\(module).\(name)"))
    case .reduce, .new:
      let parts = try popLast(2)
      try call(parts[0], parts[1], at: at)
    case .newWithKeywords:
      let parts = try popLast(3)
      try call(parts[0], parts[1], at: at, state: parts[2])
    case .instance:
      let name = try globalName()
      let arguments = try popMarked()
      push(.global(name))
      let callee = try pop()
      try call(callee, node(.tuple(arguments)), at: at)
    case .object:
      let parts = try popMarked()
      guard let callee = parts.first else { throw reader.fail("a class is expected", at: at) }
      try call(callee, node(.tuple(Array(parts.dropFirst()))), at: at)
    case .build: try build(pop(), at: at)

    case .persistent: push(.persistent(.text(try line())))
    case .binaryPersistent: push(.persistent(try pop()))
    case .extension1, .extension2, .extension4, .nextBuffer, .readOnlyBuffer:
      throw CheckpointError(
        .unsupported, reader.fail("").place.at(at),
        "the pickle refers to something outside the file (operation \(opcode.rawValue))")
    }
  }

  // MARK: The stack

  private mutating func push(_ value: Pickle.Value) { stack.append(value) }

  private mutating func push(_ node: Pickle.Node) { stack.append(self.node(node)) }

  private mutating func node(_ node: Pickle.Node) -> Pickle.Value {
    nodes.append(node)
    return .node(nodes.count - 1)
  }

  private func top() throws(CheckpointError) -> Pickle.Value {
    guard let value = stack.last, stack.count > marks.last ?? 0 else {
      throw reader.fail("the pickle takes a value where none is")
    }
    return value
  }

  private mutating func pop() throws(CheckpointError) -> Pickle.Value {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func popLast(_ count: Int) throws(CheckpointError) -> [Pickle.Value] {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw reader.fail("the pickle takes \(count) values where fewer are")
    }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popMarked() throws(CheckpointError) -> [Pickle.Value] {
    guard let mark = marks.popLast() else { throw reader.fail("the pickle has no mark here") }
    defer { stack.removeLast(stack.count - mark) }
    return Array(stack[mark...])
  }

  private mutating func remember(_ key: Int) throws(CheckpointError) {
    let value = try top()
    if key == memo.count, otherMemo[key] == nil {
      memo.append(value)
    } else if key < memo.count {
      memo[key] = value
    } else {
      otherMemo[key] = value
    }
  }

  private mutating func recall(_ key: Int, at: Int) throws(CheckpointError) {
    guard let value = key < memo.count ? memo[key] : otherMemo[key] else {
      throw reader.fail("the pickle recalls value \(key), which it has not kept", at: at)
    }
    push(value)
  }

  // MARK: Containers and calls

  private func pairs(
    _ values: [Pickle.Value], at: Int
  ) throws(CheckpointError) -> [Pickle.Entry] {
    guard values.count % 2 == 0 else { throw reader.fail("a key has no value", at: at) }
    return stride(from: 0, to: values.count, by: 2).map {
      Pickle.Entry(key: values[$0], value: values[$0 + 1])
    }
  }

  /// Changes the container on the top of the stack where it lies, without a copy of it.
  private mutating func change(
    at: Int, _ body: (inout Pickle.Node) -> Bool
  ) throws(CheckpointError) {
    guard case .node(let index) = try top(), body(&nodes[index]) else {
      throw reader.fail("the pickle puts something into a value that holds nothing", at: at)
    }
  }

  private mutating func add(_ values: [Pickle.Value], at: Int) throws(CheckpointError) {
    try change(at: at) { node in
      switch consume node {
      case .list(var list):
        node = .tuple([])
        list += values
        node = .list(list)
      case .set(var set):
        node = .tuple([])
        set += values
        node = .set(set)
      case .call(var call):
        node = .tuple([])
        call.items += values
        node = .call(call)
      case let other:
        node = other
        return false
      }
      return true
    }
  }

  private mutating func set(_ entries: [Pickle.Entry], at: Int) throws(CheckpointError) {
    try change(at: at) { node in
      switch consume node {
      case .dictionary(var dictionary):
        node = .tuple([])
        dictionary += entries
        node = .dictionary(dictionary)
      case .call(var call):
        node = .tuple([])
        call.entries += entries
        node = .call(call)
      case let other:
        node = other
        return false
      }
      return true
    }
  }

  private mutating func build(_ state: Pickle.Value, at: Int) throws(CheckpointError) {
    try change(at: at) { node in
      guard case .call(var call) = node, call.state == nil else { return false }
      call.state = state
      node = .call(call)
      return true
    }
  }

  private mutating func call(
    _ callee: Pickle.Value, _ arguments: Pickle.Value, at: Int, state: Pickle.Value? = nil
  ) throws(CheckpointError) {
    guard case .node(let index) = arguments, case .tuple = nodes[index] else {
      throw reader.fail("the arguments of a call are no tuple", at: at)
    }
    push(.call(Pickle.Call(callee: callee, arguments: arguments, state: state)))
  }

  private mutating func globalName() throws(CheckpointError) -> String {
    let module = try line()
    return try "\(module).\(line())"
  }

  // MARK: Numbers, bytes and text

  private mutating func pushLong(_ count: Int) throws(CheckpointError) {
    try reader.need(count, for: "an integer")
    guard count <= 8 else {
      try reader.skip(count)
      return push(.largeInt)
    }
    let raw = try reader.number(count)
    let unused = 64 - 8 * count  // the sign is the highest bit of what is there
    push(.int(count == 0 ? 0 : Int(Int64(bitPattern: raw << UInt64(unused)) >> Int64(unused))))
  }

  /// A number in digits, as protocol 0 has it.
  private mutating func pushNumber(
    _ opcode: PickleOpcode, at: Int
  ) throws(CheckpointError) {
    let text = try line()
    switch opcode {
    case .float:
      guard let value = Double(text) else { throw reader.fail("\"\(text)\" is no number", at: at) }
      push(.float(value))
    case .int where text == "00" || text == "01": push(.bool(text == "01"))
    default:
      let digits = text.hasSuffix("L") ? String(text.dropLast()) : text
      if let value = Int(digits) { return push(.int(value)) }
      guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2d })
      else { throw reader.fail("\"\(text.prefix(20))\" is no integer", at: at) }
      push(.largeInt)
    }
  }

  private mutating func pushBytes(_ count: Int) throws(CheckpointError) {
    let span = Pickle.Span(offset: reader.position, length: count)
    try reader.skip(count)
    push(.bytes(span))
  }

  private mutating func pushText(_ count: Int) throws(CheckpointError) {
    let span = Pickle.Span(offset: reader.position, length: count)
    guard count <= PickleMachine.longestText else {
      try reader.skip(count)
      return push(.longText(span))
    }
    // Python writes lone surrogates too; such a text is kept as bytes.
    let bytes = try reader.bytes(count)
    if let text = String(validating: bytes, as: UTF8.self) {
      push(.text(text))
    } else {
      push(.bytes(span))
    }
  }

  /// A quoted string of protocol 0 without escapes, which is all that names need.
  private mutating func pushString(at: Int) throws(CheckpointError) {
    let text = try line()
    guard text.utf8.count >= 2, let quote = text.first, quote == "'" || quote == "\"",
      text.last == quote
    else { throw reader.fail("a quoted string is expected", at: at) }
    let inner = text.dropFirst().dropLast()
    guard !inner.contains("\\") else {
      throw CheckpointError(
        .unsupported, reader.fail("").place.at(at), "a string of pickle protocol 0 has escapes")
    }
    push(.text(String(inner)))
  }

  /// Undoes `\uXXXX` and `\UXXXXXXXX`, the escapes of protocol 0.
  private func unescaped(_ text: String, at: Int) throws(CheckpointError) -> String {
    guard text.contains("\\") else { return text }
    var result = String.UnicodeScalarView()
    var rest = text.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      guard scalar == "\\", let kind = rest.first, kind == "u" || kind == "U" else {
        result.append(scalar)
        continue
      }
      let digits = rest.dropFirst().prefix(kind == "u" ? 4 : 8)
      guard digits.count == (kind == "u" ? 4 : 8),
        let code = UInt32(String(String.UnicodeScalarView(digits)), radix: 16),
        let value = UnicodeScalar(code)
      else { throw reader.fail("a text has a broken escape", at: at) }
      result.append(value)
      rest = rest.dropFirst(1 + digits.count)
    }
    return String(result)
  }

  /// The bytes up to the next line feed, as text.
  private mutating func line() throws(CheckpointError) -> String {
    let at = reader.position
    var bytes: [UInt8] = []
    while true {
      let byte = try reader.u8()
      if byte == 0x0a { break }
      bytes.append(byte)
      guard bytes.count <= PickleMachine.longestLine else {
        throw reader.fail("a line does not end", at: at)
      }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw reader.fail("a line is not UTF-8", at: at)
    }
    return text
  }

  private mutating func lineNumber(at: Int) throws(CheckpointError) -> Int {
    let text = try line()
    guard let number = Int(text), number >= 0 else {
      throw reader.fail("\"\(text.prefix(20))\" is no number of a kept value", at: at)
    }
    return number
  }
}

extension Place {
  /// The same place at another byte.
  fileprivate func at(_ offset: Int) -> Place {
    var copy = self
    copy.offset = offset
    return copy
  }
}
