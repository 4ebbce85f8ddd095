/// BERT's encoder (arXiv 1810.04805): every layer has its own weights.
///
/// With `embedding_size` other than `hidden_size` it is bert4keras' factorized form, which is also
/// what an untied ALBERT looks like there. Chinese RoBERTa, LaBSE and SimBERT are BERTs too.
public struct BERT: Family {
  public init() {}

  public var name: String { "bert" }
  public var aliases: [String] { ["simbert", "labse"] }
  public var summary: String { "BERT: post-LayerNorm encoder, own weights in every layer" }
  public var possibleHeads: [Head] { [.pooler, .nsp, .mlm] }
  public var structure: Structure { Structure() }
}
