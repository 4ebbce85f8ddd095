import Checkpoint
import TestSupport
import Testing

/// Google's checkpoints and llama.cpp's BERT as a user converts them.
@Suite struct GoogleCommandTests {
  private func convert(_ source: String, _ out: String, _ options: String...) throws
    -> Command.Result
  {
    try Command.run(Command.path, ["convert", Command.fixtures + "/\(source)", out] + options)
  }

  @Test func `slots are left out when it is said, and only they`() throws {
    let folder = try TemporaryFolder()
    let source = "google/bert-adam/bert_model.ckpt"
    let refused = try convert(source, folder.file("a"), "--to", "google")
    #expect(refused.code == 64)
    #expect(refused.errors.contains("--allow-drop '*/adam_m'"), "\(refused.errors)")
    let out = folder.file("b")
    let done = try convert(source, out, "--to", "google", "--apply", "strip-optimizer")
    #expect(done.code == 0, "\(done.errors)")
    let model = try Opening(out).model()
    #expect(Paths.isFile(out + "/bert_config.json"))
    #expect(model.architecture.heads == [.pooler, .nsp, .mlm])
    #expect(model.left.isEmpty)
    let slots = try convert(
      "google/t5-slots/bert_model.ckpt", folder.file("c"), "--to", "google", "--apply",
      "strip-optimizer")
    #expect(slots.code == 0, "\(slots.errors)")
  }

  @Test func `either of ELECTRA's models`() throws {
    let folder = try TemporaryFolder()
    let source = "google/electra-both/bert_model.ckpt"
    let refused = try convert(
      source, folder.file("a"), "--to", "google", "--apply", "strip-optimizer")
    #expect(refused.code == 64)
    #expect(refused.errors.contains("--set part=generator"), "\(refused.errors)")
    let discriminator = folder.file("discriminator")
    let generator = folder.file("generator")
    var result = try convert(
      source, discriminator, "--to", "google", "--apply", "strip-optimizer", "--allow-drop",
      "generator*")
    #expect(result.code == 0, "\(result.errors)")
    result = try convert(
      source, generator, "--to", "google", "--apply", "strip-optimizer", "--set", "part=generator",
      "--allow-drop", "electra/e*", "--allow-drop", "discriminator*")
    #expect(result.code == 0, "\(result.errors)")
    #expect(try Opening(discriminator).model().architecture.heads == [.discriminator])
    let model = try Opening(generator).model()
    #expect(model.architecture.heads == [.mlm])
    #expect(model.architecture.configuration.heads == 2)
  }

  @Test func `what "gelu" means is written, and a Google configuration goes before another`() throws
  {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    #expect(try convert("hf-bert-gelu-new", out, "--to", "huggingface").code == 0)
    let result = try convert("b4k-bert/weights.h5", out, "--to", "google")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("by erf") || result.errors.contains("by erf"))
    let model = try Opening(out + "/bert_model.ckpt").model()
    #expect(model.architecture.configuration.activation == .geluErf)
  }

  @Test func `llama.cpp takes the encoder of tanh, with its vocabulary`() throws {
    let folder = try TemporaryFolder()
    let (out, vocabulary) = (folder.file("model.gguf"), folder.file("words.txt"))
    let output = Output(overwrite: false, inputs: [])
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##s", "word"]
    try output.file(vocabulary).write(Array(tokens.joined(separator: "\n").utf8), at: 0)
    try output.commit(durable: false)
    let options = ["--to", "gguf", "--vocab", vocabulary]
    var result = try Command.run(
      Command.path, ["convert", Command.fixtures + "/b4k-bert/weights.h5", out] + options)
    #expect(result.code == 2 && result.errors.contains("--set hidden_act=gelu_tanh"))
    let tanh = options + ["--set", "hidden_act=gelu_tanh"]
    result = try Command.run(
      Command.path, ["convert", Command.fixtures + "/b4k-bert/weights.h5", out] + tanh)
    #expect(result.code == 64 && result.errors.contains("--allow-drop 'pooler.*'"))
    let heads = ["pooler", "nsp", "mlm"].flatMap { ["--allow-drop", "\($0).*"] }
    result = try Command.run(
      Command.path, ["convert", Command.fixtures + "/b4k-bert/weights.h5", out] + tanh + heads)
    #expect(result.code == 0, "\(result.errors)")
    let back = folder.file("back")
    result = try Command.run(Command.path, ["convert", out, back, "--to", "google"])
    #expect(result.code == 0, "\(result.errors)")
    let words = try Vocabulary(contentsOf: back + "/vocab.txt")
    #expect(words.tokens == tokens)
  }
}
