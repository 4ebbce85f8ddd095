import Checkpoint
import Testing
import Transforms

/// Queries and keys of other widths: what becomes of the weights.
@Suite struct KeySizeTests {
  /// Weights that depend on their place only.
  private func model(
    _ family: String, hidden: Int = 7, heads: Int = 2, key: Int, groups: Int? = nil,
    dtype: DType = .f32, _ edit: (inout Configuration) -> Void = { _ in }
  ) throws -> Model {
    var c = Configuration()
    (c.vocabularySize, c.embeddingSize, c.hiddenSize, c.intermediateSize) = (9, hidden, hidden, 5)
    (c.layers, c.heads, c.keySize, c.headSize) = (2, heads, key, 3)
    (c.positions, c.segments, c.groups, c.decoderLayers) = (6, 2, groups, 1)
    edit(&c)
    var random = Draws(state: 5)
    return try SampleModel.make(family, c, dtype: dtype) { _, _ in random.float() }
  }

  private struct Draws {
    var state: UInt64

    mutating func float() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 23) - 1
    }
  }

  private func columns(_ model: Model, _ layer: String, _ head: Int, _ size: Int) throws -> Matrix {
    let kernel = try #require(model["\(layer).kernel"]?.tensor)
    let bias = try model["\(layer).bias"]?.tensor.doubles() ?? []
    return Matrix(
      inRows: try kernel.doubles() + bias, width: kernel.shape[1],
      columns: (head * size)..<((head + 1) * size))
  }

  /// The matrix of a head's scores, (W̃q · W̃kᵀ) / √size, or without the root.
  private func scores(_ model: Model, _ attention: String, _ head: Int) throws -> Matrix {
    let size = model.architecture.configuration.keySize
    var product = try columns(model, "\(attention).query", head, size)
      .times(columns(model, "\(attention).key", head, size).transposed())
    guard model.architecture.structure.scalesScores else { return product }
    for row in 0..<product.rows {
      for column in 0..<product.columns { product[row, column] /= Double(size).squareRoot() }
    }
    return product
  }

  private func norm(_ matrix: Matrix) -> Double {
    matrix.inRows.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  private func distance(_ a: Matrix, _ b: Matrix) -> Double {
    zip(a.inRows, b.inRows).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  }

  // MARK: Wider

  @Test(arguments: ["bert", "gpt2", "albert", "t5"], ["half", "zeros"])
  func `wider queries and keys have the same scores`(_ family: String, _ fresh: String) throws {
    let model = try model(family, key: 5, groups: family == "albert" ? 1 : nil)
    for size in [6, 8, 13] {
      let change = try apply("widen-key-size=\(size):fresh=\(fresh)", to: model)
      let result = change.model
      #expect(result.architecture.configuration.keySize == size)
      #expect(change.correspondence.contract == .rounding)
      #expect(
        change.correspondence.removed.contains("\(model.architecture.appliedAttentions[0]).key"))
      for attention in model.architecture.storedAttentions {
        for head in 0..<2 {
          let before = try scores(model, attention, head)
          #expect(try distance(scores(result, attention, head), before) < 1e-13 * norm(before))
        }
        #expect(change.correspondence.rewritten.contains("\(attention).query.kernel"))
      }
      // Nothing else is touched.
      for weight in model.weights where !change.correspondence.rewritten.contains(weight.name) {
        #expect(try result[weight.name]?.tensor.bytes() == weight.tensor.bytes())
      }
    }
  }

  @Test func `at four times the size no bit of the old columns changes but the query's exponent`()
    throws
  {
    let model = try model("bert", key: 3, dtype: .f16)
    let result = try apply("widen-key-size=12", to: model).model
    for (part, factor) in [("query", 2.0), ("key", 1.0)] {
      let kernel = try #require(result["layers.1.attention.\(part).kernel"])
      let stored = kernel.rounded().tensor
      #expect(stored.dtype == .f16)
      let (before, after) = try (
        columns(model, "layers.1.attention.\(part)", 1, 3),
        Matrix(inRows: stored.doubles(), width: 24, columns: 12..<24)
      )
      for row in 0..<7 {
        for column in 0..<3 { #expect(after[row, column] == before[row, column] * factor) }
      }
    }
  }

  @Test func `fresh columns are noise in keys, zeros in queries, and the same for the same seed`()
    throws
  {
    let model = try model("bert", hidden: 64, key: 3)
    let half = try apply("widen-key-size=40", to: model).model
    let (query, key) = ("layers.0.attention.query", "layers.0.attention.key")
    for head in 0..<2 {
      let (q, k) = try (columns(half, query, head, 40), columns(half, key, head, 40))
      let fresh = (3..<40).flatMap { column in (0..<64).map { (q[$0, column], k[$0, column]) } }
      #expect(fresh.allSatisfy { $0.0 == 0 && $0.1 != 0 })
      let deviation = (fresh.reduce(0) { $0 + $1.1 * $1.1 } / Double(fresh.count)).squareRoot()
      #expect((deviation / 0.02 - 1).magnitude < 0.05)
      // The new biases, behind the kernel's rows.
      #expect((3..<40).allSatisfy { q[64, $0] == 0 && k[64, $0] == 0 })
    }
    let bytes = try half["\(key).kernel"]?.tensor.bytes()
    #expect(
      try apply("widen-key-size=40:seed=0", to: model).model["\(key).kernel"]?.tensor.bytes()
        == bytes)
    #expect(
      try apply("widen-key-size=40:seed=1", to: model).model["\(key).kernel"]?.tensor.bytes()
        != bytes)
    #expect(
      try half["layers.1.attention.key.kernel"]?.tensor.doubles(rows: 0..<1).suffix(37)
        != half["\(key).kernel"]?.tensor.doubles(rows: 0..<1).suffix(37))
    // Rows that are asked for alone are those of the whole.
    let whole = try #require(half["\(key).kernel"]?.tensor)
    #expect(try whole.doubles(rows: 5..<9) == Array(whole.doubles()[(5 * 80)..<(9 * 80)]))
    let zeros = try apply("widen-key-size=40:fresh=zeros", to: model).model
    let k = try columns(zeros, key, 1, 40)
    #expect((3..<40).allSatisfy { column in (0...64).allSatisfy { k[$0, column] == 0 } })
    let loud = try apply("widen-key-size=40:noise=2", to: model).model
    let (quiet, noisy) = try (columns(half, key, 1, 40)[3, 9], columns(loud, key, 1, 40)[3, 9])
    #expect((noisy / quiet - 100).magnitude < 1e-12)
  }

  @Test func `pairs that are rotated go to the pair of their frequency`() throws {
    let model = try model("roformer", key: 4)
    let result = try apply("widen-key-size=12:fresh=zeros", to: model).model
    let before = try columns(model, "layers.0.attention.key", 1, 4)
    let after = try columns(result, "layers.0.attention.key", 1, 12)
    for column in 0..<12 {
      // Pairs 0 and 1 go to pairs 0 and 3.
      let source = [0: 0, 1: 1, 6: 2, 7: 3][column]
      for row in 0...7 { #expect(after[row, column] == source.map { before[row, $0] } ?? 0) }
    }
    for size in [6, 10] {
      let error = try #require(throws: CheckpointError.self) {
        try apply("widen-key-size=\(size)", to: model)
      }
      #expect(error.kind == .unsupported && error.hint?.contains("8, 12, 16") == true)
    }
  }

  @Test func `a gated unit spreads its shared columns`() throws {
    let model = try model("gau_alpha", heads: 1, key: 4) { $0.activation = .silu }
    let change = try apply("widen-key-size=8", to: model)
    let unit = "layers.0.attention"
    #expect(change.correspondence.removed.contains("\(unit).inner"))
    let (old, new) = try (
      #require(try model["\(unit).inner.kernel"]?.tensor.doubles()),
      #require(try change.model["\(unit).inner.kernel"]?.tensor.doubles())
    )
    for row in 0..<7 {
      #expect(new[(row * 18)..<(row * 18 + 10)] == old[(row * 14)..<(row * 14 + 10)])
      let shared = (0..<8).map { new[row * 18 + 10 + $0] }
      #expect([0, 1, 4, 5].map { shared[$0] } == (0..<4).map { old[row * 14 + 10 + $0] })
      #expect([2, 3, 6, 7].allSatisfy { shared[$0] != 0 })
    }
    let (gamma, scaled) = try (
      #require(try model["\(unit).query.gamma"]?.tensor.doubles()),
      #require(try change.model["\(unit).query.gamma"]?.tensor.doubles())
    )
    let root = 2.0.squareRoot()
    #expect(
      scaled == [gamma[0] * root, gamma[1] * root, 0, 0, gamma[2] * root, gamma[3] * root, 0, 0])
  }

  @Test(arguments: [
    ("bert", "widen-key-size=5", "nothing to do"), ("bert", "widen-key-size=4", "less than"),
    ("bert", "widen-key-size=100000", "more than"),
    ("bert", "widen-key-size=9:fresh=ones", "fresh"),
    ("bert", "widen-key-size=9:fresh=zeros:seed=3", "seed"),
    ("bert", "widen-key-size=0", "whole number"),
    ("bert", "narrow-key-size=6", "more than"), ("bert", "narrow-key-size=0", "whole number"),
    ("nezha", "widen-key-size=9", "table of distances"),
    ("nezha", "narrow-key-size=2", "table of distances"),
    ("roformer", "narrow-key-size=2", "rotates"), ("gau_alpha", "narrow-key-size=2", "rotates"),
  ])
  func `what cannot be says why`(_ family: String, _ step: String, _ word: String) throws {
    let isRotary = family == "roformer" || family == "gau_alpha"
    let model = try model(family, key: isRotary ? 4 : 5) { $0.headSize = isRotary ? 3 : 5 }
    let error = try #require(throws: CheckpointError.self) { try apply(step, to: model) }
    #expect(error.reason.contains(word), "\(error)")
  }

  // MARK: Narrower

  @Test(arguments: ["bert", "gpt2", "albert", "t5"])
  func `narrower queries and keys have the nearest scores`(_ family: String) throws {
    let model = try model(family, key: 5, groups: family == "albert" ? 1 : nil)
    for size in 1...5 {
      let change = try apply("narrow-key-size=\(size)", to: model)
      #expect(change.correspondence.contract == (size < 5 ? .lossy : .rounding))
      var findings = change.findings[...]
      for attention in model.architecture.storedAttentions {
        for head in 0..<2 {
          let before = try scores(model, attention, head)
          let after = try scores(change.model, attention, head)
          // Eckart and Young: no matrix of this rank is nearer than the dropped values.
          let values = try SingularValueDecomposition(before).values
          let dropped = values.dropFirst(size).reduce(0) { $0 + $1 * $1 }.squareRoot()
          #expect((distance(after, before) - dropped).magnitude < 1e-13 * norm(before))
          let next = findings.popFirst()
          let finding = try #require(next)
          #expect(finding.subject == "\(attention), head \(head)")
          #expect((finding.value - dropped / norm(before)).magnitude < 1e-13)
          // Both sides have the same share: equal lengths, and orthogonal columns.
          let (q, k) = try (
            columns(change.model, "\(attention).query", head, size),
            columns(change.model, "\(attention).key", head, size)
          )
          for (a, b) in [(q, k), (k, q)] {
            let (own, others) = (a.transposed().times(a), b.transposed().times(b))
            #expect(distance(own, others) < 1e-12 * norm(own))
            for row in 0..<size {
              for column in 0..<row { #expect(own[row, column].magnitude < 1e-12 * norm(own)) }
            }
          }
        }
      }
      #expect(findings.isEmpty)
    }
  }

  @Test(arguments: ["half", "zeros"])
  func `what was widened is narrowed to the same scores`(_ fresh: String) throws {
    let model = try model("bert", key: 3)
    let change = try apply("widen-key-size=11:fresh=\(fresh)", "narrow-key-size=3", to: model)
    #expect(change.correspondence.contract == .rounding)
    #expect(change.model.architecture.configuration == model.architecture.configuration)
    #expect(change.findings.allSatisfy { $0.value < 1e-12 })
    for head in 0..<2 {
      let before = try scores(model, "layers.0.attention", head)
      #expect(
        try distance(scores(change.model, "layers.0.attention", head), before) < 1e-13
          * norm(before))
    }
  }

  @Test func `zero kernels stay zero, and no bias is made where there was none`() throws {
    var model = try model("t5", key: 4)
    #expect(model.weights.allSatisfy { !$0.name.hasSuffix("query.bias") })
    let names = ["query", "key"].map { "encoder.layers.0.attention.\($0).kernel" }
    for index in model.weights.indices where model.weights[index].name == names[0] {
      let tensor = model.weights[index].tensor
      model.weights[index].tensor = Tensor(
        name: tensor.name, shape: tensor.shape,
        values: [Float](repeating: 0, count: tensor.shape.count))
    }
    let change = try apply("narrow-key-size=2", to: model)
    #expect(change.model.weights.count == model.weights.count)
    #expect(change.findings[0].value == 0)
    for name in names {
      #expect(try change.model[name]?.tensor.doubles().allSatisfy { $0 == 0 } == true)
    }
  }

  @Test func `two runs give the same bytes`() throws {
    let model = try model("bert", hidden: 33, key: 8)
    let (a, b) = try (apply("narrow-key-size=5", to: model), apply("narrow-key-size=5", to: model))
    #expect(a.findings == b.findings)
    for (left, right) in zip(a.model.weights, b.model.weights) {
      #expect(try left.rounded().tensor.bytes() == right.rounded().tensor.bytes())
    }
  }

  @Test func `a weight that is not finite is named`() throws {
    var model = try model("bert", key: 4)
    let name = "layers.1.attention.key.bias"
    for index in model.weights.indices where model.weights[index].name == name {
      model.weights[index].tensor = Tensor(
        name: name, shape: [8], values: [0, 1, 2, .infinity, 4, 5, 6, 7])
    }
    let error = try #require(throws: CheckpointError.self) {
      try apply("narrow-key-size=2", to: model)
    }
    #expect(error.place.tensor == name)
  }
}
