import Checkpoint
import Testing
import Transforms

@Suite struct DropLayersTests {
  @Test(arguments: [
    ("1", [0, 2, 3]), ("0,3", [1, 2]), ("1-2", [0, 3]), ("0-1,3", [2]), ("layers.0", [1, 2, 3]),
    ("2,2-3", [0, 1]),
  ])
  func `those that remain are counted anew`(_ list: String, _ kept: [Int]) throws {
    let model = try SampleModel.make("bert", heads: [.mlm])
    let change = try apply("drop-layers=\(list)", to: model)
    let (result, relation) = (change.model, change.correspondence)
    #expect(relation.contract == .lossy)
    #expect(result.architecture.configuration.layers == kept.count)
    for (number, old) in kept.enumerated() {
      for part in ["attention.query.kernel", "feed_forward.norm.beta"] {
        let weight = try #require(result["layers.\(number).\(part)"])
        #expect(weight.sources == ["layers.\(old).\(part)"] && weight.rounding == nil)
      }
      #expect(
        relation.name(of: "layers.\(old).attention.scores") == "layers.\(number).attention.scores")
      #expect(
        relation.place(of: "layers.\(old).attention.norm.beta")
          == "layers.\(number).attention.norm.beta")
    }
    for old in 0..<4 where !kept.contains(old) {
      #expect(relation.name(of: "layers.\(old).feed_forward.norm") == nil)
    }
    #expect(relation.name(of: "layers.11.feed_forward.norm") == "layers.11.feed_forward.norm")
    #expect(result.weights.count == model.weights.count - (4 - kept.count) * 16)
  }

  @Test func `an encoder's and a decoder's layers are told apart`() throws {
    let model = try SampleModel.make("t5", heads: [.lm], SampleModel.configuration(layers: 3))
    let change = try apply("drop-layers=encoder.0,decoder.1-2", to: model)
    let c = change.model.architecture.configuration
    #expect((c.layers, c.decoderLayers) == (2, 1))
    #expect(
      change.model["encoder.layers.0.attention.key.kernel"]?.sources
        == ["encoder.layers.1.attention.key.kernel"])
    #expect(
      change.model["decoder.layers.0.cross_attention.key.kernel"]?.sources
        == ["decoder.layers.0.cross_attention.key.kernel"])
    #expect(change.correspondence.name(of: "encoder.layers.2.output") == "encoder.layers.1.output")
    #expect(change.correspondence.name(of: "decoder.layers.2.output") == nil)
    #expect(change.model["encoder.relative_position"] != nil)
  }

  @Test func `a lone decoder's layers are its model's`() throws {
    var c = SampleModel.configuration(layers: 3)
    c.hasEncoder = false
    let change = try apply("drop-layers=1", to: try SampleModel.make("t5", heads: [.lm], c))
    let after = change.model.architecture.configuration
    #expect((after.layers, after.decoderLayers) == (2, 2))
    #expect(change.correspondence.name(of: "decoder.layers.2.output") == "decoder.layers.1.output")
  }

  /// Layers, groups and inner groups before; the list; layers, groups after, `nil` for own weights;
  /// the source's block of each layer that remains.
  @Test(arguments: [
    (4, 1, 1, "1,3", 2, 1 as Int?, ["groups.0.0", "groups.0.0"]),
    (4, 2, 1, "0", 3, nil, []), (4, 2, 1, "2-3", 2, 1, ["groups.0.0", "groups.0.0"]),
    (4, 2, 1, "0-1", 2, 1, ["groups.1.0", "groups.1.0"]),
    (4, 2, 1, "1,2", 2, nil, ["groups.0.0", "groups.1.0"]),
    (4, 2, 2, "0-1,4-5", 2, 2, ["groups.0.0", "groups.0.1", "groups.1.0", "groups.1.1"]),
    (4, 2, 2, "0", 0, nil, []), (6, 2, 1, "0,3", 4, 2, ["groups.0.0", "groups.0.0", "groups.1.0"]),
    (2, 1, 1, "0", 1, 1, ["groups.0.0"]),
  ])
  func `shared layers are applied less often`(
    _ layers: Int, _ groups: Int, _ inner: Int, _ list: String, _ left: Int, _ leftGroups: Int?,
    _ blocks: [String]
  ) throws {
    var c = SampleModel.configuration(layers: layers)
    (c.groups, c.innerGroups) = (groups, inner)
    let model = try SampleModel.make("albert", c)
    guard !blocks.isEmpty else {
      let error = #expect(throws: CheckpointError.self) {
        try apply("drop-layers=\(list)", to: model)
      }
      #expect(error?.kind == .unsupported && error?.hint?.contains("untie") == true)
      return
    }
    let result = try apply("drop-layers=\(list)", to: model).model
    let after = result.architecture.configuration
    #expect((after.layers, after.groups) == (left, leftGroups))
    for (depth, block) in blocks.enumerated() {
      let weight = try #require(result["\(after.block(at: depth)).feed_forward.inner.bias"])
      #expect(weight.sources == ["\(block).feed_forward.inner.bias"])
    }
  }

  @Test(arguments: [
    ("bert", "4"), ("bert", "0-3"), ("bert", "2-1"), ("bert", "-1"), ("bert", "1-"), ("bert", "a"),
    ("bert", "1,,2"), ("bert", "1,"), ("bert", "encoder.1"), ("bert", "1-2-3"), ("bert", "+1"),
    ("bert", "99999999999999999999"), ("bert", "0-9223372036854775807"), ("t5", "0"),
    ("t5", "decoder.0-3"), ("t5", "middle.0"), ("t5", "encoder.4"), ("albert", "0-3"),
  ])
  func `a list that means no layers, or all of them, is a usage error`(
    _ family: String, _ list: String
  ) throws {
    let model = try SampleModel.make(family, heads: family == "t5" ? [.lm] : [])
    let error = #expect(throws: CheckpointError.self) {
      try apply("drop-layers=\(list)", to: model)
    }
    #expect(error?.kind == .usage)
  }

  @Test func `steps before and after speak of the same layers`() throws {
    let model = try SampleModel.make("bert")
    let change = try apply("drop-layers=0", "widen-ffn=8", "drop-layers=1", to: model)
    let relation = change.correspondence
    // 1, 2, 3 become 0, 1, 2; then 1 goes and 2 becomes 1.
    #expect(relation.name(of: "layers.1.attention.norm") == "layers.0.attention.norm")
    #expect(relation.name(of: "layers.2.attention.norm") == nil)
    #expect(relation.name(of: "layers.3.attention.norm") == "layers.1.attention.norm")
    #expect(relation.name(of: "layers.3.feed_forward.inner") == nil)
    #expect(relation.name(of: "layers.0.attention.norm") == nil)
    #expect(relation.rewritten.contains("layers.3.feed_forward.inner.kernel"))
    let plain = SampleModel.configuration(layers: 2)
    #expect(change.model.architecture.configuration.layers == plain.layers)
  }
}
