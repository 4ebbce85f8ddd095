/// The objects whose variables a checkpoint of `tf.train.Checkpoint` or Keras holds, as a graph from
/// its root: which object has which variable, and under which key that is stored.
///
/// Source: `tensorflow/core/protobuf/trackable_object_graph.proto`,
/// `tensorflow/python/checkpoint/trackable_view.py` (keys follow the shortest path).
struct ObjectGraph {
  /// A stored value of an object.
  struct Value {
    let node: Int
    /// `VARIABLE_VALUE` for a variable.
    let name: String
    /// The variable's name in its session, such as `Embedding-Token/embeddings`.
    let fullName: String
    /// The stored name.
    let key: String
  }

  /// The name under which the graph stands in a bundle.
  static let key = "_CHECKPOINTABLE_OBJECT_GRAPH"
  static let variable = "VARIABLE_VALUE"
  /// Between an object's path and the name of its value, in keys.
  static let attributes = "/.ATTRIBUTES/"

  /// A graph that is larger is not read.
  static let largest = 16 << 20
  /// A path that is longer is not told.
  private static let longestPath = 64

  private(set) var values: [Value] = []
  private var message: Protobuf
  private var nodes: [(offset: Int32, count: Int32)] = []

  init(_ bytes: [UInt8]) throws(CheckpointError) {
    message = Protobuf(ByteReader(bytes))
    guard bytes.count <= ObjectGraph.largest else {
      throw CheckpointError(.unsupported, Place(), "the object graph has \(bytes.count) bytes")
    }
    var fields = message
    while let field = try fields.next() {
      guard field.number == 1, case .bytes(let offset, let count) = field.value else { continue }
      nodes.append((Int32(offset), Int32(count)))
    }
    for node in nodes.indices {
      var fields = try self.node(node)
      while let field = try fields.next() {
        guard field.number == 2 else { continue }
        values.append(try value(of: node, fields.message(of: field.value)))
      }
    }
  }

  private func node(_ number: Int) throws(CheckpointError) -> Protobuf {
    try message.message(offset: Int(nodes[number].offset), count: Int(nodes[number].count))
  }

  private func value(of node: Int, _ message: Protobuf) throws(CheckpointError) -> Value {
    var fields = message
    var (name, fullName, key) = ("", "", "")
    while let field = try fields.next() {
      switch field.number {
      case 1: name = try fields.text(of: field.value)
      case 2: fullName = try fields.text(of: field.value)
      case 3: key = try fields.text(of: field.value)
      default: break
      }
    }
    return Value(node: node, name: name, fullName: fullName, key: key)
  }

  /// The shortest path of names from the root to each object that has one.
  func paths() throws(CheckpointError) -> [Int: String] {
    /// How an object was first reached.
    struct Step {
      let parent: Int
      let name: String
      let depth: Int
    }
    guard !nodes.isEmpty else { return [:] }
    var steps = [0: Step(parent: 0, name: "", depth: 0)]
    var queue = [0]
    var next = 0
    while next < queue.count {
      let parent = queue[next]
      next += 1
      let depth = (steps[parent]?.depth ?? 0) + 1
      guard depth <= ObjectGraph.longestPath else { continue }
      var fields = try node(parent)
      while let field = try fields.next() {
        guard field.number == 1 else { continue }
        var child = 0
        var name = ""
        var reference = try fields.message(of: field.value)
        while let field = try reference.next() {
          if field.number == 1 { child = field.value.int ?? 0 }
          if field.number == 2 { name = try reference.text(of: field.value) }
        }
        guard nodes.indices.contains(child) else {
          throw CheckpointError(
            .damaged, Place(), "the object graph has no node \(child), a child of \(parent)")
        }
        guard steps[child] == nil else { continue }
        steps[child] = Step(parent: parent, name: name, depth: depth)
        queue.append(child)
      }
    }
    var paths: [Int: String] = [:]
    for node in Set(values.map(\.node)) {
      var names: [String] = []
      var current = node
      while current != 0, let step = steps[current] {
        names.append(step.name)
        current = step.parent
      }
      if !names.isEmpty { paths[node] = names.reversed().joined(separator: "/") }
    }
    return paths
  }

  /// Names tensors by what the graph says of them: the variable's own name, then its path.
  ///
  /// A name that several tensors would have, or that is a stored one, is left out.
  func name(_ tensors: inout [Tensor]) throws(CheckpointError) {
    let paths = try paths()
    var aliases: [String: [String]] = [:]
    for value in values where aliases[value.key] == nil {
      var names = [value.fullName]
      if value.name == ObjectGraph.variable, let path = paths[value.node] { names.append(path) }
      aliases[value.key] = names.filter { !$0.isEmpty }
    }
    var counts: [String: Int] = [:]
    for tensor in tensors {
      counts[tensor.name, default: 0] += 1
      for alias in Set(aliases[tensor.name] ?? []) { counts[alias, default: 0] += 1 }
    }
    for index in tensors.indices {
      for alias in aliases[tensors[index].name] ?? [] where counts[alias] == 1 {
        if !tensors[index].aliases.contains(alias) { tensors[index].aliases.append(alias) }
      }
    }
  }
}

// MARK: - Writing

extension ObjectGraph {
  /// The graph without the values that are not among `keys`, and without slots that had only those.
  ///
  /// `nil` when it tells nothing true of a checkpoint with these keys: no value is left, or some are
  /// gone and others have names that it does not know (they were renamed).
  func kept(_ keys: Set<String>) throws(CheckpointError) -> [UInt8]? {
    let stated = Set(values.map(\.key))
    let found = stated.intersection(keys)
    guard !found.isEmpty, found == stated || found == keys else { return nil }
    let gone = Set(values.filter { !keys.contains($0.key) }.map(\.node))
      .subtracting(values.filter { keys.contains($0.key) }.map(\.node))
    var graph = ProtobufWriter()
    for number in nodes.indices {
      var object = ProtobufWriter()
      var fields = try node(number)
      while let field = try fields.next() {
        switch field.number {
        case 2:
          let value = try value(of: number, fields.message(of: field.value))
          guard keys.contains(value.key) else { continue }
        case 3:
          var slot = try fields.message(of: field.value)
          var variable = 0
          while let field = try slot.next() {
            if field.number == 3 { variable = field.value.int ?? 0 }
          }
          guard !gone.contains(variable) else { continue }
        default: break
        }
        guard case .bytes = field.value else { continue }  // no number stands in a node
        object.bytes(field.number, try fields.bytes(of: field.value))
      }
      graph.bytes(1, object.bytes)
    }
    return graph.bytes
  }

  /// A variable to come: where it hangs, and what it is called.
  struct Variable {
    /// Names from the root.
    let path: [String]
    let fullName: String
  }

  /// The key of the variable at a path.
  static func key(of path: [String]) -> String {
    path.map(escaped).joined(separator: "/") + attributes + variable
  }

  /// A name in a key: a slash is `.S`, and a dot two.
  private static func escaped(_ name: String) -> String {
    name.split(separator: ".", omittingEmptySubsequences: false).joined(separator: "..")
      .split(separator: "/", omittingEmptySubsequences: false).joined(separator: ".S")
  }

  /// The graph of variables that hang at their paths.
  static func bytes(_ variables: [Variable]) -> [UInt8] {
    struct Node {
      var children: [(name: String, node: Int)] = []
      var variable: Variable?
    }
    var nodes = [Node()]
    var numbers: [String: Int] = [:]
    for variable in variables {
      var current = 0
      var path = ""
      for name in variable.path {
        path += "/" + escaped(name)
        if let child = numbers[path] {
          current = child
          continue
        }
        nodes.append(Node())
        nodes[current].children.append((name, nodes.count - 1))
        numbers[path] = nodes.count - 1
        current = nodes.count - 1
      }
      nodes[current].variable = variable
    }
    var graph = ProtobufWriter()
    for node in nodes {
      var object = ProtobufWriter()
      for child in node.children {
        var reference = ProtobufWriter()
        reference.varint(1, UInt64(child.node))
        reference.text(2, child.name)
        object.bytes(1, reference.bytes)
      }
      if let value = node.variable {
        var tensor = ProtobufWriter()
        tensor.text(1, variable)
        tensor.text(2, value.fullName)
        tensor.text(3, key(of: value.path))
        object.bytes(2, tensor.bytes)
      }
      graph.bytes(1, object.bytes)
    }
    return graph.bytes
  }
}
