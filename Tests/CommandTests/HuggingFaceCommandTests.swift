import Checkpoint
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
