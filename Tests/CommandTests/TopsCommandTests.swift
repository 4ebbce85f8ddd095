import Checkpoint
import TestSupport
import Testing

/// Layers on top, as a user meets them: listed, said, run, written, left out.
@Suite struct TopsCommandTests {
  private let user = Command.fixtures + "/b4k-bert-user/weights.h5"

  @Test func `info lists what is on top, and what to say of the rest`() throws {
    let told = try Command.run("info", Command.fixtures + "/b4k-crf/model.h5")
    #expect(told.output.contains("CRF of 5 labels, on dense"), "\(told.output)")
    let open = try Command.run("info", user)
    #expect(open.output.contains("dense_3/dense_3/kernel:0 (32, 5)"), "\(open.output)")
    #expect(open.output.contains("--set head.dense_3=first-token|sequence"), "\(open.output)")
    let json = try Command.run("info", user, "--json").json
    #expect(json?["tops"]?.array?.isEmpty == true)
    let layer = json?["unplaced"]?.array?.first
    #expect(layer?["layer"]?.string == "dense_3")
    #expect(layer?["tensors"]?.array?.first?["shape"]?.array?.compactMap(\.int) == [32, 5])
    let said = try Command.run(
      "info", user, "--json", "--set", "head.dense_3=first-token,softmax"
    ).json?["tops"]?.array?.first
    #expect(said?["meaning"]?.string == "5 labels, softmax, on first-token")
  }

  @Test(arguments: [
    ("head.dense_4=sequence", Int32(64), "no layer dense_4"),
    ("head.dense_3=pooler", 2, "no pooler"),
  ])
  func `what does not fit ends with its class`(
    _ said: String, _ code: Int32, _ reason: String
  ) throws {
    let result = try Command.run("info", user, "--set", said)
    #expect(result.code == code)
    #expect(result.errors.contains(reason), "\(result.errors)")
  }

  @Test func `a said layer is run, tapped by its own name, written and read again`() throws {
    let folder = try TemporaryFolder()
    let inputs = Command.fixtures + "/b4k-bert-user/inputs.npz"
    let flag = "head.dense_3=first-token,softmax"
    let run = try Command.run(
      "run", user, "--set", flag, "--inputs", inputs, "--tap", "dense_3", "--json")
    let names = run.json?["values"]?.array?.compactMap { $0["name"]?.string } ?? []
    #expect(Set(names).isSuperset(of: ["logits", "probs", "dense_3"]), "\(run.errors)")
    let out = folder.file("out.h5")
    let written = try Command.run(
      "convert", user, out, "--to", "bert4keras", "--set", flag, "--json")
    #expect(written.code == 0, "\(written.errors)")
    #expect(written.json?["verification"]?["verdict"]?.string == "identical")
    // The configuration beside it says what the weights do not.
    let again = try Command.run("info", out, "--json").json
    #expect(
      again?["tops"]?.array?.first?["meaning"]?.string == "5 labels, softmax, on first-token")
    let verified = try Command.run("verify", user, out, "--set", flag)
    #expect(verified.code == 0, "\(verified.output)")
  }

  @Test func `a layer goes with what sits on it`() throws {
    let folder = try TemporaryFolder()
    let crf = Command.fixtures + "/b4k-crf/model.h5"
    let result = try Command.run(
      "convert", crf, folder.file("out.h5"), "--to", "bert4keras", "--allow-drop", "head.dense.*",
      "--allow-drop", "head.conditional_random_field.*", "--json")
    #expect(result.code == 0, "\(result.errors)")
    let dropped = result.json?["dropped"]?.array?.compactMap { $0["name"]?.string } ?? []
    #expect(
      Set(dropped) == [
        "head.dense.kernel", "head.dense.bias", "head.conditional_random_field.transitions",
      ])
    let half = try Command.run(
      "convert", crf, folder.file("half.h5"), "--to", "bert4keras", "--allow-drop", "head.dense.*")
    #expect(half.code == 64)
    #expect(half.errors.contains("sits on dense"), "\(half.errors) \(half.output)")
  }

  @Test func `bert4keras goes to keras-bert and back`() throws {
    let folder = try TemporaryFolder()
    let there = folder.file("kb.h5")
    let result = try Command.run(
      "convert", Command.fixtures + "/b4k-bert/weights.h5", there, "--to", "keras-bert", "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["verdict"]?.string == "identical")
    let back = try Command.run(
      "convert", there, folder.file("b4k.h5"), "--to", "bert4keras", "--json")
    #expect(back.code == 0, "\(back.errors)")
    #expect(back.json?["verification"]?["passed"]?.bool == true)
  }

  @Test func `a layer that nothing places comes back from transformers as it went`() throws {
    let folder = try TemporaryFolder()
    let (there, back) = (folder.file("out"), folder.file("back.h5"))
    let source = Command.fixtures + "/b4k-bert-user/weights.h5"
    #expect(try Command.run("convert", source, there, "--to", "huggingface").code == 0)
    let result = try Command.run("convert", there, back, "--to", "bert4keras", "--json")
    #expect(result.code == 0, "\(result.errors)")
    func user(_ path: String) throws -> [Tensor] {
      try Opening(path).checkpoint.groups.first { $0.name == "dense_3" }?.tensors ?? []
    }
    let (before, after) = (try user(source), try user(back))
    #expect(before.map(\.name) == after.map(\.name) && !before.isEmpty)
    for (a, b) in zip(before, after) { #expect(try a.bytes() == b.bytes()) }
  }
}
