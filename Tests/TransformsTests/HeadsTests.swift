import Checkpoint
import Testing
import Transforms

@Suite struct HeadsTests {
  /// A small model with numbers that follow no pattern.
  private func model(
    _ family: any Family, heads: Int = 3, _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> Model {
    var c = Configuration()
    (c.vocabularySize, c.embeddingSize, c.hiddenSize, c.intermediateSize) = (9, 8, 8, 10)
    (c.heads, c.keySize, c.headSize, c.positions, c.segments) = (heads, 4, 4, 5, 2)
    (c.layers, c.decoderLayers, c.buckets, c.relativePositions) = (2, 1, 4, 3)
    if family.structure.encoderDecoder { c.segments = 0 }
    change(&c)
    return try SampleModel.make(family.name, c)
  }

  private func doubles(_ model: Model, _ name: String) throws -> [Double] {
    try #require(model[name]).tensor.doubles()
  }

  // MARK: Talking heads

  @Test func `every attention gets the identity on both sides, cross-attention too`() throws {
    let source = try model(T5())
    let change = try apply("talking-heads", to: source)
    #expect(change.correspondence == Correspondence(contract: .exact))
    for attention in ["encoder.layers.1.attention", "decoder.layers.0.cross_attention"] {
      for part in ["pre_softmax", "post_softmax"] {
        #expect(
          try doubles(change.model, "\(attention).\(part).kernel") == [1, 0, 0, 0, 1, 0, 0, 0, 1])
      }
    }
    #expect(change.model.weights.count == source.weights.count + 2 * 4)
  }

  @Test func `noise follows the seed and is declared lossy`() throws {
    let source = try model(BERT())
    let name = "layers.1.attention.post_softmax.kernel"
    let one = try apply("talking-heads:noise=0.1:seed=4", to: source)
    let same = try apply("talking-heads:noise=0.1:seed=4", to: source)
    let other = try apply("talking-heads:noise=0.1:seed=5", to: source)
    #expect(one.correspondence.contract == .lossy)
    #expect(try doubles(one.model, name) == doubles(same.model, name))
    #expect(try doubles(one.model, name) != doubles(other.model, name))
    let all = try apply("talking-heads:noise=0.1", to: model(BERT(), heads: 40)).model
    let noise = try doubles(all, name).enumerated().map { $1 - ($0 / 40 == $0 % 40 ? 1 : 0) }
    let mean = noise.reduce(0, +) / 1600
    let deviation = (noise.map { $0 * $0 }.reduce(0, +) / 1600).squareRoot()
    #expect(abs(mean) < 0.01 && abs(deviation - 0.1) < 0.01)
  }

  @Test func `flattening the identity gives the start back to the bit`() throws {
    for family in [BERT(), T5(), RoFormer(), NEZHA()] as [any Family] {
      let source = try model(family) { $0.residualScores = family.name == "bert" }
      let change = try apply("talking-heads", "flatten-talking-heads", to: source)
      #expect(change.correspondence.contract == .exact)
      #expect(change.model.architecture == source.architecture)
      for weight in source.weights {
        #expect(try change.model[weight.name]?.tensor.bytes() == weight.tensor.bytes())
      }
      #expect(change.findings.allSatisfy { $0.value == 0 } && !change.findings.isEmpty)
    }
  }

  /// A talking model whose projections are given.
  private func talking(
    _ family: any Family, before: [Float], after: [Float], bias: [String: [Float]] = [:],
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> Model {
    var source = try apply("talking-heads", to: model(family, change)).model
    func set(_ name: String, _ values: [Float], _ shape: Shape) {
      let weight = Weight(
        name, Tensor(name: name, shape: shape, values: values), sources: [name])
      source.weights.removeAll { $0.name == name }
      source.weights.append(weight)
    }
    for attention in source.architecture.storedAttentions {
      set("\(attention).pre_softmax.kernel", before, [3, 3])
      set("\(attention).post_softmax.kernel", after, [3, 3])
      for (part, values) in bias { set("\(attention).\(part).bias", values, [3]) }
    }
    source.architecture.configuration.talkingHeadsBias = !bias.isEmpty
    return try source.checked()
  }

  private let identity: [Float] = [1, 0, 0, 0, 1, 0, 0, 0, 1]
  private let mixing: [Float] = [0.5, 2, -1, 0, 1, 3, 1, 0, 4]

  @Test func `scores and contexts of the wider heads are those that were mixed`() throws {
    let source = try talking(BERT(), before: mixing, after: mixing)
    let result = try apply("flatten-talking-heads", to: source).model
    let c = result.architecture.configuration
    #expect(c.keySize == 12 && c.headSize == 12 && c.heads == 3 && !c.talkingHeads)
    let attention = "layers.1.attention"
    // x and y are two positions; a dense layer by hand.
    let (x, y) = ((0..<8).map { Double($0) - 3 }, (0..<8).map { Double($0 * $0 % 5) })
    func dense(_ model: Model, _ part: String, _ x: [Double]) throws -> [Double] {
      let kernel = try doubles(model, "\(attention).\(part).kernel")
      let bias = try doubles(model, "\(attention).\(part).bias")
      return bias.indices.map { column in
        x.indices.reduce(bias[column]) { $0 + x[$1] * kernel[$1 * bias.count + column] }
      }
    }
    func score(_ model: Model, _ head: Int) throws -> Double {
      let size = model.architecture.configuration.keySize
      let (q, k) = (try dense(model, "query", x), try dense(model, "key", y))
      return (0..<size).reduce(0) { $0 + q[head * size + $1] * k[head * size + $1] }
        / Double(size).squareRoot()
    }
    /// What head `from` adds to the output when it looks at y only.
    func written(_ model: Model, from head: Int, times factor: Double = 1) throws -> [Double] {
      let size = model.architecture.configuration.headSize
      let (v, o) = (try dense(model, "value", y), try doubles(model, "\(attention).output.kernel"))
      return (0..<8).map { column in
        (0..<size).reduce(0) {
          $0 + factor * v[head * size + $1] * o[(head * size + $1) * 8 + column]
        }
      }
    }
    for head in 0..<3 {
      let expected = try (0..<3).reduce(0.0) {
        $0 + (try score(source, $1)) * Double(mixing[$1 * 3 + head])
      }
      #expect(abs(try score(result, head) - expected) < 1e-9)
      let parts = try (0..<3).map {
        try written(source, from: $0, times: Double(mixing[head * 3 + $0]))
      }
      let sum = (0..<8).map { column in parts.reduce(0) { $0 + $1[column] } }
      for (ours, theirs) in zip(try written(result, from: head), sum) {
        #expect(abs(ours - theirs) < 1e-9)
      }
    }
  }

  @Test func `a side that is the identity costs nothing`() throws {
    let before = try apply(
      "flatten-talking-heads", to: talking(RoFormer(), before: identity, after: mixing))
    #expect(before.model.architecture.configuration.keySize == 4)
    #expect(before.model.architecture.configuration.headSize == 12)
    #expect(before.correspondence.name(of: "layers.0.attention.scores") != nil)
    #expect(before.correspondence.name(of: "layers.0.attention.value") == nil)
    let after = try apply(
      "flatten-talking-heads", to: talking(BERT(), before: mixing, after: identity))
    #expect(after.model.architecture.configuration.keySize == 12)
    #expect(after.model.architecture.configuration.headSize == 4)
    #expect(
      after.correspondence.name(of: "layers.0.attention.pre_softmax") == "layers.0.attention.scores"
    )
    // NEZHA's one table serves keys and values.
    let both = try apply(
      "flatten-talking-heads", to: talking(NEZHA(), before: mixing, after: identity)
    ).model.architecture.configuration
    #expect(both.keySize == 12 && both.headSize == 12)
  }

  @Test func `a table that serves layers of one projection stays one`() throws {
    let source = try talking(T5(), before: mixing, after: mixing) { $0.crossPositionBias = true }
    let result = try apply("flatten-talking-heads", to: source).model
    #expect(result.architecture.family == "t5")
    let (old, new) = try (
      doubles(source, "decoder.relative_position"), doubles(result, "decoder.relative_position")
    )
    for bucket in 0..<4 {
      for head in 0..<3 {
        let sum = (0..<3).reduce(0.0) {
          $0 + old[bucket * 3 + $1] * Double(mixing[$1 * 3 + head])
        }
        #expect(new[bucket * 3 + head] == sum)
      }
    }
  }

  @Test func `layers of different projections get tables of their own`() throws {
    let source = try apply("talking-heads:noise=0.5", to: model(T5())).model
    let result = try apply("flatten-talking-heads", to: source).model
    #expect(result.architecture.family == "umt5")
    #expect(result["encoder.relative_position"] == nil)
    let tables = try ["encoder.layers.0", "encoder.layers.1", "decoder.layers.0"].map {
      try doubles(result, "\($0).attention.relative_position")
    }
    #expect(Set(tables).count == 3)
    #expect(result["decoder.layers.0.cross_attention.relative_position"] == nil)
    // bert4keras adds the table to cross-attention as well.
    let crossing = try apply(
      "talking-heads:noise=0.5", to: model(T5()) { $0.crossPositionBias = true }
    ).model
    let error = #expect(throws: CheckpointError.self) {
      try apply("flatten-talking-heads", to: crossing)
    }
    #expect(error?.hint?.contains("cross_position_bias=false") == true)
  }

  @Test func `what plain attention cannot hold is refused`() throws {
    func refused(_ model: Model, _ step: String, _ word: String) {
      let error = #expect(throws: CheckpointError.self) { try apply(step, to: model) }
      #expect(error?.kind == .unsupported && error?.reason.contains(word) == true, "\(word)")
    }
    let flatten = "flatten-talking-heads"
    refused(try talking(RoFormer(), before: mixing, after: identity), flatten, "rotated")
    refused(
      try talking(RoFormer(), before: identity, after: mixing) { $0.rotatesValues = true }, flatten,
      "rotated")
    refused(
      try talking(BERT(), before: mixing, after: identity) { $0.residualScores = true }, flatten,
      "added to the next")
    let bias = ["pre_softmax": [Float](repeating: 0, count: 3), "post_softmax": [0, 1, 0]]
    refused(try talking(BERT(), before: mixing, after: mixing, bias: bias), flatten, "masked ones")
    let before: [String: [Float]] = ["pre_softmax": [0, 2, 0], "post_softmax": [0, 0, 0]]
    refused(
      try talking(BERT(), before: mixing, after: mixing, bias: before) {
        $0.normalization = .squaredRelu
      }, flatten, "no softmax")
    // A softmax does not see it; the scores do.
    let change = try apply(
      flatten, to: talking(BERT(), before: mixing, after: mixing, bias: before))
    #expect(change.correspondence.name(of: "layers.0.attention.pre_softmax") == nil)
    refused(try model(BERT()), flatten, "no projections")
    refused(try apply("talking-heads", to: model(BERT())).model, "talking-heads", "talk already")
    refused(try apply("talking-heads", to: model(BERT())).model, "prune-heads=*.1", "mixed")
    refused(
      try model(GAUAlpha(), heads: 1) { $0.segments = 2 }, "talking-heads", "one head")
  }

  // MARK: Pruning

  @Test(arguments: [
    ("*.1", [[1], [1]]), ("0.0,1.2", [[0], [2]]), ("0-1.1-2", [[1, 2], [1, 2]]),
    ("0.0-1,1.1,1.0", [[0, 1], [0, 1]]),
  ])
  func `a list says which heads go`(_ list: String, _ gone: [[Int]]) throws {
    let source = try model(BERT())
    let change = try apply("prune-heads=\(list)", to: source)
    #expect(change.correspondence.contract == .lossy)
    for (layer, gone) in gone.enumerated() {
      let kept = (0..<3).filter { !gone.contains($0) }
      #expect(change.model.architecture.configuration.heads == kept.count)
      let name = "layers.\(layer).attention"
      let bias = try doubles(source, "\(name).query.bias")
      #expect(
        try doubles(change.model, "\(name).query.bias")
          == kept.flatMap { bias[($0 * 4)..<($0 * 4 + 4)] })
      let output = try doubles(source, "\(name).output.kernel")
      #expect(
        try doubles(change.model, "\(name).output.kernel")
          == kept.flatMap { output[($0 * 32)..<($0 * 32 + 32)] })
      #expect(
        try doubles(change.model, "\(name).output.bias") == doubles(source, "\(name).output.bias"))
    }
  }

  @Test func `auto keeps the heads that can write most`() throws {
    let source = try model(BERT())
    let change = try apply("prune-heads=auto:keep=1", to: source)
    for layer in 0..<2 {
      let name = "layers.\(layer).attention"
      let value =
        try doubles(source, "\(name).value.kernel") + doubles(source, "\(name).value.bias")
      let output = try doubles(source, "\(name).output.kernel")
      let norms = (0..<3).map { head in
        var sum = 0.0
        for row in 0..<9 {
          for column in 0..<8 {
            let element = (0..<4).reduce(0.0) {
              $0 + value[row * 12 + head * 4 + $1] * output[(head * 4 + $1) * 8 + column]
            }
            sum += element * element
          }
        }
        return sum.squareRoot()
      }
      let best = try #require(norms.indices.max { norms[$0] < norms[$1] })
      let bias = try doubles(source, "\(name).value.bias")
      #expect(
        try doubles(change.model, "\(name).value.bias") == Array(bias[(best * 4)..<(best * 4 + 4)]))
      for head in 0..<3 where head != best {
        let found = change.findings.first { $0.subject == "\(name), head \(head)" }
        #expect(abs((found?.value ?? 0) - norms[head]) < 1e-9 * norms[head])
      }
    }
  }

  @Test func `the places of an encoder and a decoder are chosen by name`() throws {
    let source = try model(T5())
    let all = "encoder.*.0,decoder.*.0,decoder.cross.*.0"
    let one = try apply("prune-heads=\(all)", to: source).model
    let same = try apply("prune-heads=*.0", to: source).model
    #expect(one.weights.map(\.name) == same.weights.map(\.name))
    let table = "decoder.relative_position"
    let columns = try doubles(source, table)
    #expect(
      try doubles(one, table) == (0..<4).flatMap { columns[($0 * 3 + 1)...($0 * 3 + 2)] })
    let other = try apply(
      "prune-heads=encoder.0.0,encoder.1.1,decoder.*.0,decoder.cross.*.2", to: source
    ).model
    #expect(other.architecture.family == "umt5")
    #expect(
      try doubles(other, "encoder.layers.1.attention.relative_position")
        == (0..<4).flatMap { bucket in
          try [0, 2].map { try doubles(source, "encoder.relative_position")[bucket * 3 + $0] }
        })
  }

  @Test(arguments: [
    "prune-heads", "prune-heads=x", "prune-heads=0", "prune-heads=2.0", "prune-heads=*.3",
    "prune-heads=*.*", "prune-heads=1-0.1", "prune-heads=encoder.0.1", "prune-heads=*.1,",
    "prune-heads=auto", "prune-heads=auto:keep=3", "prune-heads=auto:keep=0",
    "prune-heads=*.1:keep=1", "talking-heads:noise=x", "talking-heads:seed=-1",
  ])
  func `what cannot be meant is a usage error`(_ step: String) throws {
    let source = try model(BERT())
    let error = #expect(throws: CheckpointError.self) { try apply(step, to: source) }
    #expect(error?.kind == .usage)
  }

  @Test func `where attentions keep different numbers, removed heads stay as zeros`() throws {
    let source = try model(BERT())
    let change = try apply("prune-heads=0.0-1,1.1", to: source)
    #expect(change.model.architecture.configuration.heads == 2)
    #expect(change.remarks.contains { $0.contains("in 1 of 2 attentions") })
    let name = "layers.0.attention"
    let (value, query) = try (
      doubles(source, "\(name).value.bias"), doubles(source, "\(name).query.bias")
    )
    let zeros = [Double](repeating: 0, count: 4)
    #expect(try doubles(change.model, "\(name).value.bias") == Array(zeros + value[8..<12]))
    #expect(try doubles(change.model, "\(name).query.bias") == Array(query[0..<4] + query[8..<12]))
    // Where one attention loses none, only what heads write changes.
    let same = try apply("prune-heads=0.1", to: source)
    #expect(same.model.architecture == source.architecture)
    #expect(same.correspondence.name(of: "layers.0.attention.scores") != nil)
    #expect(
      try doubles(same.model, "\(name).value.bias") == Array(value[0..<4] + zeros + value[8..<12]))
  }

  @Test func `empty attention is refused`() throws {
    let none = #expect(throws: CheckpointError.self) {
      try apply("prune-heads=*.0-2", to: model(BERT()))
    }
    #expect(none?.kind == .unsupported && none?.reason.contains("none of its 3 heads") == true)
    let error = #expect(throws: CheckpointError.self) {
      try apply("prune-heads=0.1,1.2", to: model(BERT()) { $0.residualScores = true })
    }
    #expect(error?.reason.contains("same heads") == true)
  }
}
