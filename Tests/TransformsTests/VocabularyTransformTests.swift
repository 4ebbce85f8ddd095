import Checkpoint
import Testing
import Transforms

/// A small model whose numbers tell their place.
enum Small {
  static func model(
    _ family: String = "bert", _ heads: Set<Head> = [], dtype: DType = .f32,
    dialect: String = "bert4keras", _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> Model {
    var c = Configuration()
    (c.vocabularySize, c.embeddingSize, c.hiddenSize, c.intermediateSize) = (9, 4, 4, 6)
    (c.heads, c.keySize, c.headSize, c.layers, c.decoderLayers) = (2, 2, 2, 1, 1)
    (c.positions, c.segments, c.buckets) = (3, 2, 4)
    change(&c)
    return try SampleModel.make(family, heads: heads, c, dtype: dtype, dialect: dialect) {
      _, index in
      index % 5 == 3 ? -0.0 : Float(index) - 7.25
    }
  }

  /// The rows of a matrix, or the elements of a vector.
  static func rows(_ model: Model, _ name: String) throws -> [[Float]] {
    let tensor = try #require(model[name]?.rounded().tensor)
    let values = try tensor.floats()
    let width = tensor.shape.count / tensor.shape[0]
    return (0..<tensor.shape[0]).map { Array(values[($0 * width)..<(($0 + 1) * width)]) }
  }

  static func columns(_ model: Model, _ name: String) throws -> [[Float]] {
    let rows = try rows(model, name)
    return rows[0].indices.map { column in rows.map { $0[column] } }
  }
}

/// `keep-tokens` and `compound-tokens`: which rows there are, what they are called, what is refused.
@Suite struct VocabularyTransformTests {
  private static let words = Vocabulary(
    tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "##s", "7", "8"])

  private func change(
    _ name: String, _ text: String, _ model: Model, _ options: [(String, String)] = []
  ) throws -> ModelChange {
    var arguments = TransformArguments(name, value: "file", content: Array(text.utf8))
    arguments.options = Dictionary(uniqueKeysWithValues: options)
    let transform = try #require(try TransformRegistry.named(name) as? any ModelTransform)
    var change = try transform.apply(to: model, arguments)
    change.model = try change.model.checked()
    return change
  }

  private func error(
    _ name: String, _ text: String, _ model: Model, _ options: [(String, String)] = []
  ) throws -> CheckpointError {
    try #require(throws: CheckpointError.self) { try change(name, text, model, options) }
  }

  @Test(arguments: [DType.f32, .f16, .bf16, .f64])
  func `everything with a row for each token is put in the new order, to the bit`(
    _ dtype: DType
  ) throws {
    let kept = [0, 5, 8, 2]
    for (family, heads) in [("bert", [.mlm, .pooler]), ("t5", [.lm])] as [(String, Set<Head>)] {
      let model = try Small.model(family, heads, dtype: dtype) { $0.tiesDecoder = false }
      let change = try change("keep-tokens", "[0, 5, 8, 2]", model)
      let result = change.model
      let expected = try Small.rows(model, "embeddings.token")
      let bits = { (rows: [[Float]]) in rows.map { $0.map(\.bitPattern) } }
      #expect(
        try bits(Small.rows(result, "embeddings.token")) == bits(kept.map { expected[$0] }))
      if family == "bert" {
        let biases = try Small.rows(model, "mlm.bias")
        #expect(try bits(Small.rows(result, "mlm.bias")) == bits(kept.map { biases[$0] }))
        #expect(change.correspondence.rewritten == ["embeddings.token", "mlm.bias"])
      } else {
        let columns = try Small.columns(model, "lm.kernel")
        #expect(try bits(Small.columns(result, "lm.kernel")) == bits(kept.map { columns[$0] }))
        #expect(change.correspondence.rewritten == ["embeddings.token", "lm.kernel"])
      }
      #expect(change.correspondence.tokens == kept)
      #expect(change.correspondence.contract == .exact)
      #expect(result.architecture.configuration.vocabularySize == 4)
      #expect(result.architecture.configuration.originalVocabularySize == 9)
      for weight in model.weights where !change.correspondence.rewritten.contains(weight.name) {
        #expect(result[weight.name]?.rounding == nil)
      }
      #expect(result["embeddings.token"]?.rounding == dtype)
    }
  }

  @Test func `columns that lie as rows are picked there, and turned back they are the picked rows`()
    throws
  {
    var model = try Small.model("t5", [.lm]) { $0.tiesDecoder = false }
    let index = try #require(model.weights.firstIndex { $0.name == "lm.kernel" })
    let plain = model.weights[index].tensor
    let stored = Tensor(
      name: "lm_head", shape: [9, 4], values: try plain.transposed().floats())
    model.weights[index].tensor = stored.transposed()
    let result = try change("keep-tokens", "[0, 7, 3]", model).model
    let columns = try Small.columns(model, "lm.kernel")
    #expect(try Small.columns(result, "lm.kernel") == [0, 7, 3].map { columns[$0] })
    let back = try #require(result["lm.kernel"]).rounded().tensor.transposed()
    #expect(!back.liesByColumns && back.payload.storage == "rows kept")
    #expect(try back.floats() == [0, 7, 3].flatMap { columns[$0] })
  }

  @Test(arguments: [
    "[0, 4, 5]", " [0,4,\n5]\n", "0\n4\n5\n", "0\r\n4\r\n5", "[\"[PAD]\", \"play\", \"##ing\"]",
    "[PAD]\nplay\n##ing\n",
  ])
  func `a list is JSON or lines, of ids or of tokens`(_ text: String) throws {
    var model = try Small.model()
    model.vocabulary = Self.words
    let result = try change("keep-tokens", text, model)
    #expect(result.correspondence.tokens == [0, 4, 5])
    #expect(result.model.vocabulary?.tokens == ["[PAD]", "play", "##ing"])
  }

  @Test func `numbers are ids unless it is said that they are tokens`() throws {
    var model = try Small.model(dialect: "huggingface") { $0.padding = .attentionMask }
    model.vocabulary = Self.words
    #expect(try change("keep-tokens", "7\n8", model).correspondence.tokens == [7, 8])
    let token = try change("keep-tokens", "8\n7", model, [("as", "tokens")])
    #expect(token.correspondence.tokens == [8, 7])
    model.vocabulary = Vocabulary(tokens: ["a", "b", "c", "7", "8"])
    #expect(
      try change("keep-tokens", "8\n7", model, [("as", "tokens")]).correspondence.tokens == [4, 3])
  }

  @Test(arguments: [
    ("[0, 4, 4]", "element 3: id 4 stands twice, the first time in element 2"),
    ("0\n9", "line 2: id 9 is beyond the token table, whose 9 rows are 0 to 8"),
    ("0\n-1", "line 2: id -1 is beyond"), ("[0, 1.5]", "element 2 is 1.5"),
    ("[PAD]\nplays", "line 2: the vocabulary has no token \"plays\""),
    ("[PAD]\nplay\n[PAD]", "line 3: id 0 stands twice"), ("", "the file is empty"),
    ("[]", "the file is empty"), ("0\n\n3", "no token \"0\""),
  ])
  func `a list that is wrong is a mistake of usage that names the place`(
    _ text: String, _ word: String
  ) throws {
    var model = try Small.model()
    model.vocabulary = Self.words
    let error = try error("keep-tokens", text, model)
    #expect(error.kind == .usage)
    #expect(error.reason.contains(word), "\(error)")
  }

  @Test func `tokens need a vocabulary, and one that is not larger than the table`() throws {
    var model = try Small.model()
    let missing = try error("keep-tokens", "[PAD]\nplay", model)
    #expect(missing.reason.contains("no vocabulary") && missing.hint?.contains("--vocab") == true)
    model.vocabulary = Vocabulary(tokens: (0..<10).map { "t\($0)" })
    let larger = try error("keep-tokens", "[0, 1]", model)
    #expect(larger.kind == .mismatch && larger.reason.contains("10 tokens"), "\(larger)")
  }

  @Test func `rows without a token stay at the end without one`() throws {
    var model = try Small.model()
    model.vocabulary = Vocabulary(tokens: Array(Self.words.tokens.prefix(6)))
    let result = try change("keep-tokens", "[0, 5, 8]", model).model
    #expect(result.vocabulary?.tokens == ["[PAD]", "##ing"])
    #expect(result.architecture.configuration.vocabularySize == 3)
    let refused = try error("keep-tokens", "[0, 8, 5]", model)
    #expect(refused.kind == .unsupported && refused.reason.contains("id 8 has no token"))
  }

  @Test func `ids that the model goes by stay in place`() throws {
    let padded = try error("keep-tokens", "[1, 0]", try Small.model())
    #expect(padded.kind == .unsupported && padded.reason.contains("id 0 is the padding"))
    let masked = try Small.model(dialect: "huggingface") { $0.padding = .attentionMask }
    #expect(try change("keep-tokens", "[4, 0]", masked).correspondence.tokens == [4, 0])
    let shared = try Small.model {
      ($0.sharesSegments, $0.padding) = (true, .tokenOrSegmentZero)
    }
    let segments = try error("keep-tokens", "[0, 2, 1]", shared)
    #expect(segments.reason.contains("segments are rows 0 to 1"), "\(segments)")
    #expect(try change("keep-tokens", "[0, 1, 8]", shared).correspondence.tokens == [0, 1, 8])
    let roberta = try Small.model("roberta", dialect: "huggingface") {
      ($0.padding, $0.paddingToken, $0.positions) = (.attentionMask, 1, 6)
    }
    let moved = try error("keep-tokens", "[0, 2, 1]", roberta)
    #expect(moved.reason.contains("behind the padding token's id, 1"), "\(moved)")
    let kept = try change("keep-tokens", "[0, 1, 5]", roberta).model
    #expect(kept.architecture.configuration.paddingToken == 1)
  }

  @Test func `special ids of the configuration follow, and what is gone is said`() throws {
    var model = try Small.model("t5", [.lm], dialect: "huggingface") { $0.padding = .attentionMask }
    model.configuration = .object([
      .init("eos_token_id", .array([.number(1), .number(7)])), .init("bos_token_id", .number(3)),
      .init("decoder_start_token_id", .number(4)), .init("vocab_size", .number(9)),
    ])
    let change = try change("keep-tokens", "[4, 0, 1]", model)
    let c = try #require(change.model.configuration)
    #expect(c["eos_token_id"] == .array([.number(2)]))
    #expect(c["bos_token_id"] == .null)
    #expect(c["decoder_start_token_id"] == .number(0))
    // What transformers' T5 takes unless it is told otherwise.
    #expect(c["pad_token_id"] == .number(1))
    #expect(change.remarks.count == 1 && change.remarks[0].contains("bos_token_id (3)"))
  }

  @Test func `special tokens that a list forgets are named`() throws {
    var model = try Small.model()
    model.vocabulary = Self.words
    #expect(try change("keep-tokens", "[0, 1, 2, 3, 7]", model).remarks.isEmpty)
    let remarks = try change("keep-tokens", "[0, 2, 7]", model).remarks
    #expect(remarks.map { $0.prefix(5) } == ["[UNK]", "[SEP]"])
  }

  @Test func `a table that was trimmed is not trimmed again`() throws {
    let once = try change("keep-tokens", "[0, 4, 5]", try Small.model()).model
    let again = try error("keep-tokens", "[0, 4]", once)
    #expect(again.kind == .unsupported)
    #expect(again.reason.contains("from 9 rows to 3") && again.hint?.contains("=0") == true)
  }

  @Test func `new rows are means of the old, whose bits stay`() throws {
    for (family, heads) in [("bert", [.mlm]), ("t5", [.lm])] as [(String, Set<Head>)] {
      let model = try Small.model(family, heads) { $0.tiesDecoder = false }
      let change = try change("compound-tokens", "[[4, 8], [1, 2, 3], [[5, 6], [3, 1]]]", model)
      let mixes: [[(Int, Float)]] = [
        [(4, 0.5), (8, 0.5)], [(1, 1 / 3), (2, 1 / 3), (3, 1 / 3)], [(5, 0.75), (6, 0.25)],
      ]
      func check(_ old: [[Float]], _ new: [[Float]]) {
        #expect(Array(new.prefix(9)) == old)
        #expect(new.prefix(9).joined().map(\.bitPattern) == old.joined().map(\.bitPattern))
        for (row, mix) in zip(new.dropFirst(9), mixes) {
          for (column, value) in row.enumerated() {
            let mean = mix.reduce(0) { $0 + old[$1.0][column] * $1.1 }
            #expect(abs(value - mean) < 1e-5)
          }
        }
      }
      try check(
        Small.rows(model, "embeddings.token"), Small.rows(change.model, "embeddings.token"))
      if family == "bert" {
        try check(Small.rows(model, "mlm.bias"), Small.rows(change.model, "mlm.bias"))
      } else {
        try check(Small.columns(model, "lm.kernel"), Small.columns(change.model, "lm.kernel"))
      }
      #expect(change.correspondence.tokens == (0..<9).map(Optional.init) + [nil, nil, nil])
      #expect(change.model.architecture.configuration.vocabularySize == 12)
    }
  }

  @Test(arguments: [
    ("[[4, 5], [7, 8]]", ["playing", "78"]), ("play ##ing\nplay ##s\n", ["playing", "plays"]),
    ("word\tplay ##s\n", ["word"]), ("4 5\nx\t7\n", ["playing", "x"]),
    ("[[\"play\", \"##s\"]]", ["plays"]), ("##s ##ing\n", ["##sing"]),
  ])
  func `new tokens have names of their own or those of their parts`(
    _ text: String, _ names: [String]
  ) throws {
    var model = try Small.model()
    model.vocabulary = Self.words
    let result = try change("compound-tokens", text, model).model
    #expect(result.vocabulary?.tokens == Self.words.tokens + names)
  }

  @Test(arguments: [
    ("[[4, 9]]", "element 1: id 9 is beyond"), ("[4, 5]", "element 1 is 4; expected the parts"),
    ("[[]]", "element 1 is []"), ("[[[4, 5], [1]]]", "element 1"),
    ("[[[4, 5], [1, -1]]]", "element 1"),
    ("play\n", "has \"play\" already"), ("a\t4\na\t5\n", "\"a\" is new in line 1 already"),
    ("a\t\n", "line 1 is not a new token"), ("\t4", "line 1 is not a new token"), ("", "is empty"),
    ("play nothing", "no token \"nothing\""),
  ])
  func `a list of new tokens that is wrong is a mistake of usage`(
    _ text: String, _ word: String
  ) throws {
    var model = try Small.model()
    model.vocabulary = Self.words
    let error = try error("compound-tokens", text, model)
    #expect(error.kind == .usage)
    #expect(error.reason.contains(word), "\(error)")
  }

  @Test func `a vocabulary that names fewer rows takes no new ones`() throws {
    var model = try Small.model()
    model.vocabulary = Vocabulary(tokens: ["[PAD]", "a"])
    let error = try error("compound-tokens", "[[0, 1]]", model)
    #expect(error.kind == .unsupported && error.hint?.contains("keep-tokens") == true)
  }

  @Test func `behind a trim the parts are of the trimmed table`() throws {
    let model = try Small.model()
    let trimmed = try change("keep-tokens", "[0, 6, 8]", model)
    let both = try change("compound-tokens", "[[1, 2]]", trimmed.model)
    let rows = try Small.rows(model, "embeddings.token")
    let last = try #require(try Small.rows(both.model, "embeddings.token").last)
    for (value, (a, b)) in zip(last, zip(rows[6], rows[8])) { #expect(value == (a + b) / 2) }
    let relation = trimmed.correspondence.followed(by: both.correspondence)
    #expect(relation.tokens == [0, 6, 8, nil])
  }
}
