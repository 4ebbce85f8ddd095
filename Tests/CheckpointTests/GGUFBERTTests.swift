import Checkpoint
import TestSupport
import Testing

/// llama.cpp's BERT: both ways, and what it cannot hold.
@Suite struct GGUFBERTTests {
  private func model(
    _ heads: Set<Head> = [], _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> Model {
    try Models.random(family: "bert", groups: nil, layers: 2, projection: false, heads: heads) {
      $0.activation = .geluTanh
      change(&$0)
    }
  }

  private func read(_ checkpoint: Checkpoint) throws -> Model {
    try ModelReader().model(of: checkpoint, configuration: nil)
  }

  @Test(arguments: [1e-12, 1e-7, 1e-5])
  func `metadata alone say what the weights mean`(_ epsilon: Double) throws {
    let model = try model {
      ($0.embeddingNormEpsilon, $0.blockNormEpsilon, $0.headNormEpsilon) =
        (epsilon, epsilon, epsilon)
      $0.mask = .causal
    }
    let again = try read(GGUFBERT().spell(model).checkpoint)
    #expect(again.dialect == "gguf-bert")
    #expect(again.architecture.configuration.blockNormEpsilon == epsilon)
    #expect(again.architecture.configuration.mask == .causal)
    #expect(again.architecture.configuration.heads == 2)
    #expect(again.weights.map(\.name) == model.weights.map(\.name))
    for (a, b) in zip(model.weights, again.weights) {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  @Test func `query, key and value may be one`() throws {
    let model = try model()
    var checkpoint = try GGUFBERT().spell(model).checkpoint
    let parts = ["q", "k", "v"]
    for end in ["weight", "bias"] {
      let tensors = try parts.map { part in
        try #require(checkpoint.tensors.first { $0.name == "blk.1.attn_\(part).\(end)" })
      }
      let shape: Shape = end == "weight" ? [18, 6] : [18]
      checkpoint.groups[0].tensors.removeAll { tensor in
        tensors.contains { $0.name == tensor.name }
      }
      checkpoint.groups[0].tensors.append(
        Tensor(
          name: "blk.1.attn_qkv.\(end)", shape: shape,
          values: try tensors.flatMap { try $0.floats() }
        ))
    }
    let again = try read(checkpoint)
    for (a, b) in zip(model.weights, again.weights) {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  static let refused:
    [(
      what: String, heads: Set<Head>, change: @Sendable (inout Configuration) -> Void, hint: String
    )] =
      [
        ("gelu by erf", [], { $0.activation = .geluErf }, "hidden_act=gelu_tanh"),
        ("relu", [], { $0.activation = .relu }, ""),
        ("heads", [.pooler, .nsp, .mlm], { _ in }, "--allow-drop 'mlm.*'"),
        ("narrow embeddings", [], { ($0.projection, $0.embeddingSize) = (true, 4) }, ""),
        ("wide keys", [], { $0.keySize = 4 }, ""),
        ("epsilons", [], { $0.embeddingNormEpsilon = 1e-3 }, "embedding_norm_eps="),
        ("UniLM", [], { $0.mask = .unilm }, ""),
        ("residual scores", [], { $0.residualScores = true }, ""),
        ("talking heads", [], { $0.talkingHeads = true }, ""),
      ]

  @Test(arguments: refused.indices)
  func `what llama.cpp does not compute is refused`(_ index: Int) throws {
    let test = Self.refused[index]
    let model = try model(test.heads, test.change)
    let error = try #require(throws: CheckpointError.self) { try GGUFBERT().spell(model) }
    #expect(error.kind == (test.what == "heads" ? .wouldDrop : .unsupported), "\(error)")
    #expect((error.hint ?? "").contains(test.hint), "\(test.what): \(error)")
  }

  @Test func `an ALBERT is refused`() throws {
    let model = try Models.random(
      family: "albert", groups: 1, layers: 2, projection: false, heads: [])
    let error = try #require(throws: CheckpointError.self) { try GGUFBERT().spell(model) }
    #expect(error.hint?.contains("untie") == true)
  }

  @Test func `words are marked where they begin`() throws {
    let spelling = try GGUFBERT().spell(model())
    let vocabulary = Vocabulary(tokens: [
      "[PAD]", "##a", "a", "[UNK]", "[CLS]", "[SEP]", "[unused1]",
    ])
    let joined = try GGUFBERT().joined(spelling) { () throws(CheckpointError) in vocabulary }
    let tokens = try #require(
      joined.checkpoint.attributes.first { $0.name == "tokenizer.ggml.tokens" })
    #expect(
      tokens.texts == [
        "[PAD]", "a", "▁a", "[UNK]", "[CLS]", "[SEP]", "▁[unused1]", "▁[PAD7]", "▁[PAD8]",
        "▁[PAD9]", "▁[PAD10]",
      ])
    #expect(GGUFBERT().vocabulary(in: joined.checkpoint)?.tokens == vocabulary.tokens)
    #expect(GGUFBERT().vocabulary(in: spelling.checkpoint)?.tokens == nil)
    #expect(joined.remarks.contains { $0.contains("[MASK]") })
    #expect(joined.checkpoint.text("tokenizer.ggml.model") == "bert")
    let none = try GGUFBERT().joined(spelling) { () throws(CheckpointError) in nil }
    #expect(none.remarks.contains { $0.contains("--vocab") })
    let large = Vocabulary(tokens: (0..<12).map { "t\($0)" })
    let error = try #require(throws: CheckpointError.self) {
      try GGUFBERT().joined(spelling) { () throws(CheckpointError) in large }
    }
    #expect(error.kind == .mismatch)
  }

  @Test func `blocks that lie across are refused`() throws {
    var model = try Models.random(
      family: "bert", groups: nil, layers: 1, projection: false, heads: []
    ) {
      $0.activation = .geluTanh
      ($0.hiddenSize, $0.embeddingSize, $0.keySize, $0.headSize) = (32, 32, 16, 16)
    }
    model.weights = model.weights.map { weight in
      var copy = weight
      if weight.tensor.canBecome(.q8_0) { copy.tensor = weight.tensor.cast(to: .q8_0) }
      return copy
    }
    let error = try #require(throws: CheckpointError.self) { try GGUFBERT().spell(model) }
    #expect(error.hint?.contains("llama-quantize") == true)
  }
}
