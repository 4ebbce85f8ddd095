import Checkpoint
import Foundation
import TestSupport
import Testing

/// Exit codes, messages and what is on disk afterwards.
@Suite struct ContractTests {
  private let albert = Command.fixtures + "/b4k-albert/weights.h5"
  private let bert = Command.fixtures + "/b4k-bert/weights.h5"

  @Test func `a conversion to transformers is proven and leaves exactly its files`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    let result = try Command.run(
      "convert", albert, out, "--to", "huggingface", "--apply", "untie", "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verified"]?.bool == true)
    #expect(result.json?["missing_keys"] == .array([]))
    #expect(result.json?["unexpected_keys"] == .array([]))
    #expect(folder.contents == ["out", "out/config.json", "out/model.safetensors"])
  }

  @Test func `the same conversion twice gives the same bytes`() throws {
    let folder = try TemporaryFolder()
    for (suffix, arguments) in [
      ("h5", ["--to", "bert4keras", "--apply", "untie"]), ("safetensors", []),
    ] {
      let files = ["a", "b"].map { folder.file("\($0)-\(suffix).\(suffix)") }
      for file in files {
        let result = try Command.run(Command.path, ["convert", albert, file] + arguments)
        #expect(result.code == 0, "\(result.errors)")
      }
      #expect(
        FileManager.default.contentsEqual(atPath: files[0], andPath: files[1]), "\(suffix)")
    }
  }

  @Test(arguments: [
    "b4k-albert/weights.h5", "b4k-bert/model.h5", "b4k-bert/model_with_optimizer.h5",
    "b4k-bert-user/weights.h5",
  ])
  func `h5 to safetensors to h5 keeps tensors, groups, order and attributes`(
    _ name: String
  ) throws {
    let folder = try TemporaryFolder()
    let source = Command.fixtures + "/" + name
    let (middle, back) = (folder.file("m.safetensors"), folder.file("b.h5"))
    #expect(try Command.run("convert", source, middle, "--no-verify").code == 0)
    #expect(try Command.run("convert", middle, back, "--no-verify").code == 0)
    let (a, b) = try (Opening(source).checkpoint, Opening(back).checkpoint)
    #expect(a.attributes == b.attributes)
    #expect(a.groups.map(\.name) == b.groups.map(\.name))
    for (x, y) in zip(a.groups, b.groups) {
      #expect(x.attributes == y.attributes, "\(x.name)")
      #expect(x.tensors.map(\.name) == y.tensors.map(\.name))
      for (s, t) in zip(x.tensors, y.tensors) {
        #expect(s.dtype == t.dtype && s.shape == t.shape)
        #expect(try s.bytes() == t.bytes(), "\(s.name)")
      }
    }
  }

  /// A wrong command line, its exit code, and words that the message must have.
  struct Failure: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var code: Int32
    var words: [String]
    var testDescription: String { arguments.joined(separator: " ") }
  }

  static let failures: [Failure] = {
    let albert = Command.fixtures + "/b4k-albert/weights.h5"
    let bert = Command.fixtures + "/b4k-bert/weights.h5"
    let (gpt2, t5) = (Command.fixtures + "/b4k-gpt2", Command.fixtures + "/b4k-t5")
    func hf(_ name: String) -> String { Command.fixtures + "/hf-" + name }
    return [
      Failure(arguments: ["info", "no/such/file"], code: 2, words: ["does not exist"]),
      Failure(arguments: ["ls", "/"], code: 2, words: ["folder without a weights file"]),
      Failure(arguments: ["ls", #filePath], code: 2, words: ["no known format"]),
      Failure(arguments: ["ls", #filePath, "--format", "h5"], code: 2, words: ["signature"]),
      Failure(arguments: ["ls"], code: 64, words: ["model"]),
      Failure(arguments: ["ls", albert, "--nonsense"], code: 64, words: ["--nonsense"]),
      Failure(
        arguments: ["convert", albert, albert, "--overwrite"], code: 64, words: ["is an input"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.h5", "--to", "klingon"], code: 64,
        words: ["klingon", "bert4keras", "huggingface"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.h5", "--apply", "melt"], code: 64,
        words: ["melt", "untie"]),
      Failure(
        arguments: ["convert", bert, "OUT/x", "--to", "huggingface", "--apply", "untie"], code: 2,
        words: ["own weights in each"]),
      Failure(
        arguments: [
          "info", Command.fixtures + "/hf-t5", "--set", "relative_attention_max_distance=9",
        ], code: 2, words: ["relative_attention_max_distance", "is 9", "--set"]),
      Failure(
        arguments: [
          "convert", Command.fixtures + "/hf-roformer-rotary-value", "OUT/x", "--to", "google",
        ], code: 2, words: ["rotary_value", "--to huggingface"]),
      Failure(
        arguments: [
          "convert", Command.fixtures + "/hf-roberta", "OUT/x", "--to", "bert4keras",
        ], code: 2, words: ["does not spell roberta", "--to huggingface"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.h5", "--dtype", "f8"], code: 64, words: ["bf16"]),
      Failure(
        arguments: [
          "convert", Command.fixtures + "/b4k-bert/model_with_optimizer.h5", "OUT/x", "--to",
          "huggingface",
        ], code: 64, words: ["--allow-drop 'optimizer_weights/*'"]),
      Failure(
        arguments: ["convert", albert, "/proc/nowhere/x.h5"], code: 74, words: ["cannot be written"]
      ),
      Failure(
        arguments: ["info", albert, "--set", "num_attention_heads=5"], code: 2,
        words: ["num_attention_heads", "44"]),
      Failure(
        arguments: ["info", albert, "--set", "vocab_size=90"], code: 2,
        words: ["vocab_size = 90", "89"]),
      Failure(
        arguments: ["info", bert, "--set", "num_hidden_layers=7"], code: 2,
        words: ["num_hidden_layers = 7", "3"]),
      Failure(
        arguments: ["info", albert, "--set", "hidden_act=wobble"], code: 2, words: ["wobble"]),
      Failure(
        arguments: ["run", albert, "--inputs", Command.fixtures + "/b4k-bert/config.json"],
        code: 2, words: ["no known format"]),
      Failure(
        arguments: ["run", albert, "--task", "fill-mask", "x"], code: 2, words: ["vocabulary"]),
      Failure(arguments: ["run", albert], code: 64, words: ["--inputs"]),
      Failure(
        arguments: ["info", albert, "--set", "layer_norm_eps=abc"], code: 2,
        words: ["layer_norm_eps", "abc"]),
      Failure(
        arguments: ["info", albert, "--set", "num_hidden_layers=9999999"], code: 2,
        words: ["num_hidden_layers", "at most"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.safetensors", "--max-shard-size", "1e14GB"],
        code: 64, words: ["--max-shard-size"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.h5", "--max-shard-size", "1MB"], code: 64,
        words: ["one file"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.safetensors", "--compress", "gzip"], code: 64,
        words: ["--compress", "safetensors"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.h5", "--compress", "zstd"], code: 64,
        words: ["--compress zstd", "gzip:1"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.keras"], code: 64,
        words: ["graph of layers", "--config"]),
      Failure(
        arguments: ["convert", albert, "OUT/x.weights.json"], code: 64,
        words: ["graph of layers"]),
      Failure(
        arguments: ["convert", albert, "OUT/x", "--to", "hf", "--allow-drop", "pooler.*"],
        code: 64, words: ["--allow-drop 'sop.*'"]),
      Failure(
        arguments: [
          "convert", Command.fixtures + "/hf-bert-gelu-new", "OUT/x.h5", "--to", "bert4keras",
        ], code: 2, words: ["1e-05", "1e-12", "--set"]),
      Failure(arguments: ["info", albert, "--json", "--bogus"], code: 64, words: ["\"error\""]),
      Failure(arguments: ["info", ""], code: 64, words: ["empty"]),
      Failure(
        arguments: ["verify", albert, bert], code: 1,
        words: ["embeddings.token", "[batch, length, 20] against [batch, length, 48]"]),
      Failure(
        arguments: ["verify", gpt2 + "/weights.h5", hf("gpt2")], code: 1, words: ["hidden_size"]),
      Failure(
        arguments: ["run", t5 + "/weights.h5", "--inputs", t5 + "/inputs.npz", "--mask", "unilm"],
        code: 2, words: ["mask", "unilm"]),
      Failure(
        arguments: ["info", t5 + "/weights.h5", "--set", "relative_attention_max_distance=16"],
        code: 2, words: ["relative_attention_max_distance", "16", "32 buckets"]),
      Failure(
        arguments: ["info", albert, "--set", "num_decoder_layers=9999999"], code: 2,
        words: ["num_decoder_layers", "at most"]),
      Failure(
        arguments: [
          "info", Command.fixtures + "/b4k-bert-user/weights.h5", "--set",
          "head.dense_3=first-token,softmax,relu",
        ], code: 64, words: ["two activations"]),
      Failure(
        arguments: ["run", hf("bert"), "--config", hf("gpt2/config.json"), "--inputs", "x.npz"],
        code: 2, words: ["names a bert", "\"gpt2\"", "--family bert"]),
      Failure(
        arguments: ["convert", gpt2 + "/weights.h5", "OUT/x.h5", "--to", "keras-bert"], code: 2,
        words: ["spells no gpt2"]),
    ]
  }()

  @Test(arguments: failures)
  func `an error says what is wrong, has its exit code and leaves nothing`(
    _ failure: Failure
  ) throws {
    let folder = try TemporaryFolder()
    let arguments = failure.arguments.map {
      $0.hasPrefix("OUT/") ? folder.file(String($0.dropFirst(4))) : $0
    }
    let result = try Command.run(Command.path, arguments)
    #expect(result.code == failure.code, "\(result.errors)")
    for word in failure.words {
      #expect((result.errors + result.output).contains(word), "\(result.errors)")
    }
    #expect(folder.contents == [])
  }

  @Test func `an existing output is kept unless it may be replaced`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("x.safetensors")
    try Data("precious".utf8).write(to: URL(fileURLWithPath: out))
    let refused = try Command.run("convert", albert, out)
    #expect(refused.code == 64)
    #expect(refused.errors.contains("--overwrite"))
    #expect(try String(contentsOfFile: out, encoding: .utf8) == "precious")
    #expect(folder.contents == ["x.safetensors"])
    #expect(try Command.run("convert", albert, out, "--overwrite").code == 0)
    #expect(try Command.run("ls", out).code == 0)
  }

  @Test func `a file that outgrows the disk leaves nothing`() throws {
    let folder = try TemporaryFolder()
    for name in ["x.safetensors", "x.h5"] {
      // The shell's limit on file size (in KB) stands for a full disk.
      let result = try Command.run(
        "/bin/bash",
        ["-c", "ulimit -f 20; exec \"$0\" convert \"$1\" \"$2\"", Command.path, albert]
          + [folder.file(name)])
      #expect(result.code == 74, "\(name): \(result.errors)")
      #expect(result.errors.contains("File too large"), "\(result.errors)")
      #expect(folder.contents == [])
    }
  }

  @Test func `a dry run shows the plan and writes nothing`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      "convert", albert, folder.file("out"), "--to", "huggingface", "--apply", "untie", "--dry-run")
    #expect(result.code == 0)
    #expect(result.output.contains("AlbertForPreTraining"))
    #expect(result.output.contains("copied, transposed"))
    #expect(folder.contents == [])
  }

  @Test func `a pooler without its sequence head is not lost silently`() throws {
    let folder = try TemporaryFolder()
    let source = folder.file("w.h5")
    #expect(
      try Command.run(
        "convert", albert, source, "--to", "bert4keras", "--allow-drop", "sop.*"
      ).code == 0)
    let out = folder.file("out")
    let refused = try Command.run("convert", source, out, "--to", "huggingface")
    #expect(refused.code == 64)
    #expect(refused.errors.contains("--allow-drop 'pooler.*'"), "\(refused.errors)")
    let allowed = try Command.run(
      "convert", source, out, "--to", "huggingface", "--allow-drop", "pooler.*", "--json")
    #expect(allowed.code == 0, "\(allowed.errors)")
    #expect(allowed.json?["loads_as"]?.string?.hasPrefix("AlbertForMaskedLM") == true)
    #expect(allowed.json?["unexpected_keys"] == .array([]))
  }

  @Test func `a glob that lets nothing go is said`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      "convert", albert, folder.file("out"), "--to", "hf", "--allow-drop", "nosuch*")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("'nosuch*' matches nothing"))
  }

  @Test func `a user's own layer is carried`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out.h5")
    let source = Command.fixtures + "/b4k-bert-user/weights.h5"
    #expect(try Command.run("convert", source, out, "--to", "bert4keras").code == 0)
    let names = try Opening(out).checkpoint.tensors.map(\.name)
    #expect(names.contains("dense_3/dense_3/kernel:0"))
    let info = try Command.run("info", out, "--json")
    #expect(info.json?["carried"]?.array?.count == 2)
    for precision in [["--dtype", "f16"], ["--dtype", "f64"], ["--apply", "cast=f16"]] {
      let cast = try Command.run(
        Command.path, ["convert", source, out, "--to", "bert4keras", "--overwrite"] + precision)
      #expect(cast.code == 0, "\(precision): \(cast.output)\(cast.errors)")
    }
  }

  @Test func `a bundle tells the prefix of its layers' names`() throws {
    let folder = try TemporaryFolder()
    let source = Command.fixtures + "/b4k-bert-prefix/weights.h5"
    let bundle = folder.file("best_model")
    let first = try Command.run(
      "convert", source, bundle, "--to", "bert4keras", "--format", "tf")
    #expect(first.code == 0, "\(first.errors)")
    let out = folder.file("out.h5")
    #expect(try Command.run("convert", bundle, out, "--to", "bert4keras").code == 0)
    let (written, stored) = try (Opening(out).checkpoint, Opening(source).checkpoint)
    #expect(written.tensors.map(\.name) == stored.tensors.map(\.name))
  }

  @Test(arguments: [1, 20, 39]) func `help is written on a terminal of any width`(
    columns: Int
  ) throws {
    let result = try Command.onTerminal(["ls", "--help"], columns: columns)
    #expect(result.code == 0 && result.output.contains("--stats"))
  }
}
