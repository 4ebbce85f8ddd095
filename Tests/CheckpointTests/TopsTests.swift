import Checkpoint
import TestSupport
import Testing

/// Layers on top of Keras models: what is told, what is said, what is refused, what is written.
@Suite struct TopsTests {
  private static func open(
    _ fixture: String, _ file: String, _ settings: [(key: String, value: String)] = []
  ) throws -> Model {
    var options = ModelReader.Options()
    options.settings = settings
    return try Opening(Fixtures.path(fixture, file), options: options).model()
  }

  // MARK: What is told

  @Test(
    arguments: [
      (
        "b4k-crf", "model.h5",
        ["dense: 5 wide, on sequence", "conditional_random_field: CRF of 5 labels, on dense"]
      ),
      (
        "b4k-crf", "weights.h5",
        ["dense: 5 wide, on sequence", "conditional_random_field: CRF of 5 labels, on dense"]
      ),
      (
        "b4k-memm-low-rank", "weights.h5",
        [
          "dense: 5 wide, on sequence",
          "maximum_entropy_markov_model: MEMM of 5 labels, rank 3, on dense",
        ]
      ),
      (
        "b4k-global-pointer", "model.h5",
        ["global_pointer: GlobalPointer, 3 heads of 8, on sequence"]
      ),
      ("b4k-global-pointer", "weights.h5", []),
      (
        "b4k-efficient-global-pointer", "weights.h5",
        ["efficient_global_pointer: EfficientGlobalPointer, 3 heads of 8, on sequence"]
      ),
      ("b4k-user-sequence", "weights.h5", []), ("b4k-user-two", "weights.h5", []),
    ] as [(String, String, [String])])
  func `what a file tells of layers on top`(
    _ fixture: String, _ file: String, _ expected: [String]
  ) throws {
    let model = try TopsTests.open(fixture, file)
    #expect(model.architecture.tops.map(\.summary) == expected)
    #expect(model.carried.contains { !$0.tensors.isEmpty } == expected.isEmpty)
  }

  @Test(arguments: [
    ("b4k-user-sequence", "weights.h5", "dense", "--set head.dense=first-token|sequence"),
    ("b4k-user-pooler", "weights.h5", "dense", "--set head.dense=first-token|sequence|pooler"),
    ("b4k-user-two", "weights.h5", "dense_1", "--set head.dense_1=dense"),
    (
      "b4k-global-pointer", "weights.h5", "global_pointer",
      "--set head.global_pointer=sequence,heads=N"
    ),
    (
      "b4k-bert-user", "tf/best_model.weights", "dense_3", "--set head.dense_3=first-token|sequence"
    ),
  ])
  func `a carried layer comes with the flag to say`(
    _ fixture: String, _ file: String, _ layer: String, _ flag: String
  ) throws {
    var options = ModelReader.Options()
    options.configurationPath = Fixtures.path(fixture, "config.json")
    let model = try Opening(Fixtures.path(fixture, file), options: options).model()
    #expect(model.flags[layer] == flag)
  }

  @Test(arguments: [
    ("b4k-user-sequence", "dence", "sequence", CheckpointError.Kind.usage, "no layer dence"),
    ("b4k-user-sequence", "dense", "pooler", .mismatch, "no pooler"),
    ("b4k-user-two", "dense_1", "sequence", .mismatch, "takes 9 numbers; sequence gives 12"),
    ("b4k-user-two", "dense_1", "dense", .usage, "no layer dense before it"),
    ("b4k-user-sequence", "dense", "softmax", .usage, "on what the layer sits"),
    ("b4k-user-sequence", "dense", "sequence,heads", .usage, "two places"),
    ("b4k-user-sequence", "dense", "sequence,size=3", .usage, "says nothing of a layer"),
    ("b4k-global-pointer", "global_pointer", "sequence", .usage, "how many heads"),
    ("b4k-global-pointer", "global_pointer", "sequence,heads=5", .mismatch, "do not divide"),
    ("b4k-global-pointer", "global_pointer", "first-token,heads=3", .mismatch, "over a sequence"),
    (
      "b4k-efficient-global-pointer", "efficient_global_pointer", "sequence,heads=2", .mismatch,
      "the weights have 3"
    ),
  ])
  func `what does not fit is refused`(
    _ fixture: String, _ layer: String, _ said: String, _ kind: CheckpointError.Kind,
    _ reason: String
  ) throws {
    let error = try #require(throws: CheckpointError.self) {
      try TopsTests.open(fixture, "weights.h5", [(key: "head.\(layer)", value: said)])
    }
    #expect(error.kind == kind)
    #expect(error.description.contains(reason), "\(error.description)")
    #expect(error.description.contains("--set head.\(layer)=\(said)"), "\(error.description)")
  }

  // MARK: Transitions

  @Test func `the multiplier of transitions is told, said or doubted`() throws {
    let whole = try TopsTests.open("b4k-crf", "model.h5")
    #expect(whole.architecture.configuration.transitionMultiplier == 1000)
    #expect(!whole.warnings.contains { $0.contains("transition_multiplier") })
    let weights = try TopsTests.open("b4k-crf", "weights.h5")
    #expect(weights.architecture.configuration.transitionMultiplier == 1)
    #expect(weights.settings.first { $0.key == "transition_multiplier" }?.origin == .assumed)
    #expect(weights.warnings.contains { $0.contains("--set transition_multiplier=1000") })
    let said = try TopsTests.open(
      "b4k-crf", "weights.h5", [(key: "crf_multiplier", value: "1000")])
    #expect(said.architecture.configuration.transitionMultiplier == 1000)
    #expect(!said.warnings.contains { $0.contains("transition_multiplier") })
    // As bert4keras uses them.
    let expected = try NPZ().read(Probe(Fixtures.path("b4k-crf", "transitions.npz"))).tensors[0]
    let used: [Float] = Elements.decode(try expected.bytes(), as: expected.dtype)
    let tensor = try #require(said["head.conditional_random_field.transitions"]).tensor
    let stored: [Float] = Elements.decode(try tensor.bytes(), as: tensor.dtype)
    for (a, b) in zip(stored, used) { #expect(abs(a * 1000 - b) < 1e-5) }
    let spelled = try Bert4keras().spell(said)
    #expect(spelled.configuration["transition_multiplier"]?.double == 1000)
  }

  // MARK: Writing

  static let said: [String: [(key: String, value: String)]] = [
    "b4k-global-pointer": [(key: "head.global_pointer", value: "sequence,heads=3")],
    "b4k-user-sequence": [(key: "head.dense", value: "sequence,softmax")],
    "b4k-user-pooler": [(key: "head.dense", value: "pooler,softmax")],
    "b4k-user-two": [
      (key: "head.dense", value: "first-token,relu"), (key: "head.dense_1", value: "softmax"),
    ],
  ]

  @Test(arguments: [
    "b4k-crf", "b4k-memm", "b4k-memm-low-rank", "b4k-global-pointer",
    "b4k-efficient-global-pointer", "b4k-user-sequence", "b4k-user-pooler", "b4k-user-two",
  ])
  func `layers are written back in Keras' order and under its names`(_ fixture: String) throws {
    let model = try TopsTests.open(fixture, "weights.h5", TopsTests.said[fixture] ?? [])
    #expect(!model.architecture.tops.isEmpty)
    let spelling = try Bert4keras().spell(model)
    let bytes = try File.contents(of: Fixtures.path("b4k-names-heads.json"))
    let rows = try #require(try JSON(parsing: bytes)[fixture]?.array).compactMap(\.array).filter {
      !($0[1].array?.isEmpty ?? true)
    }
    let groups = spelling.checkpoint.groups.filter { !$0.tensors.isEmpty }
    #expect(groups.map(\.name) == rows.compactMap(\.[0].string))
    for (group, row) in zip(groups, rows) {
      #expect(
        group.tensors.map { String($0.name.dropFirst(group.name.count + 1)) }
          == row[1].array?.compactMap(\.string))
    }
    // As a checkpoint of objects, it is read again to the same.
    let bundle = Bert4keras().arranged(spelling, for: "tf").checkpoint
    var reading = ModelReader.Options()
    reading.settings = (TopsTests.said[fixture] ?? []) + [(key: "num_attention_heads", value: "2")]
    let again = try ModelReader(reading).model(of: bundle, configuration: nil)
    #expect(again.architecture.tops == model.architecture.tops)
    for (a, b) in zip(model.weights, again.weights) {
      #expect(a.name == b.name)
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  @Test func `a checkpoint of objects has bert4keras' attributes`() throws {
    func paths(_ fixture: String) throws -> Set<String> {
      let spelling = try Bert4keras().spell(TopsTests.open(fixture, "weights.h5"))
      let names = Bert4keras().arranged(spelling, for: "tf").checkpoint.tensors.map(\.name)
      return Set(
        names.map {
          $0.split(separator: "/").dropFirst().prefix { $0 != ".ATTRIBUTES" }.joined(separator: "/")
        })
    }
    #expect(try paths("b4k-crf").contains("_trans"))
    #expect(try paths("b4k-memm-low-rank").isSuperset(of: ["_l_trans", "_r_trans"]))
    #expect(
      try paths("b4k-efficient-global-pointer").isSuperset(of: ["p_dense/kernel", "q_dense/bias"]))
  }

  @Test func `what stays unknown keeps its place among the layers`() throws {
    var model = try TopsTests.open(
      "b4k-user-two", "weights.h5", [(key: "head.dense", value: "first-token")])
    #expect(model.architecture.tops.map(\.name) == ["dense", "dense_1"])
    model = try TopsTests.open("b4k-crf", "weights.h5")
    model.carried.insert(
      Group(name: "lstm", tensors: [Tensor(name: "lstm/lstm/kernel:0", shape: [1], values: [1])]),
      at: 1)
    let names = try Bert4keras().spell(model).checkpoint.groups.map(\.name)
    #expect(names.suffix(3) == ["dense", "lstm", "conditional_random_field"])
  }

  @Test func `a pointer under a name of the user's is asked for`() throws {
    let model = try TopsTests.open(
      "b4k-global-pointer", "weights.h5", [(key: "head.global_pointer", value: "sequence,heads=3")])
    var checkpoint = try Bert4keras().spell(model).checkpoint
    let index = try #require(checkpoint.groups.firstIndex { $0.name == "global_pointer" })
    checkpoint.groups[index].name = "spans"
    for place in checkpoint.groups[index].tensors.indices {
      checkpoint.groups[index].tensors[place].name.replace("global_pointer", with: "spans")
    }
    var reading = ModelReader.Options()
    reading.settings = [(key: "num_attention_heads", value: "2")]
    let open = try ModelReader(reading).model(of: checkpoint, configuration: nil)
    #expect(open.flags["spans"] == "--set head.spans=sequence,heads=N if it is a GlobalPointer")
    reading.settings.append((key: "head.spans", value: "sequence,heads=3"))
    let said = try ModelReader(reading).model(of: checkpoint, configuration: nil)
    #expect(said.architecture.tops.map(\.kind) == model.architecture.tops.map(\.kind))
  }

  // MARK: keras-bert

  @Test func `keras-bert's names are written back as it writes them`() throws {
    let path = Fixtures.path("b4k-versions", "keras-bert-0.89.0.h5")
    var options = ModelReader.Options()
    options.configurationPath = Fixtures.path("b4k-versions", "keras-bert-0.89.0.json")
    let opening = try Opening(path, options: options)
    let model = try opening.model()
    let spelling = try KerasBERT().spell(model)
    let stored = opening.checkpoint.groups.filter { !$0.tensors.isEmpty }
    #expect(spelling.checkpoint.groups.map(\.name) == stored.map(\.name))
    #expect(
      spelling.checkpoint.tensors.map(\.name) == stored.flatMap(\.tensors).map(\.name))
    for (a, b) in zip(spelling.checkpoint.tensors, stored.flatMap(\.tensors)) {
      #expect(try a.bytes() == b.bytes(), "\(a.name)")
    }
  }

  @Test func `bert4keras' first names are not keras-bert's`() throws {
    let opening = try Opening(Fixtures.path("b4k-versions", "b4k-0.5.1.h5"))
    #expect(KerasBERT().recognise(opening.checkpoint, configuration: nil) == nil)
  }

  @Test func `keras-bert has no place for what it cannot compute`() throws {
    let model = try Models.random(
      family: "bert", groups: nil, layers: 2, projection: true, heads: [])
    let error = try #require(throws: CheckpointError.self) { try KerasBERT().spell(model) }
    #expect(error.kind == .unsupported)
    #expect(error.reason.contains("embeddings of width 4"))
  }
}
