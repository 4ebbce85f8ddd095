/// A node of TensorFlow's graph, as `TensorFlowOpLayer` of TensorFlow 2.1 to 2.3 keeps it.
enum TensorFlowNode {
  /// - Parameters:
  ///   - config: has `node_def`, a node as JSON, and `constants`, operands by place that are no tensors.
  /// - Throws: ``CheckpointError`` where that is no node.
  static func reader(
    _ config: KerasConfig, _ call: KerasCall<Int>
  ) throws(CheckpointError) -> OperationReader {
    var node = config["node_def"]
    if let text = node?.string { node = try? JSON(parsing: Array(text.utf8)) }
    guard let node, let op = node["op"]?.string else {
      throw config.error(
        "its node_def is no node as JSON, the form of TensorFlow 2.2 and 2.3", kind: .unsupported)
    }
    var tensors = call.inputs[...]
    var arguments: [KerasArgument<Int>] = []
    let constants = config["constants"]?.members ?? []
    let count = tensors.count + constants.count
    for place in 0..<count {
      if let constant = constants.first(where: { Int($0.key) == place }) {
        arguments.append(.constant(constant.value))
      } else if let tensor = tensors.popFirst() {
        arguments.append(.tensor(tensor))
      }
    }
    let attributes = (node["attr"]?.members ?? []).map { member in
      (name: member.key, argument: KerasArgument<Int>.constant(value(member.value)))
    }
    return OperationReader(
      name: op, arguments: arguments, keywords: attributes.filter { !["T", "N"].contains($0.name) })
  }

  /// `{"b": true}`, `{"i": "3"}`, `{"list": {"i": ["1"]}}`, `{"type": "DT_INT32"}`, `{"s": …}` in Base64.
  private static func value(_ attribute: JSON) -> JSON {
    guard let member = attribute.members?.first else { return .null }
    switch member.key {
    case "i": return member.value.string.map { .literal($0) } ?? member.value
    case "type":
      return .string((member.value.string ?? "").lowercased().replacing("dt_", with: ""))
    case "s":
      return .string(String(decoding: Base64.decoded(member.value.string ?? ""), as: UTF8.self))
    case "list":
      guard let inner = member.value.members?.first, let items = inner.value.array else {
        return .array([])
      }
      return .array(items.map { value(.object([.init(inner.key, $0)])) })
    default: return member.value
    }
  }

  /// `begin`, `end` and `strides` with their masks.
  static func slices(_ reader: OperationReader) throws(CheckpointError) -> [KerasSlice] {
    guard let begin = try reader.ints(1, "begin"), let end = try reader.ints(2, "end"),
      begin.count == end.count, begin.count <= 32
    else { throw reader.error("its begin and end do not fit") }
    let steps = try reader.ints(3, "strides") ?? Array(repeating: 1, count: begin.count)
    guard steps.count == begin.count, !steps.contains(0) else {
      throw reader.error("its strides are \(steps)")
    }
    func mask(_ name: String) throws(CheckpointError) -> Int { try reader.int(nil, name, default: 0) }
    let (noBegin, noEnd) = (try mask("begin_mask"), try mask("end_mask"))
    let (ellipsis, newAxis) = (try mask("ellipsis_mask"), try mask("new_axis_mask"))
    let shrink = try mask("shrink_axis_mask")
    return begin.indices.map { place in
      let bit = 1 << place
      if ellipsis & bit != 0 { return .ellipsis }
      if newAxis & bit != 0 { return .newAxis }
      if shrink & bit != 0 { return .index(begin[place]) }
      return .range(
        start: noBegin & bit != 0 ? nil : begin[place], stop: noEnd & bit != 0 ? nil : end[place],
        step: steps[place])
    }
  }
}
