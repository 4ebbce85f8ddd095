import Checkpoint

extension Tokenization {
  /// What speaks against a vocabulary's being the model's: special tokens with other ids.
  static func oddities(of special: SpecialTokens, for model: Model) -> [String] {
    let configuration = model.architecture.configuration
    var oddities: [String] = []
    func expect(_ id: Int32?, _ name: String, _ expected: Int, _ source: String) {
      oddities += Tokenization.oddity(id, name, expected, source)
    }
    switch configuration.padding {
    case .tokenZero, .tokenOrSegmentZero, .everyTokenZero:
      oddities += padding(of: special)
    case .attentionMask:
      if let stated = model.configuration?["pad_token_id"]?.int {
        expect(special.padding, "the padding token", stated, "in the configuration")
      }
    }
    for (key, id, name) in [
      ("cls_token_id", special.start, "the first token"),
      ("sep_token_id", special.end, "the separator"),
      ("mask_token_id", special.mask, "the mask token"),
    ] {
      if let stated = model.configuration?[key]?.int {
        expect(id, name, stated, "in the configuration")
      }
    }
    return oddities
  }

  /// The same where 0 is padding to the model.
  static func padding(of special: SpecialTokens) -> [String] {
    oddity(special.padding, "the padding token", 0, "to the model")
  }

  private static func oddity(
    _ id: Int32?, _ name: String, _ expected: Int, _ source: String
  ) -> [String] {
    guard let id, Int(id) != expected else { return [] }
    return ["\(name) is id \(id) in the vocabulary, and \(expected) \(source); is it this model's?"]
  }
}
