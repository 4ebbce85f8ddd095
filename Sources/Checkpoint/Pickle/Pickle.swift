/// What a pickle says, as plain data: containers, numbers, text, and the calls that it asks for,
/// none of which is made.
///
/// Bytes and long texts stay where they are, as spans of the source.
struct Pickle: Sendable {
  /// A value; containers and calls are nodes, so that they can be shared and refer to themselves.
  enum Value: Sendable, Equatable {
    case none
    case bool(Bool)
    case int(Int)
    /// An integer beyond 64 bits.
    case largeInt
    case float(Double)
    case text(String)
    case node(Int)
  }

  enum Node: Sendable {
    case tuple([Value])
    case list([Value])
    case set([Value])
    case dictionary([Entry])
    case global(String)
    indirect case call(Call)
    /// An object that is kept outside the pickle, under this key.
    case persistent(Value)
    case bytes(Span)
    /// A text that is too long to be held before it is asked for.
    case longText(Span)
  }

  struct Entry: Sendable {
    var key: Value
    var value: Value
  }

  /// A call that would make an object, and what would be put into it.
  struct Call: Sendable {
    /// The function or class.
    var callee: Value
    /// A tuple.
    var arguments: Value
    var state: Value?
    var items: [Value] = []
    var entries: [Entry] = []
  }

  /// A run of bytes of the source.
  struct Span: Sendable, Equatable {
    var offset: Int
    var length: Int
  }

  let root: Value
  let nodes: [Node]
  /// Where the pickle lies.
  let source: PickleSource
  /// Where the byte after the pickle stands.
  let end: Int
  /// Operations that made it.
  let operations: Int
}

extension Pickle {
  func node(_ value: Value?) -> Node? {
    if case .node(let index)? = value { nodes[index] } else { nil }
  }

  /// The elements of a tuple or a list.
  func elements(_ value: Value?) -> [Value]? {
    switch node(value) {
    case .tuple(let values), .list(let values): values
    default: nil
    }
  }

  func entries(_ value: Value?) -> [Entry]? {
    if case .dictionary(let entries)? = node(value) { entries } else { nil }
  }

  func call(_ value: Value?) -> Call? {
    if case .call(let call)? = node(value) { call } else { nil }
  }

  /// The full name of a function, class or constant.
  func global(_ value: Value?) -> String? {
    if case .global(let name)? = node(value) { name } else { nil }
  }

  func int(_ value: Value?) -> Int? {
    if case .int(let number)? = value { number } else { nil }
  }

  func bool(_ value: Value?) -> Bool? {
    switch value {
    case .bool(let bool)?: bool
    case .int(let number)?: number != 0  // as protocol 2 of Python 2 and NumPy write it
    default: nil
    }
  }

  /// Text, also what Python 2 wrote as bytes.
  func text(_ value: Value?) -> String? {
    switch value {
    case .text(let text)?: return text
    default: break
    }
    switch node(value) {
    case .bytes(let span)?, .longText(let span)?:
      guard span.length <= Pickle.longestText, let bytes = try? source.bytes(span) else {
        return nil
      }
      return String(validating: bytes, as: UTF8.self)
    default: return nil
    }
  }

  /// Bytes of text that are taken into memory at most.
  private static let longestText = 16 << 20
}

/// Where a pickle lies.
enum PickleSource: Sendable {
  case file(FileSlice)
  /// Bytes that were unpacked; spans count from their start.
  case memory([UInt8])

  var reader: ByteReader {
    switch self {
    case .file(let slice): ByteReader(slice)
    case .memory(let bytes): ByteReader(bytes)
    }
  }

  func bytes(_ span: Pickle.Span) throws(CheckpointError) -> [UInt8] {
    switch self {
    case .file(let slice): return try slice.file.bytes(at: span.offset, count: span.length)
    case .memory(let bytes): return Array(bytes[span.offset..<(span.offset + span.length)])
    }
  }

  /// The bytes as a payload, lying in the file where that is possible.
  func payload(_ span: Pickle.Span) throws(CheckpointError) -> any Payload {
    switch self {
    case .file(let slice):
      return SlicePayload(try FileSlice(slice.file, offset: span.offset, length: span.length))
    case .memory: return BytesPayload(try bytes(span))
    }
  }
}
