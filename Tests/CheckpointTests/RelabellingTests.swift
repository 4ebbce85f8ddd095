import Checkpoint
import Testing

/// Which families are one function under two names.
@Suite struct RelabellingTests {
  struct Pair: Sendable {
    var from: String
    var to: String
    var heads: Set<Head> = []
    var becomes: Set<Head> = []
    var segments = 2
    var projection = false
  }

  @Test(arguments: [
    Pair(
      from: "bert", to: "albert", heads: [.pooler, .nsp, .mlm], becomes: [.pooler, .sop, .mlm]),
    Pair(from: "albert", to: "bert", heads: [.pooler, .sop], becomes: [.pooler, .nsp]),
    Pair(from: "albert", to: "electra", heads: [.mlm], becomes: [.mlm], projection: true),
    Pair(from: "bert", to: "electra", projection: true),
    Pair(from: "electra", to: "albert", heads: [.mlm], becomes: [.mlm], projection: true),
    Pair(from: "bert", to: "distilbert", heads: [.mlm], becomes: [.mlm], segments: 0),
    Pair(from: "distilbert", to: "bert", heads: [.mlm], becomes: [.mlm], segments: 0),
    Pair(from: "t5", to: "mt5", heads: [.lm], becomes: [.lm], segments: 0),
    Pair(from: "mt5", to: "t5", heads: [.lm], becomes: [.lm], segments: 0),
  ])
  func `families of one structure are exchanged`(_ pair: Pair) throws {
    let model = try Models.random(
      family: pair.from, groups: nil, layers: 2, projection: pair.projection, heads: pair.heads,
      change: { $0.segments = pair.segments })
    let result = try model.relabelled(as: pair.to)
    #expect(result.architecture.family == pair.to)
    #expect(result.architecture.heads == pair.becomes)
    #expect(
      try result.weights.map { try $0.tensor.bytes() }
        == model.weights.map { try $0.tensor.bytes() })
  }

  @Test func `a shared layer that is applied once is a layer of its own`() throws {
    let model = try Models.random(
      family: "albert", groups: 1, layers: 1, projection: true, heads: [])
    let result = try model.relabelled(as: "electra")
    #expect(result.architecture.configuration.groups == nil)
    #expect(result["layers.0.attention.query.kernel"] != nil)
    #expect(
      try result.weights.map { try $0.tensor.bytes() }
        == model.weights.map { try $0.tensor.bytes() })
  }

  @Test(
    arguments: [
      ("albert", "electra", [.pooler], nil, "--allow-drop 'pooler.*'"),
      ("albert", "bert", [], 1, "--apply untie"), ("bert", "distilbert", [], nil, "segments"),
      ("bert", "roberta", [], nil, "padding id"), ("bert", "roformer", [], nil, "rotation"),
      ("bert", "t5", [], nil, "decoder"), ("gpt", "gpt2", [.lm], nil, "norms"),
      ("bert", "nezha", [], nil, "distances"), ("bert", "gpt", [], nil, "norm behind"),
      ("bert", "albert_zh", [], nil, "factored"),
    ] as [(String, String, Set<Head>, Int?, String)])
  func `others are refused with the reason`(
    _ from: String, _ to: String, _ heads: Set<Head>, _ groups: Int?, _ word: String
  ) throws {
    let model = try Models.random(
      family: from, groups: groups, layers: 2, projection: false, heads: heads)
    let error = try #require(throws: CheckpointError.self) { try model.relabelled(as: to) }
    #expect(error.description.contains(word) || error.hint?.contains(word) == true, "\(error)")
  }
}
