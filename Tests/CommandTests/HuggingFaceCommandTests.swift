import Checkpoint
import Infer
import TestSupport
import Testing

/// Conversions to and from classes of transformers, as a user runs them.
@Suite struct HuggingFaceCommandTests {
  private func convert(_ source: String, _ more: String...) throws -> Command.Result {
    let folder = try TemporaryFolder()
    return try Command.run(
      Command.path,
      ["convert", "\(Command.fixtures)/\(source)", folder.file("out"), "--json"] + more)
  }

  @Test func `an untied ALBERT is an ELECTRA once its pooler is let go`() throws {
    let options = ["--to", "hf", "--apply", "untie", "--to-family", "electra"]
    func run(_ more: [String]) throws -> Command.Result {
      let folder = try TemporaryFolder()
      return try Command.run(
        Command.path,
        ["convert", "\(Command.fixtures)/b4k-albert/weights.h5", folder.file("out"), "--json"]
          + options + more)
    }
    let refused = try run([])
    #expect(refused.code == 64)
    #expect(refused.errors.contains("--allow-drop 'pooler.*' --allow-drop 'sop.*'"))
    let result = try run(["--allow-drop", "pooler.*", "--allow-drop", "sop.*"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["loads_as"]?.string?.hasPrefix("ElectraForMaskedLM") == true)
  }

  @Test(arguments: [
    ("hf-tf-bert", "BertForPreTraining"), ("hf-tf-t5", "T5ForConditionalGeneration"),
    ("hf-gpt2", "GPT2LMHeadModel"), ("hf-roberta-sequence", "RobertaForSequenceClassification"),
  ])
  func `a model stays in its class`(_ source: String, _ name: String) throws {
    let result = try convert(source, "--to", "huggingface")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["loads_as"]?.string?.hasPrefix(name) == true)
    #expect(result.json?["missing_keys"] == .array([]))
    #expect(result.json?["unexpected_keys"] == .array([]))
  }

  @Test func `a scaled decoder of its own is refused, and folded when asked`() throws {
    let scaled = ["--to", "hf", "--set", "scale_decoder_outputs=true"]
    let refused = try convert("hf-t5-gated", scaled[0], scaled[1], scaled[2], scaled[3])
    #expect(refused.code == 2)
    #expect(refused.errors.contains("--apply fold-decoder-scale"), "\(refused.errors)")
    let result = try convert(
      "hf-t5-gated", scaled[0], scaled[1], scaled[2], scaled[3], "--apply", "fold-decoder-scale")
    #expect(result.code == 0, "\(result.errors)")
  }

  @Test func `start and end of an answer stay so by way of bert4keras`() throws {
    let folder = try TemporaryFolder()
    let there = folder.file("b4k")
    let result = try Command.run(
      "convert", Command.fixtures + "/hf-bert-qa", there, "--to", "bert4keras")
    #expect(result.code == 0, "\(result.errors)")
    let back = try Command.run(
      "convert", there, folder.file("hf"), "--to", "huggingface", "--json")
    #expect(back.code == 0, "\(back.errors)")
    #expect(back.json?["loads_as"]?.string?.hasPrefix("BertForQuestionAnswering") == true)
  }

  @Test func `a RoBERTa whose padding id is 0 is probed within its table`() throws {
    let result = try convert("hf-roberta", "--to", "huggingface", "--set", "pad_token_id=0")
    #expect(result.code == 0, "\(result.errors)")
  }

  @Test func `position_ids are an input of what has a table of positions`() throws {
    let ids = NDArray<Float>(shape: [1, 3], values: [2, 3, 4])
    let zeros = NDArray<Float>(zeros: [1, 3])
    let arrays = ["input_ids": ids, "position_ids": zeros]
    func run(_ name: String, _ arrays: [String: NDArray<Float>]) throws -> [Float]? {
      let model = try Opening("\(Command.fixtures)/\(name)").model()
      let runnable = try RunnableModel(model, inputs: arrays.keys)
      let inputs = try TextInputs(named: arrays, padding: .attentionMask, for: runnable.graph)
      return try runnable.session(returning: ["last_hidden_state"]).run(inputs.arrays)[
        "last_hidden_state"]?.values
    }
    let counted = NDArray<Float>(shape: [1, 3], values: [0, 1, 2])
    let usual = try run("hf-bert", ["input_ids": ids])
    #expect(try run("hf-bert", ["input_ids": ids, "position_ids": counted]) == usual)
    #expect(try run("hf-bert", arrays) != usual)
    #expect(throws: InferError.self) { try run("hf-roformer", arrays) }
  }

  @Test func `a task's layer is let go when asked`() throws {
    let result = try convert(
      "hf-bert-token", "--to", "huggingface", "--allow-drop", "head.classifier.*")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["loads_as"]?.string?.hasPrefix("BertModel") == true)
  }

  @Test func `what is only read says so`() throws {
    let result = try convert("hf-bert-tiny", "--to", "huggingface-tf")
    #expect(result.code == 64)
    #expect(result.errors.contains("--to huggingface"), "\(result.errors)")
  }
}
