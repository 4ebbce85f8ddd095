import Checkpoint
import Foundation
import TestSupport
import Testing

/// `ckpt verify` says whether, where and how much two models differ.
@Suite struct VerifyTests {
  private let albert = Command.fixtures + "/b4k-albert/weights.h5"

  @Test(arguments: [
    "layers.2.feed_forward.output.bias", "layers.0.attention.query.kernel", "embeddings.norm.gamma",
    "mlm.transform.kernel", "pooler.bias",
  ])
  func `one changed weight is named`(_ canonical: String) throws {
    let folder = try TemporaryFolder()
    let (good, bad) = (folder.file("good.h5"), folder.file("bad.h5"))
    #expect(
      try Command.run("convert", albert, good, "--to", "bert4keras", "--apply", "untie").code == 0)
    try change(canonical, of: good, to: bad)
    let result = try Command.run(
      "verify", good, bad, "--config-b", folder.file("good.config.json"), "--json")
    #expect(result.code == 1, "\(result.errors)")
    let weights = result.json?["weights_differing"]?.array ?? []
    #expect(weights.compactMap { $0["name"]?.string } == [canonical])
    // The value that the weight makes is the first to differ.
    let value = canonical.split(separator: ".").dropLast().joined(separator: ".")
    #expect(result.json?["first_difference"]?["name"]?.string == value)
    let text = try Command.run("verify", good, bad, "--config-b", folder.file("good.config.json"))
    #expect(text.output.contains("different"))
    #expect(text.output.contains(value))
  }

  /// A copy whose weight is moved by 0.05 in its first element.
  private func change(_ canonical: String, of good: String, to bad: String) throws {
    let opening = try Opening(good)
    let stored = try #require(opening.model()[canonical]?.sources.first)
    var checkpoint = opening.checkpoint
    for group in checkpoint.groups.indices {
      for index in checkpoint.groups[group].tensors.indices
      where checkpoint.groups[group].tensors[index].name == stored {
        let tensor = checkpoint.groups[group].tensors[index]
        var values = try tensor.floats()
        values[0] += 0.05
        checkpoint.groups[group].tensors[index] = Tensor(
          name: tensor.name, shape: tensor.shape, values: values)
      }
    }
    let output = Output(overwrite: false, inputs: [])
    try KerasHDF5().write(checkpoint, to: bad, in: output, options: WriteOptions())
    try output.commit(durable: false)
  }

  @Test(arguments: [
    ("num_attention_heads=2", "layers.0.attention.scores"),
    ("hidden_act=relu", "layers.0.feed_forward.inner"),
    ("layer_norm_eps=0.01", "embeddings.norm"),
    ("block_norm_eps=0.01", "layers.0.attention.norm"),
    ("layer_norm_eps=0.0001", "embeddings.norm"),
  ])
  func `a configuration that says otherwise fails at the first value it changes`(
    _ setting: String, _ value: String
  ) throws {
    let result = try Command.run("verify", albert, albert, "--set-b", setting, "--json")
    #expect(result.code == 1, "\(result.output) \(result.errors)")
    let first = result.json?["first_difference"]?["name"]?.string
    #expect(first == value || result.json?["first_float64_difference"]?["name"]?.string == value)
  }

  @Test(arguments: [
    "embedding_norm_eps=1e-6", "layer_norm_eps=1e-10", "head_norm_eps=1e-5", "head_output=logits",
    "padding=attention-mask", "pooler_activation=relu",
  ])
  func `what two configurations say differently is named even where values hardly differ`(
    _ setting: String
  ) throws {
    let result = try Command.run("verify", albert, albert, "--set-b", setting, "--json")
    #expect(result.code == 1, "\(result.output)")
    let key = setting.split(separator: "=")[0]
    let subjects = result.json?["disagreements"]?.array?.compactMap { $0["subject"]?.string } ?? []
    #expect(
      subjects.contains(String(key)) || (key == "layer_norm_eps" && subjects.count == 3),
      "\(subjects)")
  }

  @Test func `a missing head, another vocabulary and a user's own layer count`() throws {
    let folder = try TemporaryFolder()
    let headless = folder.file("headless.h5")
    #expect(
      try Command.run(
        "convert", albert, headless, "--to", "bert4keras", "--allow-drop", "MLM-*"
      ).code == 0)
    for pair in [[albert, headless], [headless, albert]] {
      let result = try Command.run(Command.path, ["verify"] + pair)
      #expect(result.code == 1)
      #expect(result.output.contains("heads is"), "\(result.output)")
    }
    let user = Command.fixtures + "/b4k-bert-user/weights.h5"
    let changed = folder.file("user.h5")
    var checkpoint = try Opening(user).checkpoint
    let group = try #require(checkpoint.groups.firstIndex { $0.name == "dense_3" })
    let kernel = checkpoint.groups[group].tensors[0]
    var values = try kernel.floats()
    values[1] = 7
    checkpoint.groups[group].tensors[0] = Tensor(
      name: kernel.name, shape: kernel.shape, values: values)
    let output = Output(overwrite: false, inputs: [])
    try KerasHDF5().write(checkpoint, to: changed, in: output, options: WriteOptions())
    try output.commit(durable: false)
    let result = try Command.run(
      "verify", user, changed, "--config-b", Command.fixtures + "/b4k-bert-user/config.json")
    #expect(result.code == 1)
    #expect(result.output.contains("dense_3/dense_3/kernel:0"), "\(result.output)")
  }

  @Test func `a tied, an untied and a converted model agree, whoever comes first`() throws {
    let folder = try TemporaryFolder()
    let (untied, out) = (folder.file("u.h5"), folder.file("out"))
    #expect(
      try Command.run("convert", albert, untied, "--to", "bert4keras", "--apply", "untie").code == 0
    )
    #expect(
      try Command.run("convert", albert, out, "--to", "huggingface", "--apply", "untie").code == 0)
    for a in [albert, untied, out] {
      for b in [albert, untied, out] {
        let result = try Command.run("verify", a, b)
        #expect(result.code == 0, "\(a) \(b): \(result.output)")
      }
    }
  }

  @Test func `rounding is told from breakage by the judge`() throws {
    let result = try Command.run(
      "verify", albert, albert, "--reference", "f64", "--per-layer", "--json")
    #expect(result.code == 0)
    #expect(result.json?["verdict"]?.string == "identical")
    let tanh = try Command.run(
      "verify", albert, albert, "--set-b", "hidden_act=gelu_tanh", "--json")
    #expect(tanh.code == 1)
    #expect(
      tanh.json?["first_float64_difference"]?["name"]?.string == "layers.0.feed_forward.inner")
  }

  @Test func `converted models agree under every mask`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    #expect(
      try Command.run("convert", albert, out, "--to", "huggingface", "--apply", "untie").code == 0)
    for mask in ["bidirectional", "causal", "unilm"] {
      let result = try Command.run("verify", albert, out, "--mask", mask)
      #expect(result.code == 0, "\(mask): \(result.output)")
    }
  }
}
