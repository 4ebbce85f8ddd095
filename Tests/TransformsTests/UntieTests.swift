import Checkpoint
import TestSupport
import Testing
import Transforms

@Suite struct UntieTests {
  /// An ALBERT whose weights tell their block by their value.
  private func albert(layers: Int, groups: Int?, inner: Int) throws -> Model {
    var c = Configuration()
    (c.vocabularySize, c.embeddingSize, c.hiddenSize, c.intermediateSize) = (9, 4, 6, 10)
    (c.heads, c.keySize, c.headSize, c.positions, c.segments) = (2, 3, 3, 5, 2)
    (c.layers, c.groups, c.innerGroups, c.projection) = (layers, groups, inner, true)
    let blocks = c.blocks
    return try SampleModel.make("albert", heads: [.mlm], c, dialect: "huggingface") { name, _ in
      Float(blocks.firstIndex { name.hasPrefix($0 + ".") } ?? 99)
    }
  }

  @Test(arguments: [(5, 1, 1), (4, 2, 2), (6, 3, 1), (3, 1, 3), (5, 2, 1), (12, 1, 1)])
  func `every depth gets the block that was applied there`(
    _ layers: Int, _ groups: Int, _ inner: Int
  ) throws {
    let model = try albert(layers: layers, groups: groups, inner: inner)
    let before = model.architecture.configuration
    let step = try TransformStep(parsing: "untie")
    let change = try TransformRegistry.apply([step], to: model)
    let (result, relation) = (change.model, change.correspondence)
    let after = result.architecture.configuration
    #expect(after.groups == nil && after.depth == before.depth && after.innerGroups == 1)
    #expect(relation.contract == .exact)
    for depth in 0..<before.depth {
      let expected = try #require(before.blocks.firstIndex(of: before.block(at: depth)))
      let weight = try #require(result["layers.\(depth).feed_forward.inner.bias"])
      #expect(try weight.tensor.floats().allSatisfy { $0 == Float(expected) })
      #expect(weight.sources == ["\(before.block(at: depth)).feed_forward.inner.bias"])
    }
    // Whatever is not in a shared block stays, in order.
    #expect(
      result.weights.map(\.name).filter { !$0.hasPrefix("layers.") }
        == model.weights.map(\.name).filter { !$0.hasPrefix("groups.") })
  }

  @Test func `a model that shares nothing is refused`() throws {
    let model = try albert(layers: 2, groups: nil, inner: 1)
    let error = try #require(throws: CheckpointError.self) {
      try Untie().apply(to: model, TransformArguments("untie"))
    }
    #expect(error.kind == .unsupported)
  }

  @Test(arguments: ["untie=3", "untie:x=1", "untie:x", "nothing", "rename", "untie,x=1"])
  func `a step that is wrong is a usage error`(_ text: String) {
    let error = #expect(throws: CheckpointError.self) { try TransformStep(parsing: text) }
    #expect(error?.kind == .usage)
  }

  @Test func `correspondences compose`() {
    let first = Correspondence(
      contract: .rounding, tokens: [4, 2, 0], renamed: ["a": "b"], removed: ["x"])
    let second = Correspondence(
      contract: .exact, tokens: [2, 0], renamed: ["b": "c", "d": "e"], removed: ["y"])
    let both = first.followed(by: second)
    #expect(both.contract == .rounding)
    #expect(both.tokens == [0, 4])
    #expect(both.name(of: "a") == "c")
    #expect(both.name(of: "d") == "e")
    #expect(both.name(of: "x") == nil && both.name(of: "y") == nil)
    #expect(both.name(of: "other") == "other")
  }

  @Test func `what is said of a name holds for all that begin with it`() {
    let relation = Correspondence(
      renamed: ["layers.5": "layers.3", "layers.5.norm": "last"],
      removed: ["layers.3", "layers.5.b"])
    #expect(relation.name(of: "layers.5.attention.key") == "layers.3.attention.key")
    #expect(relation.name(of: "layers.5.norm.x") == "last.x")
    #expect(relation.name(of: "layers.5.b.c") == nil && relation.name(of: "layers.3.a") == nil)
    #expect(relation.name(of: "layers.55.a") == "layers.55.a")
    #expect(relation.name(of: "layers.30") == "layers.30")
    // A weight stays where it is unless its place is another's.
    #expect(relation.place(of: "layers.5.a.kernel") == "layers.3.a.kernel")
    #expect(relation.place(of: "layers.3.a.kernel") == nil)
    #expect(relation.place(of: "layers.5.b.kernel") == "layers.5.b.kernel")
  }

  @Test func `composed, they say what both say in turn`() {
    let names = ["a", "a.b", "a.b.c", "a.c", "b", "b.b", "b.b.c", "c", "c.a", "c.b"]
    var random = SeededGenerator(seed: 5)
    func relation() -> Correspondence {
      var relation = Correspondence()
      for name in names where Bool.random(using: &random) && Bool.random(using: &random) {
        if Bool.random(using: &random) {
          relation.removed.insert(name)
        } else {
          relation.renamed[name] = names.randomElement(using: &random)
        }
      }
      return relation
    }
    for _ in 0..<2000 {
      let (first, second) = (relation(), relation())
      let both = first.followed(by: second)
      for value in names + names.map({ $0 + ".d" }) {
        // A name that the first step gave to another value is not the source's own any more.
        let taken = first.renamed.values.contains { value == $0 || value.hasPrefix($0 + ".") }
        guard !taken || first.name(of: value) != value else { continue }
        #expect(both.name(of: value) == first.name(of: value).flatMap(second.name))
      }
    }
  }
}
