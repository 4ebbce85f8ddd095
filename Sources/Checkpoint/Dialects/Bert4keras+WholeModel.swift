// A whole model of bert4keras after its weights were changed: the graph that Keras loads it by.

extension Bert4keras {
  /// A spelled model as the whole file that it was read from.
  ///
  /// Blocks that were dropped disappear from the graph, layers that are no longer shared become one for
  /// each depth and the reverse, and sizes in the layers' configs follow the weights.
  ///
  /// - Parameters:
  ///   - spelling: the weights by layers.
  ///   - source: the file that was read; it holds `model_config`.
  ///   - heads: attention heads of the result.
  ///   - place: the depth in the result of a block that the source applies, by the block's value name
  ///     (`layers.3`); `nil` for one that is gone.
  /// - Throws: ``CheckpointError`` where the graph cannot be told, so that only weights can be written.
  public static func whole(
    _ spelling: Spelling, from source: Checkpoint, heads: Int, place: (String) -> String?
  ) throws(CheckpointError) -> Spelling {
    let text = source.text("model_config") ?? ""
    var graph = try WholeGraph(JSON(parsing: Array(text.utf8)))
    let groups = spelling.checkpoint.groups.filter { !$0.tensors.isEmpty }
    try graph.rebuild(numbered: groups.map(\.name), place)
    let prefix = KerasHDF5Names.modelWeights + "/"
    let before = Dictionary(
      source.groups.map { group in
        (
          group.name.hasPrefix(prefix) ? String(group.name.dropFirst(prefix.count)) : group.name,
          group
        )
      }
    ) { first, _ in first }
    for group in groups { try graph.resize(group, before: before, heads: heads) }
    graph.resizeAngles()
    let named = Set(groups.map(\.name))
    let missing = graph.origins.first { new, old in
      before[old]?.tensors.isEmpty == false && !named.contains(new)
    }
    if let missing {
      throw CheckpointError(
        .unsupported, Place(member: "layer \(missing.key)"), "has no weights any more")
    }
    // What does not hang together is told here, not by Keras.
    _ = try KerasNetwork(graph.document)

    var whole = spelling
    // The graph says what is computed, whatever the library would build.
    whole.remarks = []
    whole.loadsAs = "keras.models.load_model(file) with bert4keras' layers as custom objects"
    for index in whole.checkpoint.groups.indices {
      let name = whole.checkpoint.groups[index].name
      guard !name.isEmpty else { continue }
      whole.checkpoint.groups[index].name = prefix + name
      whole.checkpoint.groups[index].tensors = whole.checkpoint.groups[index].tensors.map {
        $0.renamed(prefix + $0.name)
      }
    }
    whole.rows = spelling.rows.map { row in
      var row = row
      row.target = prefix + row.target
      return row
    }
    var attributes = spelling.checkpoint.attributes.filter {
      !KerasHDF5Names.isPart($0, of: KerasHDF5Names.layerNames)
        && !["backend", "keras_version", "model_config"].contains($0.name)
    }
    attributes += ["backend", "keras_version"].compactMap { name in
      source.text(name).map { Attribute(name, text: $0) }
    }
    attributes.append(Attribute("model_config", text: graph.document.compact))
    let model = KerasHDF5Names.modelWeights
    attributes += ["backend", "keras_version"].compactMap { name in
      (source.text("\(model)@\(name)") ?? source.text(name)).map {
        Attribute("\(model)@\(name)", text: $0)
      }
    }
    let layers = spelling.checkpoint.groups.map(\.name).filter { !$0.isEmpty }
    attributes.append(
      KerasHDF5Names.attribute("\(model)@\(KerasHDF5Names.layerNames)", layers))
    whole.checkpoint.attributes = attributes
    return whole
  }
}

/// A reference to a layer's result as Keras 2 writes it: `["Embedding-Norm", 0, 0, {}]`.
private struct Reference: Hashable {
  var layer: String
  var call: Int
  var output: Int

  init(layer: String, call: Int, output: Int) {
    (self.layer, self.call, self.output) = (layer, call, output)
  }

  init?(_ json: JSON) {
    guard let parts = json.array, parts.count >= 3, let layer = parts[0].string,
      let call = parts[1].int, let output = parts[2].int
    else { return nil }
    self.init(layer: layer, call: call, output: output)
  }

  /// All in a node, in order.
  static func all(in json: JSON) -> [Reference] {
    if let reference = Reference(json) {
      return [reference] + (json.array ?? []).dropFirst(3).flatMap(all)
    }
    return (json.array ?? json.members?.map(\.value) ?? []).flatMap(all)
  }

  /// The node with others in their places.
  static func mapped(
    _ json: JSON, _ map: (Reference) throws(CheckpointError) -> Reference
  ) throws(CheckpointError) -> JSON {
    if let reference = Reference(json), let parts = json.array {
      let new = try map(reference)
      var list: [JSON] = [.string(new.layer), .number(new.call), .number(new.output)]
      for part in parts.dropFirst(3) { list.append(try mapped(part, map)) }
      return .array(list)
    }
    if let items = json.array {
      var list: [JSON] = []
      for item in items { list.append(try mapped(item, map)) }
      return .array(list)
    }
    if let members = json.members {
      var list: [JSON.Member] = []
      for member in members { list.append(.init(member.key, try mapped(member.value, map))) }
      return .object(list)
    }
    return json
  }
}

/// The graph of a model made of blocks, whose layers are called `Transformer-3-FeedForward`, or
/// `Transformer-FeedForward` where all depths share them.
private struct WholeGraph {
  /// One application of a layer of a block.
  private struct Application: Hashable {
    /// `Transformer`, `Encoder-Transformer`, with what a user puts before.
    var stack: String
    var depth: Int
    /// `FeedForward-Norm`.
    var part: String
  }

  private var json: JSON
  /// Of every head, where attention has heads.
  private var keySize: Int?
  private var entries: [JSON]
  /// The source's layer behind each layer, by their names.
  private(set) var origins: [String: String] = [:]
  private let depthOf: [String: [Application]]

  init(_ json: JSON) throws(CheckpointError) {
    self.json = json
    guard let config = json["config"], let layers = config["layers"]?.array,
      config["output_layers"] != nil
    else {
      throw CheckpointError(.unsupported, Place(member: "model_config"), "is no functional model")
    }
    entries = layers
    var found: [String: [Application]] = [:]
    for layer in layers {
      guard let name = layer["name"]?.string, let parts = WholeGraph.parts(of: name) else {
        continue
      }
      let calls = layer["inbound_nodes"]?.array?.count ?? 0
      found[name] = (0..<calls).map {
        Application(stack: parts.stack, depth: calls > 1 ? $0 : parts.number ?? 0, part: parts.part)
      }
    }
    depthOf = found
  }

  private static func parts(
    of name: String
  ) -> (stack: String, number: Int?, part: String)? {
    let mark = "Transformer-"
    guard let range = name.firstRange(of: mark) else { return nil }
    let rest = name[range.upperBound...]
    let stack = String(name[..<range.lowerBound] + mark.dropLast())
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    let behind = rest.dropFirst(digits.count)
    if let number = Int(digits), behind.first == "-" {
      return (stack, number, String(behind.dropFirst()))
    }
    return (stack, nil, String(rest))
  }

  /// How the result calls a block of a stack: `encoder.layers.3`.
  private static func block(_ stack: String, _ depth: Int) -> String {
    (stack.contains("Decoder-") ? "decoder." : stack.contains("Encoder-") ? "encoder." : "")
      + "layers.\(depth)"
  }

  // MARK: Blocks

  /// Builds the blocks that remain, each from the one that it was.
  mutating func rebuild(
    numbered groups: [String], _ place: (String) -> String?
  ) throws(CheckpointError) {
    let isNumbered = Set(
      groups.compactMap { name in
        WholeGraph.parts(of: name).flatMap { $0.number == nil ? nil : $0.stack }
      })
    var depths: [String: Int] = [:]
    for application in depthOf.values.joined() {
      depths[application.stack] = max(depths[application.stack] ?? 0, application.depth + 1)
    }
    var numbers: [String: [Int?]] = [:]
    for (stack, count) in depths {
      numbers[stack] = (0..<count).map { depth in
        place(WholeGraph.block(stack, depth))?.split(separator: ".").last.flatMap { Int($0) }
      }
    }
    let edges = try edges(depths)

    /// What a reference of the source means in the result.
    func mapped(_ reference: Reference) throws(CheckpointError) -> Reference {
      var reference = reference
      while let applications = depthOf[reference.layer],
        applications.indices.contains(reference.call)
      {
        let own = applications[reference.call]
        if let number = numbers[own.stack]?[own.depth] {
          let isOwn = isNumbered.contains(own.stack)
          return Reference(
            layer: isOwn ? "\(own.stack)-\(number)-\(own.part)" : "\(own.stack)-\(own.part)",
            call: isOwn ? 0 : number, output: reference.output)
        }
        guard let edge = edges[own.stack], edge.outputs[own.depth] == reference,
          let before = own.depth == 0 ? edge.input : edge.outputs[own.depth - 1]
        else {
          throw CheckpointError(
            .unsupported, Place(member: "layer \(reference.layer)"),
            "is part of a block that is gone, and more than the next block takes from it")
        }
        reference = before
      }
      return reference
    }
    func node(_ entry: JSON, _ call: Int) throws(CheckpointError) -> JSON {
      try Reference.mapped(entry["inbound_nodes"]?.array?[call] ?? .null, mapped)
    }

    var result: [JSON] = []
    var done: Set<String> = []
    for entry in entries {
      let name = entry["name"]?.string ?? ""
      guard let stack = depthOf[name]?.first?.stack else {
        var copy = entry
        var nodes: [JSON] = []
        for call in (entry["inbound_nodes"]?.array ?? []).indices {
          nodes.append(try node(entry, call))
        }
        copy.set("inbound_nodes", .array(nodes))
        origins[name] = name
        result.append(copy)
        continue
      }
      guard done.insert(stack).inserted else { continue }
      // The whole stack stands where it began.
      let kept = (numbers[stack] ?? []).enumerated().compactMap { depth, number in
        number.map { (depth: depth, number: $0) }
      }.sorted { $0.number < $1.number }
      guard kept.map(\.number) == Array(kept.indices) else {
        throw CheckpointError(
          .unsupported, Place(member: "layers \(stack)"),
          "blocks are not numbered one after the other")
      }
      var shared: [String: Int] = [:]
      for (depth, number) in kept {
        for layer in entries {
          guard let old = layer["name"]?.string, let applications = depthOf[old],
            let call = applications.firstIndex(where: { $0.stack == stack && $0.depth == depth })
          else { continue }
          let part = applications[call].part
          let isOwn = isNumbered.contains(stack)
          let new = isOwn ? "\(stack)-\(number)-\(part)" : "\(stack)-\(part)"
          let node = try node(layer, call)
          if !isOwn, let index = shared[part] {
            let nodes = result[index]["inbound_nodes"]?.array ?? []
            guard nodes.count == number else {
              throw CheckpointError(
                .unsupported, Place(member: "layer \(new)"), "is not in every block")
            }
            result[index].set("inbound_nodes", .array(nodes + [node]))
            continue
          }
          var copy = layer
          copy.set("name", .string(new))
          if var config = layer["config"] {
            config.set("name", .string(new))
            copy.set("config", config)
          }
          copy.set("inbound_nodes", .array([node]))
          shared[part] = result.count
          origins[new] = old
          result.append(copy)
        }
      }
    }
    entries = result
    guard var config = json["config"] else { return }
    for key in ["output_layers", "input_layers"] {
      if let list = config[key] { config.set(key, try Reference.mapped(list, mapped)) }
    }
    json.set("config", config)
  }

  /// What enters the first block of each stack, and what leaves each.
  private func edges(
    _ depths: [String: Int]
  ) throws(CheckpointError) -> [String: (input: Reference?, outputs: [Reference?])] {
    var edges: [String: (input: Reference?, outputs: [Reference?])] = [:]
    for (stack, count) in depths { edges[stack] = (nil, Array(repeating: nil, count: count)) }
    func leaves(_ reference: Reference, to user: Application?) {
      guard let applications = depthOf[reference.layer],
        applications.indices.contains(reference.call)
      else { return }
      let own = applications[reference.call]
      if let user, user.stack == own.stack, user.depth == own.depth { return }
      edges[own.stack]?.outputs[own.depth] = reference
    }
    var nodes: [Application: [Reference]] = [:]
    for entry in entries {
      let applications = depthOf[entry["name"]?.string ?? ""]
      for (call, node) in (entry["inbound_nodes"]?.array ?? []).enumerated() {
        let references = Reference.all(in: node)
        let user = applications?[call]
        references.forEach { leaves($0, to: user) }
        if let user { nodes[user] = references }
      }
    }
    for reference in Reference.all(in: json["config"]?["output_layers"] ?? .null) {
      leaves(reference, to: nil)
    }
    for (stack, edge) in edges {
      guard let first = edge.outputs.first ?? nil else { continue }
      // Where a second block takes what leaves the first, the first takes what comes before.
      for (user, references) in nodes where user.stack == stack && user.depth == 1 {
        let twin = Application(stack: stack, depth: 0, part: user.part)
        guard let index = references.firstIndex(of: first), let own = nodes[twin],
          own.count == references.count
        else { continue }
        edges[stack]?.input = own[index]
      }
    }
    return edges
  }

  // MARK: Sizes

  /// Lets a layer's config say the sizes of its weights.
  mutating func resize(
    _ group: Group, before: [String: Group], heads: Int
  ) throws(CheckpointError) {
    guard let index = entries.firstIndex(where: { $0["name"]?.string == group.name }),
      let origin = origins[group.name], var config = entries[index]["config"]
    else {
      throw CheckpointError(
        .unsupported, Place(member: "layer \(group.name)"), "is not in the graph that was read")
    }
    guard before[origin]?.tensors.count == group.tensors.count else {
      throw CheckpointError(
        .unsupported, Place(member: "layer \(group.name)"),
        "has \(group.tensors.count) weights; the layer of its class had "
          + "\(before[origin]?.tensors.count ?? 0)")
    }
    let matrices = group.tensors.map(\.shape.extents).filter { $0.count == 2 }
    func set(_ key: String, _ size: Int) {
      guard config[key]?.int != size, config[key] != nil else { return }
      config.set(key, .number(size))
    }
    switch entries[index]["class_name"]?.string ?? "" {
    case "Embedding", "PositionEmbedding":
      guard let table = matrices.first else { break }
      set("input_dim", table[0])
      set("output_dim", table[1])
    case "Dense", "FeedForward":
      if let kernel = matrices.first { set("units", kernel[1]) }
    case "MultiHeadAttention":
      guard matrices.count == 4, heads > 0,
        matrices.prefix(3).allSatisfy({ $0[1].isMultiple(of: heads) })
      else { break }
      set("heads", heads)
      set("key_size", matrices[0][1] / heads)
      keySize = matrices[0][1] / heads
      set("head_size", matrices[2][1] / heads)
      set("out_dim", matrices[3][1])
    default: break
    }
    entries[index].set("config", config)
  }

  /// Lets the layer of rotary angles say the size of the keys that it turns.
  mutating func resizeAngles() {
    guard let keySize else { return }
    for index in entries.indices
    where entries[index]["name"]?.string?.hasSuffix("Embedding-Rotary-Position") ?? false {
      guard var config = entries[index]["config"] else { continue }
      config.set("output_dim", .number(keySize))
      entries[index].set("config", config)
    }
  }

  /// The configuration as it is now.
  var document: JSON {
    var document = json
    guard var config = document["config"] else { return document }
    config.set("layers", .array(entries))
    document.set("config", config)
    return document
  }
}
