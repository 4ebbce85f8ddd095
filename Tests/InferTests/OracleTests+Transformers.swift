extension OracleTests {
  /// Families, classes and tasks of transformers, and files of its TensorFlow classes.
  static let transformers: [Case] =
    [
      "bert-tiny", "bert-nsp", "bert-token", "bert-sequence", "bert-qa", "albert-token",
      "albert-sequence", "albert-qa", "electra-discriminator", "electra-generator",
      "electra-equal", "electra-token", "electra-sequence", "electra-qa", "roformer",
      "roformer-rotary-value", "roformer-sequence", "roberta", "roberta-sequence", "distilbert",
      "distilbert-sequence", "distilbert-qa", "gpt", "gpt2", "t5", "t5-gated", "t5-encoder", "mt5",
      "umt5",
    ].map { Case(fixture: "hf-\($0)", file: "model.safetensors") }
    + [
      ("bert", "bert-tiny"), ("albert", "albert"), ("electra", "electra-discriminator"),
      ("distilbert", "distilbert"), ("gpt2", "gpt2"), ("t5", "t5"), ("roberta", "roberta"),
      ("roformer", "roformer"),
    ].map { Case(fixture: "hf-tf-\($0)", file: "tf_model.h5", folder: "hf-\($1)") }
    + [Case(fixture: "hf-bert-old", file: "pytorch_model.bin", folder: "hf-bert-tiny")]
}
