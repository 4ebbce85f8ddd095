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
  /// - Parameter family: whose names layers get when the variables' own are lost, if it is known.
  init?(_ tensors: [Tensor], _ family: String?, _ configuration: JSON?) {
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
    if !groups.contains(where: { $0.name.hasSuffix(Bert4keras.tokens) }) {
      let signatures = groups.map { Signature($0.items.map(\.attributes)) }
      let isShared = configuration?["num_hidden_layers"]?.int ?? 1 > 1
      let guesses =
        family.map { [$0] }
        ?? (isShared || configuration?["num_hidden_groups"] != nil
          ? ["albert", "bert"] : ["bert"]) + [
          "roformer", "nezha", "gpt", "roformer_v2", "gau_alpha",
        ]
      let stated = configuration?["segment_vocab_size"] ?? configuration?["type_vocab_size"]
      let names = Bert4kerasBundle.names(
        of: signatures, guesses, segments: stated?.int == 0 ? [0] : [2, 0])
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

  private static let order =
    ["p_dense", "q_dense", "k_dense", "v_dense", "i_dense", "q_scaleoffset", "k_scaleoffset"]
    + ["i0_dense", "i1_dense", "i2_dense", "i3_dense", "o_dense"]
    + ["embeddings", "project_kernel", "kernel", "bias", "beta", "gamma"]
    + ["hidden_dense", "beta_dense", "gamma_dense", "pre_softmax", "post_softmax"]

  private static func rank(_ attribute: String) -> Int {
    order.firstIndex(of: attribute) ?? order.count
  }

  // MARK: Without names

  /// What a layer's attributes tell of it, or its name.
  private enum Signature: Equatable {
    case embedding, norm, dense, attention, feedForward, gatedUnit, offset, other

    init(_ attributes: [[String]]) {
      switch attributes.map({ $0.joined(separator: "/") }) {
      case ["embeddings"]: self = .embedding
      case ["kernel", "bias"], ["kernel"]: self = .dense
      case ["beta"]: self = .offset
      case let names where names.contains("gamma"): self = .norm
      case let names where names.first == "q_dense/kernel": self = .attention
      case let names where names.first == "i0_dense/kernel": self = .feedForward
      case let names where names.first == "i_dense/kernel": self = .gatedUnit
      default: self = .other
      }
    }

    init(name: String) {
      let ends: [(String, Signature)] = [
        ("Attention", .attention), ("FeedForward", .feedForward), ("AttentionUnit", .gatedUnit),
        ("Embedding-Token", .embedding), ("Embedding-Segment", .embedding),
        ("Embedding-Position", .embedding), ("Relative-Position", .embedding),
        ("Mapping", .dense), ("Output-LM", .dense), ("-Norm", .norm), ("-Norm-0", .norm),
        ("-Norm-1", .norm),
      ]
      self = ends.first { name.hasSuffix($0.0) }?.1 ?? .other
    }
  }

  /// Layers' names by their order, where that tells; heads other than MLM's look like a user's own.
  ///
  /// A table beside the tokens' is rather of segments than of positions.
  private static func names(
    of layers: [Signature], _ families: [String], segments: [Int]
  ) -> [String?] {
    var names = [String?](repeating: nil, count: layers.count)
    func trunk(_ family: String, _ segments: Int) -> [String]? {
      trunks(family, layers, segments: segments).filter { trunk in
        trunk.count <= layers.count
          && zip(trunk, layers).allSatisfy { Signature(name: $0) == $1 }
      }.max { $0.count < $1.count }
    }
    search: for segments in segments {
      for family in families {
        guard let trunk = trunk(family, segments) else { continue }
        for (index, name) in trunk.enumerated() { names[index] = name }
        break search
      }
    }
    guard let last = names.lastIndex(where: { $0 != nil }) else { return names }
    // MLM's are a Dense, a norm, and an offset further on.
    let heads = last + 1
    if let norm = layers[heads...].firstIndex(of: .norm), norm > heads, layers[norm - 1] == .dense,
      let offset = layers[norm...].firstIndex(of: .offset)
    {
      names[norm - 1] = "MLM-Dense"
      names[norm] = "MLM-Norm"
      names[offset] = "MLM-Bias"
    }
    return names
  }

  /// The layers with weights of a family's models that have as many blocks, without heads.
  private static func trunks(
    _ family: String, _ layers: [Signature], segments: Int
  ) -> [[String]] {
    guard let structure = try? ArchitectureRegistry.named(family).structure else { return [] }
    let blocks = layers.count { $0 == (structure.gatedUnit ? .gatedUnit : .attention) }
    guard blocks > 0, blocks <= Transformer.deepest else { return [] }
    var found: [[String]] = []
    func add(_ change: (inout FamilyArchitecture) -> Void) {
      var architecture = FamilyArchitecture(
        family: family, configuration: Configuration(), heads: [])
      change(&architecture)
      let names = Bert4kerasLayers.names(architecture, hasDropout: false)
      // Norms of RoFormerV2 have no weights.
      found.append(
        names.filter { name in
          let signature = Signature(name: name)
          return signature != .other && (signature != .norm || structure.norm != .plain)
        })
    }
    for hasProjection in [true, false] {
      if structure.encoderDecoder {
        for (encoder, decoder) in [(blocks / 3, blocks / 3), (blocks, 0), (0, blocks / 2)] {
          for ties in [false, true] {
            add { architecture in
              architecture.configuration.projection = hasProjection
              architecture.configuration.hasEncoder = encoder > 0
              architecture.configuration.layers = encoder
              architecture.configuration.hasDecoder = decoder > 0
              architecture.configuration.decoderLayers = decoder
              architecture.configuration.tiesDecoder = ties
              if decoder > 0 { architecture.heads = [.lm] }
            }
          }
        }
      } else {
        add { architecture in
          architecture.configuration.projection = hasProjection
          architecture.configuration.segments = segments
          architecture.configuration.layers = blocks
          if family == "albert", blocks == 1 { architecture.configuration.groups = 1 }
        }
      }
    }
    return found
  }

  // MARK: Writing

  /// The spelling as a checkpoint of objects that `load_weights(PREFIX)` of tf.keras takes.
  static func arranged(
    _ spelling: Spelling, _ table: LayerTable = Bert4keras.table("bert")
  ) -> Spelling {
    var spelling = spelling
    var tensors: [Tensor] = []
    var variables: [ObjectGraph.Variable] = []
    var targets: [String: String] = [:]
    let layers = spelling.checkpoint.groups.filter { !$0.tensors.isEmpty }
    let plain = Bert4keras.plain(layers, prefix: Bert4keras.prefix(of: layers.map(\.name)))
    for (number, group) in layers.enumerated() {
      let known = table.attributes(of: plain[number])
      for (index, tensor) in group.tensors.enumerated() {
        let names = tensor.name.split(separator: "/").map(String.init)
        let fullName =
          names.dropFirst().joined(separator: "/").split(separator: ":").first.map(String.init)
          ?? tensor.name
        let attributes =
          known?[index].split(separator: "/").map(String.init)
          ?? foreign(names.suffix(from: 1), of: group)
        let path = ["\(layer)\(number)"] + attributes
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

  /// The attributes by which a weight hangs at a layer that is not bert4keras' own.
  private static func foreign(_ names: ArraySlice<String>, of layer: Group) -> [String] {
    let leaf = (names.last ?? "").split(separator: ":").first.map(String.init) ?? ""
    // CRF and MEMM keep their transitions under private names.
    var inner = Array(names.dropFirst().dropLast())
    // EfficientGlobalPointer keeps two dense layers.
    if layer.tensors.count > 1, layer.tensors.contains(where: { $0.name.contains("/dense_1/") }) {
      inner = inner.map { ["dense": "p_dense", "dense_1": "q_dense"][$0] ?? $0 }
    }
    return inner
      + [["trans", "l_trans", "r_trans"].contains(leaf) ? "_\(leaf)" : leaf]
  }
}

extension Tensor {
  /// The name in the file, where a variable of a checkpoint of objects goes by its own.
  var storedName: String { aliases.first { $0.hasSuffix(ObjectGraph.variable) } ?? name }
}

extension Bert4keras {
  public func arranged(_ spelling: Spelling, for format: String) -> Spelling {
    format == TFCheckpoint().name ? Bert4kerasBundle.arranged(spelling) : spelling
  }
}
