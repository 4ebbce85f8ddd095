@testable import Checkpoint
import Glibc
import TestSupport
import Testing

/// Files made by other people, with what was read from them elsewhere; run where a folder with both
/// is named by the environment variable.
private let realFiles = getenv("CKPT_REAL_FILES").map { String(cString: $0) }

@Suite(.enabled(if: realFiles != nil, "CKPT_REAL_FILES names no folder"))
struct TFRealFilesTests {
  @Test(arguments: [
    "tfck-bert-mini", "tfck-gpt2-toy", "tfck2-sonnet-a", "tf-regression-ckpt", "tf-serving",
  ])
  func `every tensor is what was expected`(_ set: String) throws {
    let folder = try #require(realFiles)
    let text = try File.contents(of: "\(folder)/expected/\(set).json")
    var tensors = 0
    var texts = 0
    for member in try JSON(parsing: text).members ?? [] {
      let path = "\(folder)/files/\(set)/\(member.key)"
      let checkpoint = try Opening(path).checkpoint
      #expect(checkpoint.format == "tf" && checkpoint.unreadable == [])
      for entry in member.value["tensors"]?.members ?? [] {
        if entry.value["dtype"]?.string == "str" {
          #expect(checkpoint.attributes.contains { $0.name == entry.key }, "\(path) \(entry.key)")
          texts += 1
        } else {
          try checkpoint.check(entry.key, entry.value)
          tensors += 1
        }
      }
      let scratch = try TemporaryFolder()
      let back = try scratch.bundle(checkpoint)
      #expect(try back.summary() == checkpoint.summary())
      #expect(TFCheckpoint().leavesOut(checkpoint) == [])
    }
    print("\(set): \(tensors) tensors are equal, \(texts) texts are there")
    #expect(tensors > 0)
  }

  @Test func `other entrances lead to the same files`() throws {
    let folder = "\(try #require(realFiles))/files"
    #expect(try Opening("\(folder)/tf-regression-ckpt").checkpoint.tensors.count == 2)
    let serving = "\(folder)/tf-serving/servables/tensorflow/testdata"
    let saved = "\(serving)/saved_model_half_plus_two_tf2_cpu/00000123"
    #expect(try Opening(saved).checkpoint.tensors.count == 3)
    let old = "\(folder)/tf-serving/session_bundle/testdata/half_plus_two/00000123"
    let checkpoint = try Opening("\(old)/export-00000-of-00001").checkpoint
    #expect(try checkpoint.tensor("a").doubles() == [0.5])
    #expect(try checkpoint.tensor("b").doubles() == [2])
  }
}
