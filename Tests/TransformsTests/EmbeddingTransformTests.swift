import Checkpoint
import Testing
import Transforms

/// `extend-positions` and `fold-embedding`.
@Suite struct EmbeddingTransformTests {
  private func error(_ step: String, _ model: Model) throws -> CheckpointError {
    try #require(throws: CheckpointError.self) { try apply(step, to: model) }
  }

  /// Position p of n rows as the definition has it, in Float64.
  private func decomposed(_ rows: [[Float]], _ p: Int, _ alpha: Double) -> [Double] {
    let n = rows.count
    func u(_ i: Int, _ column: Int) -> Double {
      (Double(rows[i][column]) - alpha * Double(rows[0][column])) / (1 - alpha)
    }
    return rows[0].indices.map { alpha * u(p / n, $0) + (1 - alpha) * u(p % n, $0) }
  }

  @Test(arguments: [("", 0.4), (",alpha=0.25", 0.25), (":alpha=0.9", 0.9)])
  func `a table grows as the definition says, and its own rows keep their bits`(
    _ option: String, _ alpha: Double
  ) throws {
    let model = try Small.model()
    let change = try apply("extend-positions=9\(option)", to: model)
    let old = try Small.rows(model, "embeddings.position")
    let new = try Small.rows(change.model, "embeddings.position")
    #expect(new.count == 9)
    #expect(new.prefix(3).joined().map(\.bitPattern) == old.joined().map(\.bitPattern))
    for p in 3..<9 {
      for (value, exact) in zip(new[p], decomposed(old, p, alpha)) {
        #expect(abs(Double(value) - exact) < 1e-5)
      }
    }
    #expect(change.correspondence.contract == .exact)
    #expect(change.correspondence.rewritten == ["embeddings.position"])
    #expect(change.model.architecture.configuration.positions == 9)
  }

  @Test func `a model that decomposes gets a plain table with its own share`() throws {
    let model = try Small.model { $0.hierarchicalPosition = 0.3 }
    let change = try apply("extend-positions=7", to: model)
    #expect(change.model.architecture.configuration.hierarchicalPosition == nil)
    #expect(change.correspondence.contract == .rounding)
    let old = try Small.rows(model, "embeddings.position")
    for (p, row) in try Small.rows(change.model, "embeddings.position").enumerated() {
      for (value, exact) in zip(row, decomposed(old, p, 0.3)) {
        #expect(abs(Double(value) - exact) < 1e-5)
      }
    }
    let other = try error("extend-positions=7,alpha=0.4", model)
    #expect(other.kind == .usage && other.reason.contains("0.3"))
  }

  @Test func `RoBERTa's positions begin behind the padding's row`() throws {
    let model = try Small.model("roberta", dialect: "huggingface") {
      ($0.paddingToken, $0.positions) = (1, 5)
    }
    let result = try apply("extend-positions=9", to: model).model
    #expect(result.architecture.configuration.positions == 11)
    let old = try Small.rows(model, "embeddings.position")
    let new = try Small.rows(result, "embeddings.position")
    #expect(Array(new.prefix(5)) == old)
    for p in 3..<9 {
      for (value, exact) in zip(new[2 + p], decomposed(Array(old.dropFirst(2)), p, 0.4)) {
        #expect(abs(Double(value) - exact) < 1e-5)
      }
    }
  }

  @Test(arguments: [
    ("extend-positions=3", "3 positions already"), ("extend-positions=0", "at least 1"),
    ("extend-positions", "needs a value"), ("extend-positions=9,alpha=1", "between 0 and 1"),
    ("extend-positions=9,alpha=0", "between 0 and 1"), ("extend-positions=9,alpha=x", "alpha"),
    ("extend-positions=9:beta=1", "beta"),
  ])
  func `what cannot be meant is a mistake of usage`(_ step: String, _ word: String) throws {
    let error = try error(step, try Small.model())
    #expect(error.kind == .usage && error.reason.contains(word), "\(error)")
  }

  @Test func `more than n² positions, and models without a table, are refused`() throws {
    let many = try error("extend-positions=10", try Small.model())
    #expect(many.kind == .unsupported && many.hint?.contains("=9") == true)
    for (family, word) in [
      ("nezha", "distances"), ("roformer", "rotates"), ("roformer_v2", "rotates"), ("t5", "biases"),
    ] {
      let none = try error("extend-positions=9", try Small.model(family))
      #expect(none.kind == .unsupported && none.reason.contains(word), "\(none)")
    }
  }

  // MARK: Folding

  private func factored(_ groups: Int?) throws -> Model {
    try Small.model("albert_zh", [.pooler, .nsp, .mlm], dialect: "google") {
      ($0.embeddingSize, $0.factor, $0.groups, $0.layers) = (3, true, groups, 2)
    }
  }

  @Test(arguments: [(nil, "bert", Head.nsp), (1, "albert", .sop)] as [(Int?, String, Head)])
  func `two factors become their product`(
    _ groups: Int?, _ family: String, _ head: Head
  ) throws {
    let model = try factored(groups)
    let change = try apply("fold-embedding", to: model)
    #expect(change.model.architecture.family == family)
    #expect(change.model.architecture.heads == [.pooler, .mlm, head])
    let (a, b) = (
      try Small.rows(model, "embeddings.token"), try Small.rows(model, "embeddings.factor.kernel")
    )
    for (row, x) in zip(try Small.rows(change.model, "embeddings.token"), a) {
      for (column, value) in row.enumerated() {
        #expect(value == (0..<3).reduce(0) { $0 + x[$1] * b[$1][column] })
      }
    }
    #expect(
      change.model["embeddings.token"]?.sources == ["embeddings.token", "embeddings.factor.kernel"])
    let relation = change.correspondence
    #expect(relation.contract == .rounding)
    #expect(relation.name(of: "embeddings.factor") == "embeddings.token")
    #expect(relation.name(of: "embeddings.token") == nil)
  }

  @Test func `what stands between is the reason not to fold`() throws {
    func refused(_ family: String, projection: Bool) throws -> String {
      let error = try error(
        "fold-embedding",
        try Small.model(family) { if projection { ($0.embeddingSize, $0.projection) = (3, true) } })
      #expect(error.kind == .unsupported)
      return error.reason
    }
    for family in ["albert", "electra", "roformer"] {
      #expect(try refused(family, projection: true).contains("norm stands between"))
    }
    #expect(try refused("t5", projection: true).contains("cannot take both"))
    #expect(try refused("bert", projection: false).contains("nothing to fold"))
  }
}
