import Checkpoint
import TestSupport
import Testing

/// The tables against what the frameworks write.
@Suite struct DialectTests {
  /// A row of `b4k-names.json`: layer, names of weights, shapes.
  private func expectedLayers(_ key: String) throws -> [(layer: String, weights: [String])] {
    let bytes = try File.contents(of: Fixtures.path("b4k-names.json"))
    let rows = try #require(try JSON(parsing: bytes)[key]?.array)
    return rows.compactMap { row in
      guard let parts = row.array, let layer = parts[0].string else { return nil }
      return (layer, parts[1].array?.compactMap(\.string) ?? [])
    }.filter { !$0.weights.isEmpty }
  }

  static let combinations: [(model: String, heads: Set<Head>)] =
    ["bert", "albert", "albert_unshared"].flatMap { model in
      let sequence: Head = model == "bert" ? .nsp : .sop
      let heads: [Set<Head>] = [
        [], [.pooler], [.mlm], [.pooler, .mlm], [.pooler, sequence], [.pooler, sequence, .mlm],
      ]
      return heads.map { (model: model, heads: $0) }
    }

  @Test(arguments: combinations)
  func `bert4keras layers are written in its order and under its names`(
    _ test: (model: String, heads: Set<Head>)
  ) throws {
    let sequence = !test.heads.isDisjoint(with: [.nsp, .sop])
    func flag(_ value: Bool) -> String { value ? "1" : "0" }
    let bytes = try File.contents(of: Fixtures.path("b4k-names.json"))
    let keys = try #require(try JSON(parsing: bytes).members?.map(\.key))
    // The key says pool, nsp and mlm in the spelling of the file.
    let wanted = [test.heads.contains(.pooler), sequence, test.heads.contains(.mlm)]
    let key = try #require(
      keys.first { key in
        let parts = key.split(separator: "|").map(String.init)
        return parts[0] == test.model
          && parts.dropFirst().map { ["1", "true", "True"].contains($0) } == wanted
      }, "\(keys.prefix(3))")
    let expected = try expectedLayers(key)
    let spelled = try Bert4keras().spell(
      Models.random(
        family: test.model == "bert" ? "bert" : "albert",
        groups: test.model == "albert" ? 1 : nil,
        layers: Models.layers(of: expected.map(\.layer)),
        projection: expected.contains { $0.layer == "Embedding-Mapping" }, heads: test.heads))
    #expect(spelled.checkpoint.groups.map(\.name) == expected.map(\.layer))
    #expect(
      spelled.checkpoint.groups.map { group in
        group.tensors.map { String($0.name.dropFirst(group.name.count + 1)) }
      } == expected.map(\.weights))
  }

  @Test(arguments: DialectRegistry.all.filter(\.writes).map(\.name), ["bert", "albert"])
  func `what a dialect spells it binds to the same weights`(
    _ name: String, _ family: String
  ) throws {
    let dialect = try DialectRegistry.named(name)
    guard dialect.families.contains(family) else { return }
    let sequence: Head = family == "bert" ? .nsp : .sop
    for heads in [[], [.pooler], [.mlm], [.pooler, sequence, .mlm]] as [Set<Head>] {
      for groups in family == "albert" ? [nil, 1] : [nil] as [Int?] {
        let model = try Models.random(
          family: family, groups: groups, layers: 3, projection: family == "albert", heads: heads)
        let spelling = try dialect.spell(model)
        var reading = ModelReader.Options()
        reading.settings = [("num_attention_heads", "2"), ("num_hidden_layers", "3")]
        let again = try ModelReader(reading).model(
          of: spelling.checkpoint, configuration: ("config.json", spelling.configuration))
        #expect(again.architecture.family == family)
        #expect(again.architecture.heads == heads)
        #expect(again.weights.map(\.name) == model.weights.map(\.name))
        for (a, b) in zip(model.weights, again.weights) {
          #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
        }
      }
    }
  }

  @Test func `a session's counters in names do not matter, the order does`() throws {
    let model = try Models.random(
      family: "bert", groups: nil, layers: 2, projection: false, heads: [])
    var spelled = try Bert4keras().spell(model).checkpoint
    for group in spelled.groups.indices {
      for index in spelled.groups[group].tensors.indices {
        spelled.groups[group].tensors[index].name = spelled.groups[group].tensors[index].name
          .replacing("dense", with: "dense_\(91 + index)")
      }
    }
    var reading = ModelReader.Options()
    reading.settings = [("num_attention_heads", "2")]
    let again = try ModelReader(reading).model(of: spelled, configuration: nil)
    for (a, b) in zip(model.weights, again.weights) {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  @Test func `gamma and beta are told by name in either order`() throws {
    let model = try Models.random(
      family: "bert", groups: nil, layers: 1, projection: false, heads: [])
    var spelled = try Bert4keras().spell(model).checkpoint
    for group in spelled.groups.indices where spelled.groups[group].name.hasSuffix("-Norm") {
      spelled.groups[group].tensors.reverse()
    }
    var reading = ModelReader.Options()
    reading.settings = [("num_attention_heads", "2")]
    let again = try ModelReader(reading).model(of: spelled, configuration: nil)
    for (a, b) in zip(model.weights, again.weights) {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  @Test(arguments: [
    ("Transformer-0-FeedForward", "missing"), ("Transformer-1-MultiHeadSelfAttention", "extra"),
    ("Embedding-Norm", "shape"), ("Embedding-Mystery", "layer"),
  ])
  func `a checkpoint that is not the family's is refused by name`(
    _ layer: String, _ damage: String
  ) throws {
    let model = try Models.random(
      family: "bert", groups: nil, layers: 2, projection: false, heads: [])
    var checkpoint = try Bert4keras().spell(model).checkpoint
    let index = checkpoint.groups.firstIndex { $0.name == layer } ?? 0
    switch damage {
    case "missing": checkpoint.groups.remove(at: index)
    case "extra": checkpoint.groups[index].tensors.append(checkpoint.groups[index].tensors[0])
    case "shape":
      checkpoint.groups[index].tensors[0] = Tensor(
        name: "\(layer)/\(layer)/beta:0", shape: [7], values: [Float](repeating: 0, count: 7))
    default: checkpoint.groups.append(Group(name: layer, tensors: checkpoint.groups[0].tensors))
    }
    var reading = ModelReader.Options()
    reading.settings = [("num_attention_heads", "2")]
    let error = try #require(throws: CheckpointError.self) {
      try ModelReader(reading).model(of: checkpoint, configuration: nil)
    }
    #expect(error.kind == .mismatch)
    let text = error.description
    #expect(
      text.contains(layer) || text.contains("layers.0.feed_forward.inner.kernel"), "\(text)")
  }

  @Test func `bert4keras has no place for several groups`() throws {
    let model = try Models.random(
      family: "albert", groups: 2, layers: 4, projection: true, heads: [])
    let error = try #require(throws: CheckpointError.self) { try Bert4keras().spell(model) }
    #expect(error.kind == .unsupported)
    #expect(error.hint?.contains("untie") == true)
  }

  @Test func `transformers has no BERT with a projection, but an ALBERT`() throws {
    let model = try Models.random(
      family: "bert", groups: nil, layers: 2, projection: true, heads: [.pooler])
    let error = try #require(throws: CheckpointError.self) { try HuggingFace().spell(model) }
    #expect(error.hint?.contains("--to-family albert") == true)
    let relabelled = try model.relabelled(as: "albert")
    #expect(try HuggingFace().spell(relabelled).missing == [])
  }

  @Test func `an ALBERT of equal sizes gets an identity for transformers`() throws {
    let model = try Models.random(
      family: "albert", groups: 1, layers: 2, projection: false, heads: [.pooler])
    let spelling = try HuggingFace().spell(model)
    let made = spelling.rows.filter { $0.sources.isEmpty }
    #expect(made.map(\.operation) == ["made: identity, transposed", "made: identity"])
  }
}
