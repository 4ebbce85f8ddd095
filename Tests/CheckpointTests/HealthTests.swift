import Checkpoint
import TestSupport
import Testing

/// Models that are broken in one way each, and what is found of it.
@Suite struct HealthTests {
  // MARK: Healthy models

  @Test(arguments: [
    "tiny-albert/weights.h5", "b4k-bert/model.h5", "b4k-bert/weights.h5",
    "b4k-bert/model_with_optimizer.h5", "b4k-albert/weights.h5", "b4k-albert-unshared/weights.h5",
    "b4k-electra/weights.h5", "b4k-nezha/weights.h5", "b4k-roformer/weights.h5",
    "b4k-gpt2/weights.h5", "b4k-t5/weights.h5", "b4k-gau-alpha/weights.h5", "b4k-crf/model.h5",
    "hf-bert", "hf-bert-sharded", "hf-albert-groups", "hf-roberta", "hf-distilbert", "hf-gpt2",
    "hf-t5", "hf-roformer", "hf-tf-bert/tf_model.h5",
    "google/bert-adam/bert_model.ckpt.index", "google/t5-slots/bert_model.ckpt.index",
  ])
  func `a sound model gives no concern`(_ fixture: String) throws {
    let health = try health(of: Opening(Fixtures.path(fixture)))
    #expect(health.concerns.isEmpty, "\(health.concerns.map(\.sentence))")
    #expect(health.numbers?.nan == 0)
  }

  @Test func `a fresh model is only called fresh, and once`() throws {
    let health = try broken { tensors in
      for (name, values) in tensors {
        if name.hasSuffix("bias:0") || name.hasSuffix("beta:0") {
          tensors[name] = values.map { _ in 0 }
        }
        if name.hasSuffix("gamma:0") { tensors[name] = values.map { _ in 1 } }
      }
    }
    #expect(health.concerns.map(\.kind) == [.fresh])
    // 2 of the embeddings, 10 of each of 3 layers, 1 of the pooler, 4 of the MLM head, 1 of NSP.
    #expect(health.concerns[0].numbers.map(\.value) == [38, 38])
    #expect(health.concerns[0].severity == .note)
  }

  @Test func `matrices that begin as one number are no fault of a fresh model`() {
    func concerns(_ zeros: Int) -> [Concern] {
      let tensors = (0..<5).flatMap { layer in
        [
          Tensor(
            name: "layers.\(layer).kernel", shape: [4, 4],
            values: (0..<16).map { layer < zeros ? 0 : Float(($0 * 7 + layer * 5) % 11) }),
          Tensor(name: "layers.\(layer).bias", shape: [4], values: [Float](repeating: 0, count: 4)),
        ]
      }
      let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
      return Health(checkpoint, Composition(checkpoint)).concerns
    }
    #expect(concerns(2).map(\.kind) == [.fresh])
    #expect(concerns(2).first?.tensors.count == 7)
    #expect(concerns(2).first?.sentence.contains("layers.*.kernel (2 tensors)") == true)
    // Most of them zero: something went wrong.
    #expect(concerns(3).map(\.kind) == [.zero, .fresh])
  }

  @Test func `an LSTM's bias begins as zeros and ones`() {
    func concerns(_ gate: Float) -> [Concern] {
      let tensors = [
        Tensor(name: "lstm.kernel", shape: [4, 8], values: (0..<32).map { Float($0 % 11) - 5 }),
        Tensor(name: "lstm.bias", shape: [8], values: [0, 0, 1, gate, 0, 0, 0, 0]),
        Tensor(name: "dense.bias", shape: [2], values: [0, 0]),
      ]
      let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
      return Health(checkpoint, Composition(checkpoint)).concerns
    }
    #expect(concerns(1).map(\.kind) == [.fresh])
    #expect(concerns(0.75).isEmpty)
  }

  @Test func `one large matrix that layers share does not make them copies`() {
    let tensors = (0..<3).flatMap { layer in
      ["a", "b", "c"].map { part in
        Tensor(
          name: "layers.\(layer).\(part)", shape: [8, 8],
          values: (0..<64).map { (place: Int) -> Float in
            part == "a" ? Float(place) : Float((place * 37 + layer * 11) % 23 - 11) / 50
          })
      }
    }
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    let health = Health(checkpoint, Composition(checkpoint))
    #expect(health.copies.isEmpty)
    #expect(!health.concerns.contains { $0.kind == .copiedLayers })
  }

  @Test func `what is wrong with the same weight of many layers is told once`() throws {
    var tensors: [Tensor] = []
    for layer in 0..<8 {
      var values = (0..<32).map { Float(($0 * 7) % 13 + $0 % (layer + 2)) }
      values[5 + layer] = -1e5
      for owner in ["model", "ema"] {
        tensors.append(
          Tensor(name: "\(owner).layers.\(layer).kernel", shape: [4, 8], values: values))
      }
    }
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    let concerns = Health(checkpoint, Composition(checkpoint)).concerns
    #expect(concerns.map(\.kind) == [.float16Overflow, .float16Overflow, .duplicate])
    #expect(concerns.first?.tensors.count == 8)
    #expect(concerns.first?.index == [0, 5])
    #expect(concerns.first?.numbers.first?.value == 8)
    #expect(concerns.last?.numbers.map(\.value) == [16, 8, 8 * 4 * 8 * 4])
  }

  @Test(arguments: [20, 190])
  func `a copy far away in a very long stack is told as stored twice`(_ other: Int) {
    let tensors = (0..<200).map { layer in
      Tensor(
        name: "layers.\(layer).kernel", shape: [8, 8],
        values: (0..<64).map { (place: Int) -> Float in
          let seed = UInt64((layer == other ? 5 : layer) * 64 + place + 1)
          let mixed = (seed &* 0x9e37_79b9_7f4a_7c15) >> 20 &* 0xbf58_476d_1ce4_e5b9
          return Float(mixed >> 40) / Float(1 << 24) - 0.5
        })
    }
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    let concerns = Health(checkpoint, Composition(checkpoint)).concerns
    #expect(concerns.map(\.kind) == [other - 5 > 128 ? .duplicate : .copiedLayers])
    #expect(concerns.first?.tensors == ["layers.5.kernel", "layers.\(other).kernel"])
  }

  // MARK: Broken in one way

  struct Break: Sendable, CustomStringConvertible {
    var description: String
    var kinds: [Concern.Kind]
    var tensors: [String]
    var index: [Int]?
    var numbers: [String: Double] = [:]
    var change: @Sendable (inout [String: [Float]]) -> Void
  }

  static let query =
    "Transformer-1-MultiHeadSelfAttention/Transformer-1-MultiHeadSelfAttention/dense/kernel:0"
  static let inner = "Transformer-1-FeedForward/Transformer-1-FeedForward/dense/kernel:0"
  static let token = "Embedding-Token/Embedding-Token/embeddings:0"
  static let gamma = "Transformer-2-FeedForward-Norm/Transformer-2-FeedForward-Norm/gamma:0"

  static let breaks: [Break] = [
    Break(
      description: "NaN in one weight", kinds: [.notFinite], tensors: [inner], index: [3, 7],
      numbers: ["nan": 2, "infinite": 0]
    ) {
      $0[inner]?[3 * 80 + 7] = .nan
      $0[inner]?[4 * 80] = .nan
    },
    Break(
      description: "an infinity", kinds: [.notFinite], tensors: [query], index: [47, 47],
      numbers: ["nan": 0, "infinite": 1]
    ) { $0[query]?[48 * 48 - 1] = -.infinity },
    Break(
      description: "NaN in one vector of every layer", kinds: [.notFinite],
      tensors: (0..<3).map {
        "Transformer-\($0)-FeedForward-Norm/Transformer-\($0)-FeedForward-Norm/beta:0"
      }, index: [5], numbers: ["nan": 3]
    ) { tensors in
      for name in tensors.keys where name.hasSuffix("FeedForward-Norm/beta:0") {
        tensors[name]?[5] = .nan
      }
    },
    Break(description: "a matrix of zeros", kinds: [.zero], tensors: [query]) {
      $0[query] = $0[query]?.map { _ in 0 }
    },
    Break(description: "a scale of zeros", kinds: [.zero], tensors: [gamma]) {
      $0[gamma] = $0[gamma]?.map { _ in 0 }
    },
    Break(
      description: "a constant kernel", kinds: [.constant], tensors: [inner],
      numbers: ["value": 0.25]
    ) { $0[inner] = $0[inner]?.map { _ in 0.25 } },
    Break(
      description: "a row of zeros, one of ones, a short one, one without numbers",
      kinds: [.notFinite, .deadRows], tensors: [token], index: nil,
      numbers: ["rows": 4, "zero": 1, "constant": 1, "short": 1, "not_finite": 1]
    ) { tensors in
      for column in 0..<48 {
        tensors[token]?[5 * 48 + column] = 0
        tensors[token]?[9 * 48 + column] = 1
        tensors[token]?[11 * 48 + column] *= 1e-3
        tensors[token]?[20 * 48 + column] = .nan
      }
    },
    Break(
      description: "a row of zeros", kinds: [.deadRows], tensors: [token], index: [96],
      numbers: ["rows": 1, "zero": 1]
    ) { tensors in for column in 0..<48 { tensors[token]?[96 * 48 + column] = 0 } },
    Break(
      description: "rows that are copies", kinds: [.copiedRows], tensors: [token], index: [30],
      numbers: ["rows": 3, "sets": 1]
    ) { tensors in
      for column in 0..<48 {
        let value = tensors[token]?[30 * 48 + column] ?? 0
        tensors[token]?[31 * 48 + column] = value
        tensors[token]?[95 * 48 + column] = value
      }
    },
    Break(
      description: "a layer twenty times as large", kinds: [.outlier],
      tensors: [
        query, query.replacing("/dense/", with: "/dense_1/"),
        query.replacing("/dense/", with: "/dense_2/"),
        query.replacing("/dense/", with: "/dense_3/"), inner,
        inner.replacing("/dense/", with: "/dense_1/"),
      ]
    ) { tensors in
      for name in tensors.keys where name.hasPrefix("Transformer-1-") {
        tensors[name] = tensors[name]?.map { $0 * 20 }
      }
    },
    Break(
      description: "a number beyond float16", kinds: [.float16Overflow], tensors: [inner],
      index: [1, 2], numbers: ["numbers": 2, "largest": 100_000]
    ) {
      $0[inner]?[82] = 1e5
      $0[inner]?[83] = -65520
      $0[inner]?[84] = 65519  // is rounded down to 65504
    },
    Break(
      description: "a tensor stored twice", kinds: [.duplicate],
      tensors: [query.replacing("-1-", with: "-0-"), query], numbers: ["tensors": 2, "bytes": 9216]
    ) { $0[query] = $0[query.replacing("-1-", with: "-0-")] },
    Break(
      description: "a copied layer", kinds: [.copiedLayers], tensors: [],
      numbers: ["layers": 2, "cosine": 1]
    ) { tensors in
      for name in tensors.keys where name.hasPrefix("Transformer-0-") {
        tensors[name.replacing("Transformer-0-", with: "Transformer-2-")] = tensors[name]
      }
    },
    Break(
      description: "a layer that is nearly a copy", kinds: [.copiedLayers], tensors: [],
      numbers: ["layers": 2]
    ) { tensors in
      for (name, values) in tensors where name.hasPrefix("Transformer-0-") {
        let other = name.replacing("Transformer-0-", with: "Transformer-1-")
        tensors[other] = zip(values, tensors[other] ?? []).map { 0.9 * $0 + 0.05 * $1 }
      }
    },
  ]

  @Test(arguments: breaks)
  func `what is broken is found, and nothing else`(_ broken: Break) throws {
    let health = try self.broken(broken.change)
    #expect(health.concerns.map(\.kind) == broken.kinds, "\(health.concerns.map(\.sentence))")
    let concern = try #require(health.concerns.last)
    if !broken.tensors.isEmpty { #expect(Set(concern.tensors) == Set(broken.tensors)) }
    if let index = broken.index { #expect(concern.index == index) }
    for (name, value) in broken.numbers {
      #expect(concern.numbers.first { $0.name == name }?.value == value, "\(name)")
    }
    for name in concern.tensors.prefix(1) where concern.tensors.count == 1 {
      #expect(concern.sentence.contains(name))
    }
  }

  @Test func `the size of an outlier and the likeness of layers are those that were made`() throws {
    let scaled = try broken { tensors in
      for name in tensors.keys where name.hasPrefix("Transformer-2-") && name.hasSuffix("kernel:0")
      {
        tensors[name] = tensors[name]?.map { $0 / 50 }
      }
    }
    let ratio = try #require(scaled.concerns.first?.numbers.first { $0.name == "ratio" }?.value)
    #expect(scaled.concerns.map(\.kind) == [.outlier])
    #expect(abs(ratio * 50 - 1) < 0.2, "\(ratio)")

    // cos of (a, 0.9 a + 0.1 b), where a and b are what the file has.
    var (both, first, second) = (0.0, 0.0, 0.0)
    let near = try broken { tensors in
      for (name, values) in tensors where name.hasPrefix("Transformer-0-") {
        let other = name.replacing("Transformer-0-", with: "Transformer-1-")
        let mixed = zip(values, tensors[other] ?? []).map { Float(0.9) * $0 + Float(0.1) * $1 }
        tensors[other] = mixed
        guard name.hasSuffix("kernel:0") else { continue }
        for (x, y) in zip(values, mixed) {
          both += Double(x) * Double(y)
          first += Double(x) * Double(x)
          second += Double(y) * Double(y)
        }
      }
    }
    let copies = try #require(near.copies.first)
    #expect(copies.blocks == ["layers.0", "layers.1"] && !copies.isExact)
    #expect(abs(copies.cosine - both / (first * second).squareRoot()) < 1e-9)
  }

  @Test func `the padding token's row may be zero`() throws {
    let health = try broken { tensors in for column in 0..<48 { tensors[Self.token]?[column] = 0 } }
    #expect(health.concerns.isEmpty, "\(health.concerns.map(\.sentence))")
    #expect(health.tables.first { $0.canonical == "embeddings.token" }?.zero == [0])
  }

  @Test func `dead rows are told by their tokens`() throws {
    let words = (0..<97).map { "word\($0)" }
    let health = try broken(vocabulary: Vocabulary(tokens: words)) { tensors in
      for column in 0..<48 { tensors[Self.token]?[7 * 48 + column] = 0 }
    }
    #expect(health.concerns.first?.sentence.contains("7 (word7)") == true)
  }

  @Test func `a vocabulary beyond the table is a concern, a shorter one is none`() throws {
    for (count, kinds) in [(98, [Concern.Kind.vocabulary]), (90, [])] {
      let vocabulary = Vocabulary(tokens: (0..<count).map { "word\($0)" })
      let health = try broken(vocabulary: vocabulary) { _ in }
      #expect(health.concerns.map(\.kind) == kinds)
    }
  }

  @Test func `missing and left-over weights are told in groups`() throws {
    let opening = try Opening(Fixtures.path("hf-bert"))
    var checkpoint = opening.checkpoint
    checkpoint.groups[0].tensors.removeAll {
      $0.name.contains("attention.self.key.weight") || $0.name.hasSuffix("pooler.dense.bias")
    }
    let model = try ModelReader().draft(of: checkpoint, configuration: opening.configuration)
    let health = Health(checkpoint, Composition(checkpoint, model: model), model: model)
    #expect(health.concerns.map(\.kind) == [.missing, .missing])
    #expect(
      health.concerns.map(\.tensors) == [
        (0..<model.architecture.configuration.layers).map { "layers.\($0).attention.key.kernel" },
        ["pooler.bias"],
      ])
    #expect(health.concerns[0].sentence.contains("layers.*.attention.key.kernel"))
    #expect(throws: CheckpointError.self) { try model.checked() }
  }

  @Test func `a tensor that cannot be read is a concern, and the others are looked at`() throws {
    let opening = try Opening(Fixtures.path("b4k-bert", "weights.h5"))
    var checkpoint = opening.checkpoint
    let broken = Tensor(
      name: "broken", dtype: .f32, shape: [4, 4],
      payload: ComputedPayload(byteCount: 64, operation: "nothing") {
        () throws(CheckpointError) in
        throw CheckpointError(.damaged, Place(), "cannot be read today")
      })
    checkpoint.groups.append(Group(name: "more", tensors: [broken]))
    let health = Health(checkpoint, Composition(checkpoint))
    #expect(health.concerns.map(\.kind) == [.unreadable])
    #expect(health.concerns.first?.sentence == "broken: cannot be read today")
    let known = Health(opening.checkpoint, Composition(opening.checkpoint))
    #expect(health.numbers?.count == known.numbers?.count)
  }

  @Test func `what float16 loses is counted as rounding has it`() throws {
    var generator = SeededGenerator(seed: 5)
    let values = (0..<3000).map { _ in
      Float.random(in: -1...1, using: &generator) * Float.random(in: 0...1e-4, using: &generator)
        * (Bool.random(using: &generator) ? 1 : 1e-3)
    }
    let checkpoint = Checkpoint(groups: [
      Group(name: "", tensors: [Tensor(name: "w", shape: [30, 100], values: values)])
    ])
    let numbers = try #require(Health(checkpoint, Composition(checkpoint)).numbers)
    let vanishing = values.count { $0 != 0 && Float16($0) == 0 }
    let subnormal = values.count { $0 != 0 && Float16($0) != 0 && abs($0) < 0x1p-14 }
    #expect(numbers.isExact && vanishing > 100 && subnormal > 100)
    #expect(abs(numbers.vanishing * 3000 - Double(vanishing)) < 1e-6)
    #expect(abs(numbers.subnormal * 3000 - Double(subnormal)) < 1e-6)
  }

  @Test func `without numbers only names are looked at`() throws {
    let opening = try Opening(Fixtures.path("b4k-bert", "weights.h5"))
    let health = Health(
      opening.checkpoint, Composition(opening.checkpoint), readingNumbers: false)
    #expect(health.numbers == nil && health.tables.isEmpty && health.concerns.isEmpty)
  }

  // MARK: Parts

  @Test func `parts and roles add up to the file`() throws {
    let opening = try Opening(Fixtures.path("b4k-bert", "model_with_optimizer.h5"))
    let model = try opening.model()
    let parts = Composition(opening.checkpoint, model: model)
    let all = opening.checkpoint.tensors.reduce(0) { $0 + $1.shape.count }
    #expect(parts.parts.reduce(0) { $0 + $1.parameters } == all)
    // Adam keeps two numbers for each weight, and a counter.
    let weights = parts.parameters(.trainable)
    #expect(parts.parameters(.optimizer) == 2 * weights + 1)
    let layers = try #require(parts.parts.first { $0.name == "layers" })
    #expect(layers.blocks == 3)
    // 4 projections, 2 feed-forward matrices, biases, 2 norms; hidden 48, intermediate 80.
    let block = 4 * (48 * 48 + 48) + 48 * 80 + 80 + 80 * 48 + 48 + 4 * 48
    #expect(layers.parametersPerBlock == block && layers.parameters == 3 * block)
  }

  @Test func `running means and counters are fixed`() throws {
    let tensors = ["bn/gamma:0", "bn/moving_mean:0", "bn.running_var", "bn.num_batches_tracked"]
      .map { Samples.tensor($0, $0.hasSuffix("tracked") ? .i64 : .f32, [4]) }
    let parts = Composition(Checkpoint(groups: [Group(name: "", tensors: tensors)]))
    #expect(parts.parameters(.trainable) == 4 && parts.parameters(.fixed) == 12)
  }

  @Test func `running means and metrics of Keras 3 are fixed, which has numbers for names`() {
    let tensors = [
      "layers/batch_normalization/vars/0", "layers/batch_normalization/vars/1",
      "layers/batch_normalization/vars/2", "layers/batch_normalization/vars/3",
      "layers/batch_normalization_12/vars/0", "layers/batch_normalization_12/vars/1",
      "layers/batch_normalization_12/vars/2", "layers/layer_normalization/vars/1",
      "layers/normalization/vars/0", "metrics/mean/vars/0", "layers/dense_2/vars/3",
    ].map { Samples.tensor($0, .f32, [4]) }
    let roles = Composition(Checkpoint(groups: [Group(name: "", tensors: tensors)])).roles
    #expect(
      roles.filter { $0.value == .fixed }.keys.sorted() == [
        "layers/batch_normalization/vars/2", "layers/batch_normalization/vars/3",
        "layers/batch_normalization_12/vars/1", "layers/batch_normalization_12/vars/2",
        "layers/normalization/vars/0", "metrics/mean/vars/0",
      ])
  }

  @Test func `a part that only has a number is told with what the number counts`() {
    let tensors = ["net.0.weight", "net.0.bias", "net.2.weight"]
      .map { Samples.tensor($0, .f32, [4]) }
    let parts = Composition(Checkpoint(groups: [Group(name: "", tensors: tensors)])).parts
    #expect(parts.map(\.name) == ["net.0", "net.2"])
    #expect(parts.map(\.parameters) == [8, 4])
  }

  @Test func `an optimizer's own file holds no weights`() {
    let tensors = ["state.0.exp_avg", "state.0.step", "state.12.momentum_buffer", "state.0.weight"]
      .map { Samples.tensor($0, .f32, [4]) }
    let roles = Composition(Checkpoint(groups: [Group(name: "", tensors: tensors)])).roles
    #expect(roles.filter { $0.value == .trainable }.map(\.key) == ["state.0.weight"])
  }

  @Test func `a vector with axes of one is no constant matrix`() {
    let tensors = [
      Tensor(name: "scale", shape: [1, 8, 1], values: [Float](repeating: 0, count: 8)),
      Tensor(name: "kernel", shape: [4, 4], values: (0..<16).map { Float($0) }),
      Tensor(name: "bias", shape: [4], values: [1, 2, 3, 4]),
    ]
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    #expect(Health(checkpoint, Composition(checkpoint)).concerns.isEmpty)
  }

  @Test func `names that differ in numbers are one pattern`() {
    let groups = NamePattern.groups(of: ["a.0.b1", "a.1.b1", "c", "a.10.b1", "a.x"])
    #expect(groups.map(\.pattern) == ["a.*.b1", "c", "a.x"])
    #expect(groups[0].names == ["a.0.b1", "a.1.b1", "a.10.b1"])
    #expect(NamePattern.groups(of: ["a.3.b"]).map(\.pattern) == ["a.3.b"])
  }

  // MARK: Support

  private func health(of opening: Opening) throws -> Health {
    let model = try opening.model()
    return Health(opening.checkpoint, Composition(opening.checkpoint, model: model), model: model)
  }

  /// What is found of b4k-bert with other numbers.
  private func broken(
    vocabulary: Vocabulary? = nil, _ change: (inout [String: [Float]]) -> Void
  ) throws -> Health {
    let opening = try Opening(Fixtures.path("b4k-bert", "weights.h5"))
    var checkpoint = opening.checkpoint
    var values: [String: [Float]] = [:]
    for tensor in checkpoint.tensors { values[tensor.name] = try tensor.floats() }
    change(&values)
    for group in checkpoint.groups.indices {
      for index in checkpoint.groups[group].tensors.indices {
        let tensor = checkpoint.groups[group].tensors[index]
        checkpoint.groups[group].tensors[index] = Tensor(
          name: tensor.name, shape: tensor.shape, values: try #require(values[tensor.name]))
      }
    }
    let model = try ModelReader().model(of: checkpoint, configuration: opening.configuration)
    return Health(
      checkpoint, Composition(checkpoint, model: model), model: model, vocabulary: vocabulary)
  }
}
