import Checkpoint
import Testing
import Transforms

@Suite struct HousekeepingTests {
  private func checkpoint(_ groups: [(String, [String])]) -> Checkpoint {
    Checkpoint(
      groups: groups.map { name, tensors in
        Group(name: name, tensors: tensors.map { Tensor(name: $0, shape: [1], values: [1]) })
      })
  }

  private func apply(_ text: String, to checkpoint: Checkpoint) throws -> CheckpointChange {
    try TransformRegistry.apply([TransformStep(parsing: text)], to: checkpoint).0
  }

  @Test func `every framework's optimizer state is left out, and nothing else`() throws {
    let state = [
      "optimizer_weights/Adam/iterations:0", "bert/encoder/layer_0/output/dense/kernel/adam_m",
      "bert/pooler/dense/bias/adam_v", "w/Adam", "w/Adam_1", "w/Momentum", "global_step",
      "beta1_power", "training/beta2_power", "optimizer/vars/3",
      "layer_with_weights-0/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE",
      "optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE", "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
      "optimizer.state.0.exp_avg", "optimizer_state_dict.state.1.exp_avg_sq",
    ]
    let weights = [
      "bert/encoder/layer_0/output/dense/kernel", "adam", "momentum_encoder.weight",
      "my_optimizer_net.weight", "layers/dense/vars/0", "model.global_step_embedding.weight",
      "layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE",
    ]
    var source = checkpoint([("", weights + state)])
    source.set(Attribute("training_config", text: "{}"))
    let change = try apply("strip-optimizer", to: source)
    #expect(change.checkpoint.tensors.map(\.name) == weights)
    #expect(change.left.map(\.tensor.name) == state)
    #expect(change.checkpoint.attributes.isEmpty)
  }

  @Test func `a group that was optimizer state alone goes, an empty layer stays`() throws {
    let change = try apply(
      "strip-optimizer",
      to: checkpoint([
        ("Input", []), ("dense", ["dense/kernel:0"]),
        ("optimizer_weights", ["optimizer_weights/a"]),
      ]))
    #expect(change.checkpoint.groups.map(\.name) == ["Input", "dense"])
  }

  @Test(arguments: [
    ("rename=a/kernel:0=>b/kernel:0", ["b/kernel:0", "a/bias:0"]),
    ("rename=a/*:0=>a/*", ["a/kernel", "a/bias"]),
    ("rename=*/*:0=>*.*", ["a.kernel", "a.bias"]),
    ("rename=*bias*=>*offset*", ["a/kernel:0", "a/offset:0"]),
  ])
  func `patterns rename`(_ text: String, _ expected: [String]) throws {
    let change = try apply(text, to: checkpoint([("", ["a/kernel:0", "a/bias:0"])]))
    #expect(change.checkpoint.tensors.map(\.name) == expected)
    for (new, old) in change.renamed {
      #expect(expected.contains(new) && ["a/kernel:0", "a/bias:0"].contains(old))
    }
  }

  @Test(arguments: [
    "rename", "rename=", "rename=a", "rename==>b", "rename=a=>", "rename=a/*=>b", "rename=x=>y",
    "rename=a/*:0=>a/bias:0*",
  ])
  func `a pattern that says nothing is refused`(_ text: String) throws {
    let source = checkpoint([("", ["a/kernel:0", "a/bias:0", "a/bias:0kernel"])])
    let error = #expect(throws: CheckpointError.self) { try apply(text, to: source) }
    #expect(error?.kind == .usage)
  }

  @Test func `a tensor that leaves its layer stands alone`() throws {
    let change = try apply(
      "rename=dense/*=>other/*", to: checkpoint([("dense", ["dense/dense/kernel:0"])]))
    #expect(change.checkpoint.groups.map(\.name) == ["dense", ""])
    #expect(change.checkpoint.tensors.map(\.name) == ["other/dense/kernel:0"])
  }

  @Test func `steps on stored tensors come first`() throws {
    let steps = try ["strip-optimizer", "untie"].map { try TransformStep(parsing: $0) }
    #expect(try TransformRegistry.apply(steps, to: checkpoint([("", ["a"])])).rest.count == 1)
  }

  @Test(arguments: [
    (
      "generator", true,
      [
        "electra/embeddings/word_embeddings", "generator/embeddings_project/kernel",
        "generator/encoder/layer_0/output/dense/kernel", "generator_predictions/dense/kernel",
        "global_step",
      ]
    ),
    (
      "discriminator", true,
      [
        "electra/embeddings/word_embeddings", "electra/embeddings_project/kernel",
        "electra/encoder/layer_0/output/dense/kernel",
        "electra/encoder/layer_0/output/dense/kernel/adam_m",
        "discriminator_predictions/dense/kernel", "global_step",
      ]
    ),
    (
      "generator", false,
      [
        "electra/embeddings/word_embeddings", "electra/embeddings_project/kernel",
        "electra/encoder/layer_0/output/dense/kernel",
        "electra/encoder/layer_0/output/dense/kernel/adam_m",
        "generator_predictions/dense/kernel", "global_step",
      ]
    ),
  ])
  func `one of ELECTRA's models is kept, with what both share`(
    _ part: String, _ hasOwn: Bool, _ expected: [String]
  ) throws {
    let names =
      [
        "electra/embeddings/word_embeddings", "electra/embeddings_project/kernel",
        "electra/encoder/layer_0/output/dense/kernel",
        "electra/encoder/layer_0/output/dense/kernel/adam_m",
        "discriminator_predictions/dense/kernel",
      ]
      + (hasOwn
        ? ["generator/embeddings_project/kernel", "generator/encoder/layer_0/output/dense/kernel"]
        : [])
      + ["generator_predictions/dense/kernel", "global_step"]
    let change = try apply("split-electra=\(part)", to: checkpoint([("", names)]))
    #expect(change.checkpoint.tensors.map(\.name) == expected)
    #expect(change.left.map(\.tensor.name) == names.filter { !expected.contains($0) })
    #expect(try Google().recognise(change.checkpoint, configuration: nil) == "electra")
  }

  @Test func `transformers' heads are split by their names`() throws {
    let body = [
      "electra.embeddings.word_embeddings.weight", "electra.encoder.layer.0.output.dense.weight",
    ]
    let (discriminator, generator) = (
      ["discriminator_predictions.dense.weight"],
      ["generator_predictions.dense.weight", "generator_lm_head.bias"]
    )
    let source = checkpoint([("", body + discriminator + generator)])
    #expect(
      try apply("split-electra=generator", to: source).checkpoint.tensors.map(\.name)
        == body + generator)
    #expect(
      try apply("split-electra=discriminator", to: source).checkpoint.tensors.map(\.name)
        == body + discriminator)
  }

  @Test(arguments: [
    ("split-electra=both", ["electra/encoder/x"], CheckpointError.Kind.usage),
    ("split-electra=discriminator", ["electra/encoder/x", "discriminator_predictions/x"], .usage),
    (
      "split-electra=generator", ["electra/encoder/x", "discriminator_predictions/x"], .unsupported
    ),
    (
      "split-electra=discriminator", ["generator/encoder/x", "generator_predictions/x"],
      .unsupported
    ),
    ("split-electra=generator", ["bert/encoder/x"], .unsupported),
    ("split-electra=generator", ["electra.x", "generator_predictions.x"], .usage),
  ])
  func `what is not there cannot be split`(
    _ step: String, _ names: [String], _ kind: CheckpointError.Kind
  ) throws {
    let error = #expect(throws: CheckpointError.self) {
      try apply(step, to: checkpoint([("", names)]))
    }
    #expect(error?.kind == kind)
  }
}
