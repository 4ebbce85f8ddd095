import Checkpoint
import TestSupport
import Testing

/// Steps on layers, units and precision, as a user runs them: written, read back, run and compared.
@Suite struct LayersCommandTests {
  private func convert(_ source: String, _ options: [String]) throws -> (Command.Result, [String]) {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      Command.path,
      ["convert", "\(Command.fixtures)/\(source)", folder.file("out"), "--json"] + options)
    return (result, folder.contents)
  }

  private func steps(_ texts: [String]) -> [String] { texts.flatMap { ["--apply", $0] } }

  private func check(
    _ source: String, _ texts: [String], _ options: [String] = [], _ contract: String,
    _ verdict: String
  ) throws {
    let (result, _) = try convert(source, steps(texts) + options)
    #expect(result.code == 0, "\(result.errors)")
    let found = result.json?["verification"]
    #expect(found?["contract"]?.string == contract)
    #expect(found?["verdict"]?.string == verdict)
    #expect(found?["disagreements"]?.array?.isEmpty == true)
    #expect(found?["weights_compared"]?.int ?? 0 > 0)
  }

  @Test(arguments: [
    ("b4k-albert-unshared", 2), ("b4k-bert", 3), ("hf-albert", nil), ("hf-gpt2", nil),
  ])
  func `info tells how far layers are apart that tie would share`(
    _ fixture: String, _ layers: Int?
  ) throws {
    let result = try Command.run("info", Fixtures.path(fixture), "--attention", "--json")
    let json = try #require(result.json)
    #expect(json["attention"]?.array?.isEmpty == false)
    #expect(json["layers"]?.array?.count == layers)
    for layer in json["layers"]?.array ?? [] {
      let distance = try #require(layer["distance_from_mean"]?.double)
      #expect(distance > 0)
      #expect(try #require(layer["farthest_weight"]?["distance_from_mean"]?.double) >= distance)
    }
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", ""), ("b4k-bert/weights.h5", "huggingface"),
    ("b4k-bert/weights.h5", "google"), ("b4k-albert/weights.h5", ""),
    ("b4k-albert/weights.h5", "huggingface"), ("b4k-nezha/weights.h5", ""),
    ("b4k-roformer/weights.h5", ""), ("b4k-roformer-v2/weights.h5", ""),
    ("b4k-gau-alpha/weights.h5", ""), ("b4k-gpt/weights.h5", ""), ("b4k-gpt2-ml/weights.h5", ""),
    ("b4k-electra/weights.h5", "huggingface"), ("b4k-t5/weights.h5", ""),
    ("b4k-crf/weights.h5", ""),
    ("b4k-t5.1.1/weights.h5", ""), ("b4k-opt-gated/weights.h5", ""),
    ("b4k-opt-conditional-hidden/weights.h5", ""), ("b4k-opt-residual/weights.h5", ""),
    ("b4k-opt-talking-heads/weights.h5", ""), ("hf-albert-groups", ""), ("hf-gpt2", ""),
    ("hf-mt5", ""), ("hf-t5-encoder", ""), ("hf-distilbert", ""), ("hf-roberta-sequence", ""),
  ])
  func `a wider feed-forward computes the same`(_ source: String, _ dialect: String) throws {
    let options = dialect.isEmpty ? [] : ["--to", dialect]
    try check(source, ["widen-ffn=101"], options, "rounding", "rounding")
  }

  @Test func `half precision is no excuse`() throws {
    let folder = try TemporaryFolder()
    let half = folder.file("half")
    let made = try Command.run(
      "convert", Command.fixtures + "/hf-bert", half, "--dtype", "f16")
    #expect(made.code == 0, "\(made.errors)")
    let result = try Command.run(
      "convert", half, folder.file("wide"), "--apply", "widen-ffn=150", "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["verdict"]?.string == "rounding")
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", "1", "huggingface"), ("b4k-albert/weights.h5", "0,3", "bert4keras"),
    ("b4k-nezha/weights.h5", "0", "google"), ("b4k-gau-alpha/weights.h5", "1", "bert4keras"),
    ("b4k-gpt2/weights.h5", "0", "huggingface"), ("b4k-gpt2-ml/weights.h5", "0", "bert4keras"),
    ("b4k-roformer-v2/weights.h5", "1", "bert4keras"), ("hf-albert-groups", "0-3", "huggingface"),
    ("b4k-t5/weights.h5", "encoder.0,decoder.1", "bert4keras"),
    ("hf-t5", "decoder.0", "huggingface"),
    ("b4k-opt-residual/weights.h5", "0", "bert4keras"),
  ])
  func `layers that remain keep their weights, and the loss is measured`(
    _ source: String, _ list: String, _ dialect: String
  ) throws {
    try check(source, ["drop-layers=\(list)"], ["--to", dialect], "lossy", "close")
    // A tolerance that is given holds.
    let strict = try convert(
      source, ["--apply", "drop-layers=\(list)", "--to", dialect, "--rtol", "0.001"])
    #expect(strict.0.code == 1 && strict.1.isEmpty)
  }

  @Test(arguments: [
    ("b4k-albert/weights.h5", "tie", ""), ("b4k-albert/weights.h5", "tie", "google"),
    ("hf-albert", "tie", ""), ("hf-albert-groups", "tie=2:inner=2", ""),
    ("hf-albert-equal", "tie", ""),
  ])
  func `what untie gave to each layer, tie takes back to the bit`(
    _ source: String, _ step: String, _ dialect: String
  ) throws {
    let options = dialect.isEmpty ? [] : ["--to", dialect]
    let (result, _) = try convert(source, steps(["untie", step]) + options)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["contract"]?.string == "exact")
    let folder = try TemporaryFolder()
    for (out, apply) in [("a", []), ("b", steps(["untie", step]))] {
      let made = try Command.run(
        Command.path,
        [
          "convert", "\(Command.fixtures)/\(source)", folder.file(out), "--to",
          dialect.isEmpty ? "huggingface" : dialect,
        ]
          + apply)
      #expect(made.code == 0, "\(made.errors)")
    }
    let files = Paths.list(folder.file("a")).sorted()
    #expect(files.count > 1 && files == Paths.list(folder.file("b")).sorted())
    for file in files {
      #expect(
        try File.contents(of: folder.file("a/\(file)"))
          == File.contents(of: folder.file("b/\(file)")),
        "\(file)")
    }
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", "tie", "bert4keras", "build_transformer_model(config, model='albert'"),
    ("b4k-bert/weights.h5", "tie=2", "huggingface", "AlbertForPreTraining"),
    ("hf-bert", "tie", "huggingface", "AlbertForPreTraining"),
    ("b4k-albert-unshared/weights.h5", "tie", "google", "build_transformer_model("),
    (
      "b4k-opt-residual/weights.h5", "tie", "bert4keras",
      "build_transformer_model(config, model='albert'"
    ),
  ])
  func `layers of their own become shared ones`(
    _ source: String, _ step: String, _ dialect: String, _ loading: String
  ) throws {
    let (result, _) = try convert(source, ["--apply", step, "--to", dialect])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["loads_as"]?.string?.hasPrefix(loading) == true)
    #expect(result.json?["verification"]?["contract"]?.string == "lossy")
    #expect(result.json?["verification"]?["disagreements"] == .array([]))
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", ["cast=f16"], [] as [String], "lossy", "close"),
    ("b4k-bert/weights.h5", ["cast=f64"], [], "exact", "identical"),
    ("b4k-bert/weights.h5", ["cast=f64"], ["--to", "huggingface"], "exact", "identical"),
    ("hf-gpt2", ["cast=f16"], ["--to", "bert4keras"], "lossy", "close"),
    ("hf-gpt2", ["cast=f16", "cast=f32"], [], "lossy", "close"),
    ("hf-gpt2", ["cast=f16"], ["--dtype", "f32"], "lossy", "close"),
    ("hf-albert", ["untie", "cast=f16", "tie"], [], "lossy", "close"),
  ])
  func `precision is changed at the place of the step`(
    _ source: String, _ texts: [String], _ options: [String], _ contract: String, _ verdict: String
  ) throws {
    try check(source, texts, options, contract, verdict)
  }

  @Test func `tensors of unknown meaning are cast, and what overflows leaves nothing`() throws {
    let folder = try TemporaryFolder()
    let source = folder.file("some.safetensors")
    let output = Output(overwrite: false, inputs: [])
    _ = try Safetensors().write(
      Checkpoint(groups: [
        Group(
          name: "",
          tensors: [
            Tensor(name: "a", shape: [2], values: [70000, 1.5]), Samples.tensor("n", .i64, [2]),
          ])
      ]), to: source, in: output, options: WriteOptions())
    try output.commit(durable: false)
    let target = folder.file("half.safetensors")
    let refused = try Command.run("convert", source, target, "--apply", "cast=f16")
    #expect(refused.code == 2 && refused.errors.contains("overflow=clip"), "\(refused.errors)")
    #expect(folder.contents == ["some.safetensors"])
    let result = try Command.run("convert", source, target, "--apply", "cast=f16:overflow=clip")
    #expect(result.code == 0, "\(result.errors)")
    let tensors = try Opening(target).checkpoint.tensors
    #expect(tensors.map(\.dtype) == [.f16, .i64])
    #expect(try tensors[0].doubles() == [65504, 1.5])
    // The later of two casts is what is written.
    let wide = try Command.run(
      "convert", source, target, "--overwrite", "--apply", "cast=f16:overflow=inf", "--dtype",
      "bf16")
    #expect(wide.code == 0, "\(wide.errors)")
    #expect(try Opening(target).checkpoint.tensors[0].doubles() == [.infinity, 1.5])
  }

  @Test func `quantized matrices are cast up`() throws {
    let folder = try TemporaryFolder()
    let (small, wide) = (folder.file("small.safetensors"), folder.file("small.gguf"))
    let output = Output(overwrite: false, inputs: [])
    _ = try Safetensors().write(
      Checkpoint(groups: [
        Group(
          name: "",
          tensors: [Tensor(name: "a", shape: [2, 32], values: (0..<64).map { Float($0) / 7 })])
      ]), to: small, in: output, options: WriteOptions())
    try output.commit(durable: false)
    #expect(try Command.run("convert", small, wide, "--dtype", "q8_0").code == 0)
    let back = folder.file("back.safetensors")
    let result = try Command.run("convert", wide, back, "--apply", "cast=f32")
    #expect(result.code == 0, "\(result.errors)")
    let (blocks, floats) = (
      try Opening(wide).checkpoint.tensors[0], try Opening(back).checkpoint.tensors[0]
    )
    #expect((blocks.dtype, floats.dtype) == (.q8_0, .f32))
    #expect(try blocks.doubles() == floats.doubles())
  }

  @Test(arguments: [
    ("generator", "", Head.mlm), ("discriminator", "", .discriminator),
    ("generator", "google", .mlm), ("generator", "huggingface", .mlm),
    ("discriminator", "huggingface", .discriminator),
    ("discriminator", "bert4keras", .discriminator),
    ("generator", "bert4keras", .mlm),
  ])
  func `one of ELECTRA's two models is written, with its own configuration`(
    _ part: String, _ dialect: String, _ head: Head
  ) throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    let result = try Command.run(
      Command.path,
      [
        "convert", Command.fixtures + "/google/electra-both/bert_model.ckpt", out, "--json",
        "--apply",
        "strip-optimizer", "--apply", "split-electra=\(part)",
      ] + (dialect.isEmpty ? [] : ["--to", dialect]))
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["verdict"]?.string == "identical")
    let architecture = try Opening(out).model().architecture
    #expect(architecture.heads == [head])
    let settings = [(key: "part", value: part)]
    var options = ModelReader.Options()
    options.settings = settings
    let source = try Opening(
      Fixtures.path("google", "electra-both", "bert_model.ckpt"), options: options
    )
    .model().architecture.configuration
    #expect(architecture.configuration.heads == source.heads)
    #expect(architecture.configuration.intermediateSize == source.intermediateSize)
  }

  @Test func `heads of both models in one file of transformers are told apart`() throws {
    let folder = try TemporaryFolder()
    let source = try Opening(Fixtures.path("hf-electra-discriminator", "model.safetensors"))
    let c = try source.model().architecture.configuration
    func tensor(_ name: String, _ shape: Shape) -> Tensor {
      Tensor(name: name, shape: shape, values: (0..<shape.count).map { Float($0 % 7) / 7 })
    }
    var both = source.checkpoint
    both.groups.append(
      Group(
        name: "",
        tensors: [
          tensor("generator_predictions.dense.weight", [c.embeddingSize, c.hiddenSize]),
          tensor("generator_predictions.dense.bias", [c.embeddingSize]),
          tensor("generator_predictions.LayerNorm.weight", [c.embeddingSize]),
          tensor("generator_predictions.LayerNorm.bias", [c.embeddingSize]),
          tensor("generator_lm_head.bias", [c.vocabularySize]),
        ]))
    let path = folder.file("both/model.safetensors")
    let output = Output(overwrite: false, inputs: [])
    try output.makeFolder(folder.file("both"))
    _ = try Safetensors().write(both, to: path, in: output, options: WriteOptions())
    try output.file(folder.file("both/config.json")).write(
      File.contents(of: Fixtures.path("hf-electra-discriminator", "config.json")), at: 0)
    try output.commit(durable: false)
    for (part, name) in [
      ("generator", "ElectraForMaskedLM"), ("discriminator", "ElectraForPreTraining"),
    ] {
      let result = try Command.run(
        "convert", path, folder.file(part), "--json", "--to", "huggingface", "--apply",
        "split-electra=\(part)")
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.json?["loads_as"]?.string?.hasPrefix(name) == true)
      #expect(result.json?["unexpected_keys"] == .array([]))
    }
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", ["tie=3"], 64, "share nothing"),
    ("b4k-bert/weights.h5", ["tie=2"], 2, "bert4keras' ALBERT shares one layer"),
    ("hf-albert", ["tie"], 2, "--apply untie"), ("hf-roberta", ["tie"], 2, "roberta"),
    ("b4k-gpt2/weights.h5", ["tie"], 2, "only ALBERT"),
    ("b4k-bert/weights.h5", ["drop-layers=0-2"], 64, "at least one must stay"),
    ("b4k-bert/weights.h5", ["drop-layers=7"], 64, "0 to 2"),
    ("b4k-t5/weights.h5", ["drop-layers=0"], 64, "encoder.0"),
    ("b4k-t5/weights.h5", ["drop-layers=encoder.0"], 2, "num_decoder_layers"),
    ("hf-albert-groups", ["drop-layers=1"], 2, "--apply untie"),
    ("b4k-bert/weights.h5", ["widen-ffn=8"], 64, "only added"),
    ("hf-gpt", ["widen-ffn=101"], 2, "4 × hidden_size"),
    ("hf-gpt2", ["cast=q8_0"], 64, "none of"),
    ("google/electra/bert_model.ckpt", ["split-electra=discriminator"], 64, "nothing to split"),
    ("google/electra/bert_model.ckpt", ["split-electra=generator"], 2, "no generator"),
    ("hf-gpt2", ["cast=f16", "rename=a=>b"], 64, "before steps on the model"),
  ])
  func `what cannot be done is said, and nothing is written`(
    _ source: String, _ texts: [String], _ code: Int32, _ word: String
  ) throws {
    let (result, contents) = try convert(source, steps(texts))
    #expect(result.code == code, "\(result.errors)")
    #expect((result.errors + result.output).contains(word), "\(result.errors)")
    #expect(contents.isEmpty)
  }
}
