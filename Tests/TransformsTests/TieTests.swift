import Checkpoint
import Testing
import Transforms

@Suite struct TieTests {
  /// The number of a weight's layer.
  private static func layer(_ name: String) -> Float {
    name.hasPrefix("layers.") ? Float(name.split(separator: ".")[1]) ?? 0 : 0.5
  }

  @Test(arguments: [(5, 1, 1), (5, 2, 1), (7, 3, 1), (12, 5, 1), (6, 1, 2), (12, 2, 3), (4, 3, 1)])
  func `a group is the mean of its layers`(_ layers: Int, _ groups: Int, _ inner: Int) throws {
    let c = SampleModel.configuration(layers: layers)
    let model = try SampleModel.make("albert", heads: [.mlm], c) { name, index in
      Self.layer(name) * 3 + Float(index)
    }
    let change = try apply("tie=\(groups):inner=\(inner)", to: model)
    let after = change.model.architecture.configuration
    #expect(change.model.architecture.family == "albert")
    #expect((after.groups, after.innerGroups, after.depth) == (groups, inner, layers))
    #expect(change.correspondence.contract == .lossy)
    let rounds = layers / inner
    for group in 0..<groups {
      for place in 0..<inner {
        // In whole numbers: the rounds r with ⌊r·G/(L/J)⌋ = g.
        let members = (0..<rounds).filter { $0 * groups / rounds == group }.map {
          $0 * inner + place
        }
        let mean = Double(members.reduce(0, +)) / Double(members.count) * 3
        let name = "groups.\(group).\(place).attention.key.bias"
        #expect(try change.model.numbers(name) == (0..<8).map { Double(Float(mean + Double($0))) })
        #expect(change.model[name]?.sources == members.map { "layers.\($0).attention.key.bias" })
        for layer in members {
          let key = "layers.\(layer).attention.key.bias"
          #expect(members.count == 1 || change.correspondence.rewritten.contains(key))
        }
      }
    }
    #expect(change.model["mlm.bias"]?.operation == "")
  }

  @Test(arguments: [(5, 1, 1), (4, 2, 2), (6, 3, 1), (3, 1, 3), (5, 2, 1)])
  func `after untie the model is the one that it was`(
    _ layers: Int, _ groups: Int, _ inner: Int
  ) throws {
    var c = SampleModel.configuration(layers: layers)
    (c.groups, c.innerGroups) = (groups, inner)
    let model = try SampleModel.make("albert", heads: [.pooler, .sop], c)
    let change = try apply("untie", "tie=\(groups):inner=\(inner)", to: model)
    #expect(change.correspondence.contract == .exact)
    #expect(change.model.architecture == model.architecture)
    #expect(change.model.weights.map(\.name) == model.weights.map(\.name))
    for (old, new) in zip(model.weights, change.model.weights) {
      #expect(try new.rounding == nil && new.tensor.hasBytes(of: old.tensor))
      #expect(new.sources == old.sources)
    }
    #expect(change.findings.allSatisfy { $0.value == 0 })
  }

  @Test func `as many groups as layers share nothing yet`() throws {
    var c = SampleModel.configuration()
    c.groups = c.layers
    let change = try apply("tie=2", to: SampleModel.make("albert", c))
    #expect(change.model.architecture.configuration.groups == 2)
    let name = "groups.1.0.feed_forward.inner.bias"
    #expect(change.model[name]?.sources == [2, 3].map { "groups.\($0).0.feed_forward.inner.bias" })
  }

  @Test func `how far layers were apart is told`() throws {
    // All weights are equal but for one element of one weight: 1 and 3, so the mean is 2.
    let model = try SampleModel.make("bert", SampleModel.configuration(layers: 2)) { name, index in
      name == "layers.1.attention.key.bias" && index == 0 ? 3 : 1
    }
    let change = try apply("tie", to: model)
    #expect(change.model.architecture.family == "albert")
    let elements = change.model.weights.filter { $0.name.hasPrefix("groups.") }
      .reduce(0) { $0 + $1.tensor.shape.count }
    // ‖mean‖² counts every element of the layer once, and the odd one as 4.
    let whole = (1 / Double(elements - 1 + 4)).squareRoot()
    let farthest = (1 / Double(7 + 4)).squareRoot()
    for (layer, found) in [
      ("layers.0", change.findings.prefix(3)), ("layers.1", change.findings.dropFirst(3)),
    ] {
      #expect(found.map(\.subject) == [layer, layer, layer + ".attention.key.bias"])
      #expect(zip(found.map(\.value), [whole, 1, farthest]).allSatisfy { abs($0 - $1) < 1e-12 })
    }
    #expect(change.correspondence.rewritten.count == 2)
    #expect(change.model["groups.0.0.attention.query.kernel"]?.rounding == nil)
  }

  @Test func `the mean of half precision is rounded once`() throws {
    let model = try SampleModel.make(
      "bert", SampleModel.configuration(layers: 3), dtype: .f16
    ) { name, _ in [2048, 2048, 2050][Int(Self.layer(name))] }
    // (2048 + 2048 + 2050) / 3 = 2048.67; half precision has even numbers here.
    let weight = try #require(try apply("tie", to: model).model["groups.0.0.attention.norm.beta"])
    #expect(try weight.tensor.doubles()[0] == 6146.0 / 3)
    let written = weight.rounded().tensor
    #expect(written.dtype == .f16)
    #expect(try written.doubles()[0] == 2048)
  }

  @Test(arguments: [
    ("albert", "tie=4", CheckpointError.Kind.usage), ("albert", "tie=5", .usage),
    ("albert", "tie=0", .usage), ("albert", "tie:inner=3", .usage),
    ("albert", "tie=2:inner=2", .usage),
    ("roberta", "tie", .unsupported), ("nezha", "tie", .unsupported), ("gpt2", "tie", .unsupported),
    ("t5", "tie", .unsupported), ("roformer", "tie", .unsupported),
    ("gau_alpha", "tie", .unsupported),
  ])
  func `what cannot be shared is refused`(
    _ family: String, _ step: String, _ kind: CheckpointError.Kind
  ) throws {
    var c = SampleModel.configuration()
    if family == "nezha" { c.keySize = 3 }
    let model = try SampleModel.make(family, c)
    let error = #expect(throws: CheckpointError.self) { try apply(step, to: model) }
    #expect(error?.kind == kind, "\(String(describing: error))")
  }

  @Test func `shared layers are not shared again, and a head that ALBERT lacks is named`() throws {
    var c = SampleModel.configuration()
    c.groups = 2
    let shared = try SampleModel.make("albert", c)
    let error = #expect(throws: CheckpointError.self) { try apply("tie", to: shared) }
    #expect(error?.kind == .unsupported && error?.hint?.contains("untie") == true)
    let electra = try SampleModel.make("electra", heads: [.discriminator])
    let other = #expect(throws: CheckpointError.self) { try apply("tie", to: electra) }
    #expect(other?.kind == .unsupported && other?.reason.contains("discriminator") == true)
  }
}
