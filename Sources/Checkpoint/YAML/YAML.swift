import CYAML

/// YAML 1.1 through libyaml, as the values of ``JSON``.
///
/// Plain scalars that JSON knows (`null` and `~`, `true`, `false`, numbers) are those values, all others
/// and whatever is quoted are strings; numbers keep their spelling.
public enum YAML {
  /// Values inside each other, and values in all, aliases counted as often as they stand.
  private static let deepest = 64
  private static let most = 100_000

  /// The one document in a file's bytes; nothing is `null`.
  ///
  /// - Throws: ``CheckpointError`` of kind `damaged` with the line, for what is no YAML, a key that is no
  ///   scalar or stands twice, and a second document.
  public static func parse(_ bytes: [UInt8]) throws(CheckpointError) -> JSON {
    var parser = unsafe yaml_parser_t()
    guard unsafe yaml_parser_initialize(&parser) == 1 else { throw damaged("cannot be read", 0) }
    defer { unsafe yaml_parser_delete(&parser) }
    // libyaml reads the bytes while documents are loaded, all inside the closure.
    let result = unsafe bytes.withUnsafeBufferPointer { buffer -> Result<JSON, CheckpointError> in
      unsafe yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
      do throws(CheckpointError) {
        let value = try unsafe document(&parser) ?? .null
        if try unsafe document(&parser) != nil { throw damaged("holds a second document", 0) }
        return .success(value)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// The next document's value, or `nil` at the end.
  private static func document(_ parser: inout yaml_parser_t) throws(CheckpointError) -> JSON? {
    var document = unsafe yaml_document_t()
    guard unsafe yaml_parser_load(&parser, &document) == 1 else {
      let reason = unsafe parser.problem.map { unsafe String(cString: $0) } ?? "not valid"
      throw damaged("not valid YAML: \(reason)", unsafe parser.problem_mark.line)
    }
    defer { unsafe yaml_document_delete(&document) }
    guard let root = unsafe yaml_document_get_root_node(&document) else { return nil }
    var count = 0
    return unsafe try value(root, &document, depth: 0, &count)
  }

  private static func value(
    _ node: UnsafeMutablePointer<yaml_node_t>, _ document: inout yaml_document_t, depth: Int,
    _ count: inout Int
  ) throws(CheckpointError) -> JSON {
    let line = unsafe node.pointee.start_mark.line
    count += 1
    guard depth < deepest, count < most else {
      throw damaged("holds too much, or itself", line)
    }
    switch unsafe node.pointee.type {
    case YAML_SCALAR_NODE:
      return unsafe scalar(node)
    case YAML_SEQUENCE_NODE:
      var values: [JSON] = []
      var item = unsafe node.pointee.data.sequence.items.start
      while let current = unsafe item, unsafe current < node.pointee.data.sequence.items.top {
        values.append(
          unsafe try child(current.pointee, &document, depth, &count, line))
        unsafe item = current + 1
      }
      return .array(values)
    case YAML_MAPPING_NODE:
      var members: [JSON.Member] = []
      var pair = unsafe node.pointee.data.mapping.pairs.start
      while let current = unsafe pair, unsafe current < node.pointee.data.mapping.pairs.top {
        guard let key = unsafe yaml_document_get_node(&document, current.pointee.key),
          unsafe key.pointee.type == YAML_SCALAR_NODE
        else { throw damaged("has a key that is no scalar", line) }
        let name = unsafe text(key)
        guard !members.contains(where: { $0.key == name }) else {
          throw damaged("has the key \"\(name)\" twice", unsafe key.pointee.start_mark.line)
        }
        members.append(
          .init(name, unsafe try child(current.pointee.value, &document, depth, &count, line)))
        unsafe pair = current + 1
      }
      return .object(members)
    default:
      throw damaged("holds a node without a value", line)
    }
  }

  private static func child(
    _ index: Int32, _ document: inout yaml_document_t, _ depth: Int, _ count: inout Int, _ line: Int
  ) throws(CheckpointError) -> JSON {
    guard let node = unsafe yaml_document_get_node(&document, index) else {
      throw damaged("holds a node without a value", line)
    }
    return unsafe try value(node, &document, depth: depth + 1, &count)
  }

  private static func text(_ node: UnsafeMutablePointer<yaml_node_t>) -> String {
    // libyaml has checked that the bytes are UTF-8, and tells how many they are.
    unsafe String(
      decoding: UnsafeBufferPointer(
        start: node.pointee.data.scalar.value, count: node.pointee.data.scalar.length),
      as: UTF8.self)
  }

  private static func scalar(_ node: UnsafeMutablePointer<yaml_node_t>) -> JSON {
    let text = unsafe text(node)
    guard unsafe node.pointee.data.scalar.style == YAML_PLAIN_SCALAR_STYLE else {
      return .string(text)
    }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .bool(true)
    case "false", "False", "FALSE": return .bool(false)
    default:
      let isNumber = text.utf8.first.map { $0 == 0x2d || (0x30...0x39).contains($0) } ?? false
      return isNumber && Double(text) != nil ? .literal(text) : .string(text)
    }
  }

  private static func damaged(_ reason: String, _ line: Int) -> CheckpointError {
    CheckpointError(.damaged, Place(member: "line \(line + 1)"), reason)
  }
}
