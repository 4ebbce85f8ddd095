import Checkpoint
import TestSupport
import Testing

/// Numbers of NumPy (`fixtures/generate_attention_analysis.py`) on real fixtures.
@Suite struct AttentionAnalysisTests {
  private static let expected: JSON? = try? JSON(
    parsing: File.contents(of: Fixtures.path("attention-analysis.json"), limit: 1 << 20))

  @Test(arguments: [
    "b4k-opt-sizes/weights.h5", "hf-gpt2", "b4k-opt-talking-heads/weights.h5", "hf-t5",
  ])
  func `singular values, ranks and similarities are NumPy's`(_ fixture: String) throws {
    let analysis = try AttentionAnalysis(Opening(Fixtures.path(fixture)).model())
    let parts = try #require(AttentionAnalysisTests.expected?[fixture]?.array)
    #expect(analysis.parts.map(\.name) == parts.compactMap { $0["name"]?.string })
    for (part, expected) in zip(analysis.parts, parts) {
      let heads = try #require(expected["heads"]?.array)
      #expect(part.heads.count == heads.count)
      for (head, expected) in zip(part.heads, heads) {
        let values = try #require(expected["singular_values"]?.array).compactMap(\.double)
        #expect(head.singularValues.count == values.count)
        for (mine, theirs) in zip(head.singularValues, values) {
          #expect(abs(mine - theirs) <= 1e-9 * values[0])
        }
        #expect(head.effectiveRank == expected["effective_rank"]?.int)
      }
      let similarity = try #require(expected["similarity"]?.array)
      for (mine, theirs) in zip(part.similarity, similarity) {
        for (a, b) in zip(mine, theirs.array ?? []) { #expect(abs(a - (b.double ?? 9)) < 1e-9) }
      }
      for (key, mine) in [("before", part.talking?.before), ("after", part.talking?.after)] {
        let theirs = expected[key]?.double
        #expect((mine == nil) == (theirs == nil))
        if let mine, let theirs { #expect(abs(mine - theirs) < 1e-9) }
      }
    }
  }

  @Test(arguments: ["b4k-albert-unshared", "b4k-bert", "b4k-opt-residual"])
  func `layers are as far from their mean as NumPy says`(_ fixture: String) throws {
    let spread = try LayerSpread(Opening(Fixtures.path(fixture, "weights.h5")).model())
    let layers = try #require(AttentionAnalysisTests.expected?["layers"]?[fixture]?.array)
    #expect(spread.layers.map(\.name) == layers.compactMap { $0["name"]?.string })
    #expect(spread.layers.map(\.farthest?.name) == layers.map { $0["farthest"]?.string })
    #expect(spread.equal.isEmpty)
    for (mine, theirs) in zip(spread.layers, layers) {
      for (value, key) in [
        (mine.distance, "distance"), (mine.largestDifference, "largest"),
        (mine.farthest?.distance ?? -1, "farthest_distance"),
      ] {
        let expected = try #require(theirs[key]?.double)
        #expect(abs(value - expected) <= 1e-12 * expected, "\(key) of \(mine.name)")
      }
    }
  }

  @Test func `a family without heads is refused`() throws {
    let model = try Opening(Fixtures.path("b4k-gau-alpha", "weights.h5")).model()
    let error = #expect(throws: CheckpointError.self) { try AttentionAnalysis(model) }
    #expect(error?.kind == .unsupported)
  }
}
