import Checkpoint

extension OracleTests {
  /// Families of bert4keras, and its options, each as its users set it.
  static let bert4keras: [Case] =
    ["nezha", "roformer", "gpt2"].flatMap { family in
      ["weights.h5", "model.h5", "tf/best_model.weights"].map {
        Case(fixture: "b4k-\(family)", file: $0)
      }
    }
    + [
      "gau-alpha", "gpt", "gpt2-ml", "electra", "albert-unshared", "bert-prefix",
      "t5", "t5.1.1", "t5-no-cross-bias", "opt-sizes", "opt-gated", "opt-segments0",
      "opt-segments3", "opt-shared-segments", "opt-hierarchical", "opt-hierarchical-number",
      "opt-residual", "opt-positions", "opt-roformer-positions", "opt-conditional",
      "opt-conditional-hidden", "opt-talking-heads",
    ].map { Case(fixture: "b4k-\($0)", file: "weights.h5") }
    + ["nezha", "gau-alpha", "t5"].map {
      Case(
        fixture: "b4k-\($0)", file: "weights.h5", values: "expected.long", inputs: "inputs.long")
    }
    + ["t5", "t5.1.1"].flatMap { family in
      ["encoder", "decoder"].map { half in
        Case(
          fixture: "b4k-\(family)", file: "\(half).h5", values: "\(half).expected",
          inputs: half == "decoder" ? "decoder.inputs" : "inputs")
      }
    } + [
      Case(fixture: "b4k-roformer", file: "weights.h5", mask: .unilm),
      Case(
        fixture: "b4k-simbert", file: "weights.h5", mask: .unilm,
        settings: [(key: "pooler_activation", value: "linear")]),
      Case(
        fixture: "b4k-roformer-v2", file: "weights.h5",
        settings: [(key: "head_output", value: "logits")]),
      Case(fixture: "b4k-opt-lm", file: "weights.h5", mask: .causal),
      Case(
        fixture: "b4k-opt-linear-mlm", file: "weights.h5",
        settings: [
          (key: "pooler_activation", value: "relu"), (key: "head_output", value: "logits"),
        ]
      ),
      Case(
        fixture: "b4k-opt-keep-tokens", file: "weights.h5",
        settings: [(key: "vocab_size", value: "19")]),
    ]
}
