import Checkpoint
import Infer
import Testing

/// Weights are listed by the architecture and used by the graph: what one of them knows and the other
/// does not would be lost without a word.
@Suite struct GraphWeightsTests {
  /// A change of the configuration, and the families whose structure knows it.
  struct Option: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var fits: @Sendable (Structure) -> Bool = { _ in true }
    var change: @Sendable (inout Configuration) -> Void

    init(
      _ name: String, where fits: @escaping @Sendable (Structure) -> Bool = { _ in true },
      _ change: @escaping @Sendable (inout Configuration) -> Void
    ) {
      testDescription = name
      self.fits = fits
      self.change = change
    }
  }

  static let options: [Option] = [
    Option("plain") { _ in },
    Option("no segments") { $0.segments = 0 },
    Option("segments among the tokens", where: { !$0.encoderDecoder }) { $0.sharesSegments = true },
    Option("projection", where: { !$0.languageModel }) {
      ($0.embeddingSize, $0.projection) = (4, true)
    },
    Option("factored tokens", where: { $0 == Structure() }) {
      ($0.embeddingSize, $0.factor) = (4, true)
    },
    Option(
      "wide keys, narrow values", where: { !$0.gatedUnit && $0.position != .relative }
    ) {
      ($0.keySize, $0.headSize) = (4, 2)
    },
    Option("one gate", where: { !$0.gatedUnit }) { $0.gates = [.linear] },
    Option("three gates", where: { !$0.gatedUnit }) { $0.gates = [.linear, .tanh, .relu] },
    Option("decomposed positions", where: { $0.position == .absolute }) {
      $0.hierarchicalPosition = 0.4
    },
    Option("given positions", where: { [.absolute, .rotary].contains($0.position) }) {
      $0.givenPositions = true
    },
    Option("residual scores", where: { !$0.gatedUnit }) { $0.residualScores = true },
    Option("talking heads", where: { !$0.gatedUnit }) { $0.talkingHeads = true },
    Option("talking heads with biases", where: { !$0.gatedUnit }) {
      ($0.talkingHeads, $0.talkingHeadsBias) = (true, true)
    },
    Option("conditional norms", where: { $0.norm != .plain && !$0.encoderDecoder }) {
      $0.conditionSize = 3
    },
    Option(
      "conditional norms, hidden layer", where: { $0.norm != .plain && !$0.encoderDecoder }
    ) {
      ($0.conditionSize, $0.conditionHiddenSize) = (3, 2)
    },
    Option("norms with offsets", where: { $0.norm == .scale }) { $0.normOffset = true },
    Option("own decoder", where: { $0.encoderDecoder || $0.languageModel }) {
      ($0.tiesDecoder, $0.scalesDecoder) = (false, true)
    },
    Option("encoder", where: \.encoderDecoder) { $0.hasDecoder = false },
    Option("decoder", where: \.encoderDecoder) { $0.hasEncoder = false },
    Option("bias in cross-attention", where: { $0.encoderDecoder && $0.sharesDistances }) {
      $0.crossPositionBias = true
    },
    Option("unilm", where: { !$0.encoderDecoder }) { $0.mask = .unilm },
  ]

  static let tops: [TopLayer] = [
    TopLayer("labels", .dense(.softmax), on: .firstToken, inputSize: 6, outputSize: 5),
    TopLayer(
      "inner", .dense(.activated(.relu)), on: .sequence, inputSize: 6, outputSize: 4, hasBias: false
    ),
    TopLayer(
      "outer", .dense(.activated(.linear)), on: .layer("inner"), inputSize: 4, outputSize: 3),
    TopLayer("answer", .span, on: .sequence, inputSize: 6, outputSize: 2),
    TopLayer(
      "pointer", .globalPointer(size: 2, isRotary: true, isTriangular: true), on: .sequence,
      inputSize: 6, outputSize: 3),
    TopLayer(
      "efficient", .efficientGlobalPointer(size: 4, isRotary: false, isTriangular: false),
      on: .sequence, inputSize: 6, outputSize: 3),
  ]

  /// Whatever heads a family may carry, one and one: those on the pooler come with it.
  static func heads(_ family: any Family, _ c: Configuration) -> [Set<Head>] {
    let possible = Set(family.possibleHeads).filter { $0 != .lm || c.hasDecoder }
    let onPooler: Set<Head> = [.nsp, .sop]
    let single = possible.map { onPooler.contains($0) ? [$0, .pooler] : [$0] as Set<Head> }
    return [[]] + single + [possible]
  }

  @Test(arguments: ArchitectureRegistry.all.map(\.name), options)
  func `the graph uses the architecture's weights, each in its shape`(
    _ name: String, _ option: Option
  ) throws {
    let family = try ArchitectureRegistry.named(name)
    guard option.fits(family.structure) else { return }
    var c = Configuration()
    (c.vocabularySize, c.hiddenSize, c.embeddingSize, c.intermediateSize) = (11, 6, 6, 10)
    (c.heads, c.keySize, c.headSize, c.positions, c.segments) = (3, 2, 2, 9, 2)
    (c.layers, c.decoderLayers, c.buckets, c.relativePositions) = (2, 3, 4, 5)
    if family.structure.encoderDecoder { c.segments = 0 }
    option.change(&c)
    for heads in Self.heads(family, c) {
      for tops in [[], Self.tops] {
        try Self.compare(
          family,
          FamilyArchitecture(family: name, configuration: c, heads: heads, tops: tops))
      }
    }
  }

  @Test(arguments: ["albert", "albert_zh"], [(1, 1, 3), (2, 1, 5), (2, 2, 3), (3, 1, 7)])
  func `so does a graph of shared layers`(
    _ name: String, _ sizes: (groups: Int, inner: Int, layers: Int)
  ) throws {
    let family = try ArchitectureRegistry.named(name)
    var c = Configuration()
    (c.vocabularySize, c.hiddenSize, c.embeddingSize, c.intermediateSize) = (11, 6, 4, 10)
    (c.heads, c.keySize, c.headSize, c.positions, c.segments) = (3, 2, 2, 9, 2)
    (c.groups, c.innerGroups, c.layers) = (sizes.groups, sizes.inner, sizes.layers)
    (c.projection, c.factor) = (name == "albert", name == "albert_zh")
    try Self.compare(
      family,
      FamilyArchitecture(family: name, configuration: c, heads: Set(family.possibleHeads)))
  }

  private static func compare(
    _ family: any Family, _ architecture: FamilyArchitecture
  ) throws {
    try family.check(architecture.configuration)
    let specs = family.weights(architecture).map { "\($0.name) \($0.shape.extents)" }
    #expect(Set(specs).count == specs.count)
    let graph = try FamilyRegistry.graph(architecture)
    let used = graph.weights.map { id in
      let extents = graph[id].shape.map { dimension -> Int in
        if case .fixed(let extent) = dimension { extent } else { -1 }
      }
      return "\(graph[id].name) \(extents)"
    }
    let (wanted, there) = (Set(specs), Set(used))
    #expect(wanted.subtracting(there).sorted() == [], "of \(architecture) only in the list")
    #expect(there.subtracting(wanted).sorted() == [], "of \(architecture) only in the graph")
  }
}
