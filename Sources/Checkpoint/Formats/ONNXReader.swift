/// Walks over a model's messages and collects its tensors.
///
/// A name that is taken, as sub-graphs may use their parents' and each other's, gets the path of
/// the nodes that lead to it before it. A graph's own tensors come before those of its sub-graphs.
struct ONNXReader {
  let file: File
  private(set) var tensors: [Tensor] = []
  private(set) var attributes: [Attribute] = []
  private(set) var unreadable: [Unreadable] = []
  /// The files with tensors' data beside the model, in the order of their first use.
  private(set) var externals: [File] = []
  private var names: Set<String> = []
  /// Where attributes stand, by name.
  private var places: [String: Int] = [:]

  /// Graphs inside graphs.
  private static let deepest = 64
  /// Bytes of numbers in an attribute of a Constant.
  private static let longest = 1 << 20

  init(_ file: File) { self.file = file }

  mutating func readModel(_ message: Protobuf) throws(CheckpointError) {
    var fields = message
    while let field = try fields.next() {
      switch field.number {
      case ONNX.ModelField.irVersion:
        try add("ir_version", number: field.value, in: fields)
      case ONNX.ModelField.modelVersion:
        try add("model_version", number: field.value, in: fields)
      case ONNX.ModelField.producerName: try add("producer_name", text: field.value, in: fields)
      case ONNX.ModelField.producerVersion:
        try add("producer_version", text: field.value, in: fields)
      case ONNX.ModelField.domain: try add("domain", text: field.value, in: fields)
      case ONNX.ModelField.docString: try add("doc_string", text: field.value, in: fields)
      case ONNX.ModelField.graph:
        try readGraph(fields.message(of: field.value), path: [])
      case ONNX.ModelField.opsetImport: try readOpset(fields.message(of: field.value))
      case ONNX.ModelField.metadata: try readProperty(fields.message(of: field.value))
      default: break
      }
    }
    var training = 0
    fields = message
    while let field = try fields.next() {
      if field.number == ONNX.ModelField.training {
        try readTraining(fields.message(of: field.value), "training.\(training)")
        training += 1
      } else if field.number == ONNX.ModelField.functions {
        try readFunction(fields.message(of: field.value))
      }
    }
  }

  // MARK: What the model says of itself

  /// Adds an attribute; of several values protocol buffers take the last.
  private mutating func add(_ attribute: Attribute) {
    if let index = places[attribute.name] {
      attributes[index] = attribute
    } else {
      places[attribute.name] = attributes.count
      attributes.append(attribute)
    }
  }

  private mutating func add(
    _ name: String, number value: Protobuf.Value, in message: Protobuf
  ) throws(CheckpointError) {
    guard case .varint(let number) = value else { throw message.fail("\(name) is no number") }
    var bytes: [UInt8] = []
    bytes.append(little: number)
    add(Attribute(name, .numbers(.i64, shape: [], bytes: bytes)))
  }

  private mutating func add(
    _ name: String, text value: Protobuf.Value, in message: Protobuf
  ) throws(CheckpointError) {
    add(Attribute(name, text: try message.text(of: value)))
  }

  /// `opset_import` without a domain, and `opset_import.DOMAIN`.
  private mutating func readOpset(_ message: Protobuf) throws(CheckpointError) {
    var message = message
    var domain = ""
    var version: Protobuf.Value = .varint(0)
    while let field = try message.next() {
      if field.number == 1 { domain = try message.text(of: field.value) }
      if field.number == 2 { version = field.value }
    }
    try add(
      domain.isEmpty ? "opset_import" : "opset_import.\(domain)", number: version, in: message)
  }

  private mutating func readProperty(_ message: Protobuf) throws(CheckpointError) {
    let (key, value) = try pair(message)
    add(Attribute(key, text: value))
  }

  /// A StringStringEntryProto.
  private func pair(_ message: Protobuf) throws(CheckpointError) -> (String, String) {
    var message = message
    var (key, value) = ("", "")
    while let field = try message.next() {
      if field.number == 1 { key = try message.text(of: field.value) }
      if field.number == 2 { value = try message.text(of: field.value) }
    }
    return (key, value)
  }

  // MARK: Graphs

  private mutating func readTraining(
    _ message: Protobuf, _ name: String
  ) throws(CheckpointError) {
    var message = message
    while let field = try message.next() {
      if field.number == 1 {
        try readGraph(message.message(of: field.value), path: [name, "initialization"])
      } else if field.number == 2 {
        try readGraph(message.message(of: field.value), path: [name, "algorithm"])
      }
    }
  }

  private mutating func readFunction(_ message: Protobuf) throws(CheckpointError) {
    var (name, domain) = ("", "")
    var fields = message
    while let field = try fields.next() {
      if field.number == 1 { name = try fields.text(of: field.value) }
      if field.number == 10 { domain = try fields.text(of: field.value) }
    }
    let path = [domain.isEmpty ? name : "\(domain).\(name)"]
    try readNodes(message, field: 7, path: path)
  }

  private mutating func readGraph(
    _ message: Protobuf, path: [String]
  ) throws(CheckpointError) {
    guard path.count <= ONNXReader.deepest else {
      throw message.fail("graphs are nested too deeply")
    }
    var fields = message
    while let field = try fields.next() {
      if field.number == ONNX.GraphField.initializer {
        try readTensor(fields.message(of: field.value), name: nil, path: path)
      } else if field.number == ONNX.GraphField.sparseInitializer {
        try readSparse(fields.message(of: field.value), name: nil, path: path)
      }
    }
    try readNodes(message, field: ONNX.GraphField.node, path: path)
  }

  /// What of a node's attributes is read: its tensors, later its graphs.
  private enum Stage { case tensors, graphs }

  private mutating func readNodes(
    _ message: Protobuf, field number: Int, path: [String]
  ) throws(CheckpointError) {
    var hasGraphs = false
    for stage in [Stage.tensors, .graphs] where stage == .tensors || hasGraphs {
      var fields = message
      var index = 0
      while let field = try fields.next() {
        guard field.number == number else { continue }
        let found = try readNode(fields.message(of: field.value), index, path, stage)
        hasGraphs = hasGraphs || found
        index += 1
      }
    }
  }

  /// Whether the node has graphs.
  private mutating func readNode(
    _ message: Protobuf, _ index: Int, _ path: [String], _ stage: Stage
  ) throws(CheckpointError) -> Bool {
    var (name, kind) = ("", "")
    var output: String?
    var hasAttributes = false
    var fields = message
    while let field = try fields.next() {
      switch field.number {
      case 2: if output == nil { output = try fields.text(of: field.value) }
      case 3: name = try fields.text(of: field.value)
      case 4: kind = try fields.text(of: field.value)
      case 5: hasAttributes = true
      default: break
      }
    }
    guard hasAttributes else { return false }
    // A constant is called as its output, which other nodes use; other nodes as themselves.
    let isConstant = kind == "Constant"
    let title = [isConstant ? output ?? "" : name, name, output ?? ""].first { !$0.isEmpty }
    let node = Node(name: title ?? "\(kind).\(index)", isConstant: isConstant, path: path)
    var hasGraphs = false
    fields = message
    while let field = try fields.next() {
      guard field.number == 5 else { continue }
      let attribute = try fields.message(of: field.value)
      switch stage {
      case .tensors: if try readTensors(attribute, node) { hasGraphs = true }
      case .graphs: try readGraphs(attribute, node)
      }
    }
    return hasGraphs
  }

  private struct Node {
    var name: String
    var isConstant: Bool
    var path: [String]
  }

  private func attributeName(_ message: Protobuf) throws(CheckpointError) -> String {
    var name = ""
    var fields = message
    while let field = try fields.next() {
      if field.number == 1 { name = try fields.text(of: field.value) }
    }
    return name
  }

  /// Graphs in an attribute: one, or a list.
  private mutating func readGraphs(
    _ message: Protobuf, _ node: Node
  ) throws(CheckpointError) {
    let name = try attributeName(message)
    var index = 0
    var fields = message
    while let field = try fields.next() {
      if field.number == 6 {
        try readGraph(fields.message(of: field.value), path: node.path + [node.name, name])
      } else if field.number == 11 {
        try readGraph(
          fields.message(of: field.value), path: node.path + [node.name, "\(name).\(index)"])
        index += 1
      }
    }
  }

  /// Tensors in an attribute, a constant's numbers too; whether there are graphs.
  private mutating func readTensors(
    _ message: Protobuf, _ node: Node
  ) throws(CheckpointError) -> Bool {
    let name = try attributeName(message)
    let title = node.isConstant ? node.name : "\(node.name).\(name)"
    var index = 0
    var hasGraphs = false
    var fields = message
    while let field = try fields.next() {
      let value = field.value
      switch field.number {
      case 5: try readTensor(fields.message(of: value), name: title, path: node.path)
      case 6, 11: hasGraphs = true
      case 10:
        try readTensor(fields.message(of: value), name: "\(title).\(index)", path: node.path)
        index += 1
      case 22: try readSparse(fields.message(of: value), name: title, path: node.path)
      case 23:
        try readSparse(fields.message(of: value), name: "\(title).\(index)", path: node.path)
        index += 1
      default: break
      }
    }
    guard node.isConstant else { return hasGraphs }
    switch name {
    case "value_float": try readNumbers(message, .f32, field: 2, isList: false, node)
    case "value_floats": try readNumbers(message, .f32, field: 7, isList: true, node)
    case "value_int": try readNumbers(message, .i64, field: 3, isList: false, node)
    case "value_ints": try readNumbers(message, .i64, field: 8, isList: true, node)
    case "value_string", "value_strings":
      unreadable.append(Unreadable(name: try unique(title, node.path), reason: "holds text"))
    default: break
    }
    return hasGraphs
  }

  /// The numbers of a Constant's attribute.
  private mutating func readNumbers(
    _ message: Protobuf, _ dtype: DType, field number: Int, isList: Bool, _ node: Node
  ) throws(CheckpointError) {
    let name = try unique(node.name, node.path)
    var bytes: [UInt8] = []
    var fields = message
    while let field = try fields.next() {
      guard field.number == number else { continue }
      if case .bytes(_, let count) = field.value, count > ONNXReader.longest - bytes.count {
        unreadable.append(
          Unreadable(name: name, reason: "is a list of over 1 MB in an attribute"))
        return
      }
      switch field.value {
      case .fixed32(let bits): bytes.append(little: bits)
      case .bytes where dtype == .f32: bytes += try fields.bytes(of: field.value)
      default: for number in try fields.varints(of: field.value) { bytes.append(little: number) }
      }
    }
    // A number that is not written is 0.
    if !isList, bytes.isEmpty { bytes = [UInt8](repeating: 0, count: dtype.size) }
    guard bytes.count % dtype.size == 0, isList || bytes.count == dtype.size else {
      throw message.fail("\(name) holds \(bytes.count) bytes, no whole \(dtype.rawValue)")
    }
    tensors.append(
      Tensor(
        name: name, dtype: dtype, shape: isList ? [bytes.count / dtype.size] : [],
        payload: BytesPayload(bytes)))
  }

  // MARK: Tensors

  private mutating func readSparse(
    _ message: Protobuf, name: String?, path: [String]
  ) throws(CheckpointError) {
    var message = message
    var found = ""
    while let field = try message.next() {
      guard field.number == 1 else { continue }
      var values = try message.message(of: field.value)
      while let inner = try values.next() {
        if inner.number == 8 { found = try values.text(of: inner.value) }
      }
    }
    unreadable.append(
      Unreadable(
        name: try unique(name ?? found, path), reason: "is a sparse tensor, which ckpt cannot hold")
    )
  }

  /// The name, with its path before it when it is taken.
  private mutating func unique(_ name: String, _ path: [String]) throws(CheckpointError) -> String {
    if names.insert(name).inserted { return name }
    let full = (path + [name]).joined(separator: "/")
    guard names.insert(full).inserted else {
      throw CheckpointError(.damaged, .tensor(full), "stands in the model twice")
    }
    return full
  }

  private mutating func readTensor(
    _ message: Protobuf, name: String?, path: [String]
  ) throws(CheckpointError) {
    let stored = try ONNXTensor(message)
    let full = try unique(name ?? stored.name, path)
    do throws(CheckpointError) {
      guard let dtype = stored.dtype else {
        unreadable.append(Unreadable(name: full, reason: stored.unreadableReason))
        return
      }
      let shape = try Shape(checking: stored.extents)
      let payload =
        stored.isExternal
        ? try external(stored, dtype.byteCount(of: shape.count))
        : try stored.payload(in: file, count: shape.count)
      tensors.append(Tensor(name: full, dtype: dtype, shape: shape, payload: payload))
    } catch {
      throw error.at(.tensor(full))
    }
  }

  // MARK: Data beside the model

  /// The part of another file that `external_data` names.
  ///
  /// The file lies in the model's folder or below it, also after its links are followed.
  private mutating func external(
    _ tensor: ONNXTensor, _ byteCount: Int
  ) throws(CheckpointError) -> any Payload {
    var values: [String: String] = [:]
    for entry in tensor.externalData {
      let (key, value) = try pair(entry)
      values[key] = value
    }
    let location = values["location"] ?? ""
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    guard !location.isEmpty, !location.utf8.contains(0), !parts.contains(".."), parts.first != ""
    else {
      throw CheckpointError(
        .damaged, Place(), "its data are to be at \"\(location)\", which is no path below the model"
      )
    }
    let offset = try ONNXReader.number(values["offset"] ?? "0", "offset")
    let length = try values["length"].map { (text) throws(CheckpointError) in
      try ONNXReader.number(text, "length")
    }
    guard length ?? byteCount == byteCount else {
      throw CheckpointError(
        .damaged, Place(), "has \(length ?? 0) bytes of external data; \(byteCount) are needed")
    }
    let other = try open(location)
    return SlicePayload(
      try FileSlice(other, offset: offset, length: byteCount), storage: "external data")
  }

  private mutating func open(_ location: String) throws(CheckpointError) -> File {
    let folder = Paths.folder(of: file.path)
    let path = Paths.join(folder, location)
    if let known = externals.first(where: { $0.path == path }) { return known }
    guard Paths.exists(path) else {
      throw CheckpointError(
        .cannotRead, .file(file.path), "the external data \(location) are missing",
        hint: "put them beside the model")
    }
    guard let root = Paths.resolved(folder), let real = Paths.resolved(path),
      real.hasPrefix(root == "/" ? "/" : root + "/")
    else {
      throw CheckpointError(
        .unsupported, .file(path), "is a link that leads out of the model's folder",
        hint: "put the data themselves beside the model")
    }
    let other = try File(path)
    externals.append(other)
    return other
  }

  private static func number(_ text: String, _ what: String) throws(CheckpointError) -> Int {
    guard let number = Int(text), number >= 0 else {
      throw CheckpointError(.damaged, Place(), "\"\(text)\" is no \(what) of external data")
    }
    return number
  }
}
