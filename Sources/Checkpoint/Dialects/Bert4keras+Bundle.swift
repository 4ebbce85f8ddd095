/// Checkpoints of objects that bert4keras writes under TF_KERAS=1: `save_weights('best_model.weights')`
/// gives a TensorFlow bundle whose keys are paths of attributes, such as
/// `layer_with_weights-4/q_dense/kernel/.ATTRIBUTES/VARIABLE_VALUE`.
///
/// The variables' own names (``Tensor/aliases``, from the object graph) begin with the layer:
/// `Transformer-0-MultiHeadSelfAttention/dense/kernel`. A checkpoint that has lost them is read by
/// the attributes and the order of its layers. Source: what Keras 2.15 writes for bert4keras 0.11.5;
/// `layers.py` of the latter for the attributes' names.
struct Bert4kerasBundle {
  /// Layers in Keras' order, their weights in the order of bert4keras' attributes.
  private(set) var layers: [Group] = []
  /// What belongs to training.
  private(set) var left: [Leftover] = []
  /// The variables' own names by stored name.
  private var fullNames: [String: String] = [:]

  private static let suffix = ObjectGraph.attributes + ObjectGraph.variable
  private static let layer = "layer_with_weights-"

  /// A weight and where it stands.
  private struct Item {
    let tensor: Tensor
    /// The number of its layer, or of the variable in a SavedModel.
    let number: Int
    /// Attributes below the layer.
    let attributes: [String]
    let fullName: String?
  }

  /// `nil` when no tensor is named so.
  ///
  /// - Parameter isTied: tells, by the number of attention layers, whether they are one ALBERT's.
  init?(_ tensors: [Tensor], isTied: (Int) -> Bool) {
    guard tensors.contains(where: { $0.name.hasSuffix(Bert4kerasBundle.suffix) }) else {
      return nil
    }
    var items: [Item] = []
    for tensor in tensors {
      if let reason = Bert4kerasBundle.leftover(tensor.name) {
        left.append(Leftover(tensor, reason))
      } else {
        let item = Bert4kerasBundle.item(tensor)
        items.append(item)
        fullNames[tensor.name] = item.fullName
      }
    }
    var byLayer: [String: [Item]] = [:]
    for item in items {
      let layer =
        item.fullName?.split(separator: "/").first.map(String.init)
        ?? Bert4kerasBundle.layer + String(item.number)
      byLayer[layer, default: []].append(item)
    }
    var groups = byLayer.map {
      (name: $0.key, items: $0.value.sorted(by: Bert4kerasBundle.precedes))
    }
    groups.sort { a, b in
      let (x, y) = (a.items.map(\.number).min() ?? 0, b.items.map(\.number).min() ?? 0)
      return x == y ? a.name < b.name : x < y
    }
    if !groups.contains(where: { $0.name == "Embedding-Token" }) {
      let signatures = groups.map { Signature($0.items.map(\.attributes)) }
      let names = Bert4kerasBundle.names(of: signatures, isTied: isTied)
      for (index, name) in names.enumerated() { groups[index].name = name ?? groups[index].name }
    }
    layers = groups.map { Group(name: $0.name, tensors: $0.items.map(\.tensor)) }
  }

  /// Names that tensors of no known meaning have in Keras' HDF5 files.
  func named(_ carried: [Group]) -> [Group] {
    carried.map { group in
      var group = group
      group.tensors = group.tensors.map { tensor in
        guard let fullName = fullNames[tensor.name] else { return tensor }
        var copy = tensor.renamed("\(group.name)/\(fullName):0")
        copy.aliases = [tensor.name]
        return copy
      }
      return group
    }
  }

  // MARK: Names

  private static func leftover(_ name: String) -> String? {
    let parts = name.split(separator: "/")
    if name.contains("/.OPTIMIZER_SLOT/") || parts.contains("optimizer") {
      return "optimizer state"
    }
    if parts.contains("keras_api") { return "a metric's state" }
    if parts.first == "save_counter" { return "how often it was saved" }
    return nil
  }

  private static func item(_ tensor: Tensor) -> Item {
    let path = tensor.name.replacingSuffix(suffix, with: "")
    let parts = path.split(separator: "/").map(String.init)
    let fullName = tensor.aliases.first { $0 != path && !$0.contains(layer) }
    if let index = parts.lastIndex(where: { $0.hasPrefix(layer) }),
      let number = Int(parts[index].dropFirst(layer.count))
    {
      return Item(
        tensor: tensor, number: number, attributes: Array(parts[(index + 1)...]),
        fullName: fullName)
    }
    // A SavedModel: `variables/7`.
    return Item(
      tensor: tensor, number: parts.last.flatMap { Int($0) } ?? Int.max, attributes: [],
      fullName: fullName)
  }

  /// The order of weights inside a layer: as bert4keras makes them.
  private static func precedes(_ a: Item, _ b: Item) -> Bool {
    if !a.attributes.isEmpty, !b.attributes.isEmpty {
      let (x, y) = (a.attributes.map(rank), b.attributes.map(rank))
      if x != y { return x.lexicographicallyPrecedes(y) }
    } else if let x = a.fullName, let y = b.fullName {
      // Inner layers are counted as they are made.
      let (left, right) = (x.split(separator: "/"), y.split(separator: "/"))
      let (m, n) = (left.dropLast().joined(separator: "/"), right.dropLast().joined(separator: "/"))
      if m != n { return Natural.less(m, n) }
      if let x = left.last, let y = right.last, x != y {
        return (rank(String(x)), String(x)) < (rank(String(y)), String(y))
      }
    }
    return Natural.less(a.tensor.name, b.tensor.name)
  }

  private static let attention = ["q_dense", "k_dense", "v_dense", "o_dense"]
  private static let order =
    ["p_dense", "q_dense", "k_dense", "v_dense", "i0_dense", "i1_dense", "i2_dense", "o_dense"]
    + ["embeddings", "kernel", "bias", "beta", "gamma"]

  private static func rank(_ attribute: String) -> Int {
    order.firstIndex(of: attribute) ?? order.count
  }

  // MARK: Without names

  /// What a layer's attributes tell of it.
  private enum Signature: Equatable {
    case embedding, norm, dense, attention, feedForward, offset, other

    init(_ attributes: [[String]]) {
      switch attributes.map({ $0.joined(separator: "/") }) {
      case ["embeddings"]: self = .embedding
      case ["beta", "gamma"]: self = .norm
      case ["kernel", "bias"]: self = .dense
      case ["beta"]: self = .offset
      case let names where names.first == "q_dense/kernel": self = .attention
      case let names where names.first == "i0_dense/kernel": self = .feedForward
      default: self = .other
      }
    }
  }

  /// Layers' names by their order, where that tells; heads other than MLM's look like a user's own.
  private static func names(
    of layers: [Signature], isTied: (Int) -> Bool
  ) -> [String?] {
    var names = [String?](repeating: nil, count: layers.count)
    let attentions = layers.indices.filter { layers[$0] == .attention }
    guard let first = attentions.first,
      layers.prefix(4) == [.embedding, .embedding, .embedding, .norm]
    else { return names }
    names[0] = "Embedding-Token"
    names[1] = "Embedding-Segment"
    names[2] = "Embedding-Position"
    names[3] = "Embedding-Norm"
    if first == 5, layers[4] == .dense { names[4] = "Embedding-Mapping" }
    let isTied = isTied(attentions.count)
    for (number, start) in attentions.enumerated() {
      guard layers[start...].prefix(4) == [.attention, .norm, .feedForward, .norm] else { continue }
      let block = isTied ? "Transformer" : "Transformer-\(number)"
      names[start] = "\(block)-MultiHeadSelfAttention"
      names[start + 1] = "\(block)-MultiHeadSelfAttention-Norm"
      names[start + 2] = "\(block)-FeedForward"
      names[start + 3] = "\(block)-FeedForward-Norm"
    }
    let heads = (names.lastIndex { $0 != nil } ?? 0) + 1
    // MLM's are a Dense, a norm, and an offset further on.
    if let norm = layers[heads...].firstIndex(of: .norm), norm > heads, layers[norm - 1] == .dense,
      let offset = layers[norm...].firstIndex(of: .offset)
    {
      names[norm - 1] = "MLM-Dense"
      names[norm] = "MLM-Norm"
      names[offset] = "MLM-Bias"
    }
    return names
  }

  // MARK: Writing

  /// The spelling as a checkpoint of objects that `load_weights(PREFIX)` of tf.keras takes.
  static func arranged(_ spelling: Spelling) -> Spelling {
    var spelling = spelling
    var tensors: [Tensor] = []
    var variables: [ObjectGraph.Variable] = []
    var targets: [String: String] = [:]
    let layers = spelling.checkpoint.groups.filter { !$0.tensors.isEmpty }
    for (number, group) in layers.enumerated() {
      for (index, tensor) in group.tensors.enumerated() {
        let names = tensor.name.split(separator: "/").map(String.init)
        let fullName =
          names.dropFirst().joined(separator: "/").split(separator: ":").first.map(String.init)
          ?? tensor.name
        let path =
          ["\(layer)\(number)"] + attributes(index, of: group, names: names.suffix(from: 1))
        variables.append(ObjectGraph.Variable(path: path, fullName: fullName))
        var copy = tensor.renamed(ObjectGraph.key(of: path))
        copy.aliases = [fullName]
        targets[tensor.name] = copy.name
        tensors.append(copy)
      }
    }
    let graph = ObjectGraph.bytes(variables)
    spelling.checkpoint = Checkpoint(
      format: "tf", groups: [Group(name: "", tensors: tensors)],
      attributes: [Attribute(ObjectGraph.key, .numbers(.u8, shape: [graph.count], bytes: graph))])
    spelling.rows = spelling.rows.map { row in
      var row = row
      row.target = targets[row.target] ?? row.target
      return row
    }
    spelling.unexpected = spelling.unexpected.map { targets[$0] ?? $0 }
    spelling.loadsAs = spelling.loadsAs.replacingSuffix("(file)", with: "(prefix), with TF_KERAS=1")
    return spelling
  }

  /// The attributes by which a layer's weight hangs at it.
  private static func attributes(
    _ index: Int, of layer: Group, names: ArraySlice<String>
  ) -> [String] {
    let leaf = (names.last ?? "").split(separator: ":").first.map(String.init) ?? ""
    // keras-bert's own weights carry their layer's name.
    if leaf.hasPrefix("\(layer.name)_") { return [String(leaf.dropFirst(layer.name.count + 1))] }
    if layer.name.hasSuffix("-MultiHeadSelfAttention"), layer.tensors.count == 8 {
      return [attention[index / 2], leaf]
    }
    if layer.name.hasSuffix("-FeedForward"), layer.tensors.count == 4 {
      return [["i0_dense", "o_dense"][index / 2], leaf]
    }
    // CRF and MEMM keep their transitions under private names.
    var inner = Array(names.dropFirst().dropLast())
    // EfficientGlobalPointer keeps two dense layers.
    if layer.tensors.count > 1, layer.tensors.contains(where: { $0.name.contains("/dense_1/") }) {
      inner = inner.map { ["dense": "p_dense", "dense_1": "q_dense"][$0] ?? $0 }
    }
    return inner + [["trans", "l_trans", "r_trans"].contains(leaf) ? "_\(leaf)" : leaf]
  }
}

extension Tensor {
  /// The name in the file, where a variable of a checkpoint of objects goes by its own.
  var storedName: String { aliases.first { $0.hasSuffix(ObjectGraph.variable) } ?? name }
}

extension Bert4keras {
  /// Whether one attention layer is an ALBERT's, applied several times.
  static func isTied(_ configuration: JSON?) -> (Int) -> Bool {
    { attentions in
      attentions == 1
        && (configuration?["num_hidden_groups"] != nil
          || configuration?["num_hidden_layers"]?.int ?? 1 > 1)
    }
  }

  public func arranged(_ spelling: Spelling, for format: String) -> Spelling {
    format == TFCheckpoint().name ? Bert4kerasBundle.arranged(spelling) : spelling
  }
}
