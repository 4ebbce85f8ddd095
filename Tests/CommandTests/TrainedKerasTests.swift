import Checkpoint
import Foundation
import TestSupport
import Testing

/// The models that were trained with Keras' own layers, as users run them.
@Suite struct TrainedKerasTests {
  // MARK: - Tagging

  private static func answers(_ name: String) throws -> JSON {
    try JSON(parsing: File.contents(of: Fixtures.path("trained", name, "answers.json")))
  }

  private func tag(
    _ file: String, _ texts: [String], _ options: [String] = []
  ) throws -> [JSON] {
    let result = try Command.run(
      Command.path,
      ["run", file, "--task", "tag", "--labels", "s,b,m,e", "--k-best", "2", "--json"] + options,
      input: texts.joined(separator: "\n"))
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["decoder"]?.string == "crf")
    return try #require(result.json?["results"]?.array)
  }

  @Test(arguments: ["model.h5", "weights.h5"], [nil, "1", "7"])
  func `a BiLSTM-CRF gives Keras' labels, scores and words, in batches and alone`(
    _ file: String, _ batch: String?
  ) throws {
    let expected = try Self.answers("bilstm-crf")
    let labels = try #require(expected["labels"]?.array).compactMap(\.string)
    let texts = try #require(expected["texts"]?.array)
    let results = try tag(
      Fixtures.path("trained", "bilstm-crf", file), texts.compactMap { $0["text"]?.string },
      batch.map { ["--batch", $0] } ?? [])
    #expect(results.count == 60 && texts.count == 60)
    for (answer, text) in zip(results, texts) {
      let tags = try #require(text["tags"]?.array).compactMap(\.int)
      let tokens = try #require(answer["tokens"]?.array)
      #expect(tokens.compactMap { $0["label"]?.string } == tags.map { labels[$0] })
      for key in ["score", "margin"] {
        let value = try #require(text[key]?.double)
        #expect(abs((answer[key]?.double ?? .nan) - value) < 1e-4 * max(1, abs(value)), "\(key)")
      }
      let words = try #require(answer["words"]?.array)
      #expect(words.compactMap { $0["text"]?.string } == text["words"]?.array?.compactMap(\.string))
    }
  }

  @Test func `a vocabulary from elsewhere is taken, a missing one asked for`() throws {
    let folder = try TemporaryFolder()
    let model = folder.file("model.h5")
    try FileManager.default.copyItem(
      atPath: Fixtures.path("trained", "bilstm-crf", "model.h5"), toPath: model)
    let missing = try Command.run("run", model, "--task", "tag", "今天")
    #expect(missing.code == 2 && missing.errors.contains("--vocab"), "\(missing.errors)")
    let text = try #require(try Self.answers("bilstm-crf")["texts"]?.array?.first)
    let results = try tag(
      model, [try #require(text["text"]?.string)],
      ["--vocab", Fixtures.path("trained", "bilstm-crf", "vocab.txt")])
    let score = try #require(text["score"]?.double)
    #expect(abs((results[0]["score"]?.double ?? .nan) - score) < 1e-3)
  }

  @Test func `two files of one tagger answer the same`() throws {
    let texts = try #require(try Self.answers("bilstm-crf")["texts"]?.array).prefix(9)
    let result = try Command.run(
      "verify", Fixtures.path("trained", "bilstm-crf", "model.h5"),
      Fixtures.path("trained", "bilstm-crf", "weights.h5"), "--task", "tag", "--json",
      input: texts.compactMap { $0["text"]?.string }.joined(separator: "\n"))
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["equal"]?.int == 9)
  }

  @Test func `what a graph cannot be asked is said`() throws {
    let tagger = Fixtures.path("trained", "bilstm-crf", "model.h5")
    for task in ["fill-mask", "generate", "encode", "spans"] {
      let result = try Command.run("run", tagger, "--task", task, "今天")
      #expect(
        result.code == 2 && result.errors.contains("the tasks tag and classify"), "\(result.errors)"
      )
    }
    let classified = try Command.run("run", tagger, "--task", "classify", "今天")
    #expect(classified.code == 2, "\(classified.errors)")
    #expect(classified.errors.contains("one row of numbers"), "\(classified.errors)")
    let images = try Command.run(
      "run", Fixtures.path("trained", "denoiser-plain", "model.keras"), "--task", "tag", "--vocab",
      Fixtures.path("trained", "bilstm-crf", "vocab.txt"), "今天")
    #expect(images.code == 2 && images.errors.contains("not token ids"), "\(images.errors)")
    let masked = try Command.run("run", tagger, "--task", "tag", "--mask", "causal", "今天")
    #expect(masked.code == 64 && masked.errors.contains("--mask"), "\(masked.errors)")
  }

  // MARK: - Sampling

  @Test(arguments: ["model.h5", "model.keras"])
  func `the denoiser's samples go step by step where NumPy's go`(_ file: String) throws {
    let chain = Fixtures.path("trained", "denoiser", "chain.npz")
    func expected(_ name: String) throws -> [Float] {
      try #require(try Opening(chain).checkpoint.tensors.first { $0.name == name }, "\(name)")
        .floats()
    }
    let sigmas = try #require(try Opening(chain).checkpoint.tensors.first { $0.name == "sigmas" })
    let levels = try Elements.decode(sigmas.bytes(), as: sigmas.dtype) as [Double]
    let step = try #require(try Opening(chain).checkpoint.tensors.first { $0.name == "step" })
    let size = try #require((Elements.decode(step.bytes(), as: step.dtype) as [Double]).first)
    let folder = try TemporaryFolder()
    let (samples, trace) = (folder.file("samples.npz"), folder.file("trace.npz"))
    let result = try Command.run(
      "sample", Fixtures.path("trained", "denoiser", file), "--sigma",
      levels.map { "\($0)" }.joined(separator: ","), "--steps", "4", "--step-size", "\(size)",
      "--noise", chain, "--trace", trace, "-o", samples, "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["noise_input"]?.string == "sigma")
    for (path, own, other) in [(trace, "trace", "numpy"), (samples, "samples", "numpy_last")] {
      let found = try #require(
        try Opening(path).checkpoint.tensors.first { $0.name == own }, "\(own)"
      ).floats()
      for reference in [other, other.replacingOccurrences(of: "numpy", with: "keras")] {
        let values = try expected(reference)
        #expect(found.count == values.count)
        let largest = values.map(abs).max() ?? 0
        let apart = zip(found, values).map { abs($0 - $1) }.max() ?? .infinity
        #expect(apart <= 1e-5 * largest, "\(reference): \(apart) of \(largest)")
      }
    }
  }

  @Test func `the plain denoiser takes noise away`() throws {
    let folder = try TemporaryFolder()
    let samples = folder.file("samples.npz")
    let result = try Command.run(
      "sample", Fixtures.path("trained", "denoiser-plain", "model.keras"), "--sigma", "0.4,0.2,0.1",
      "--steps", "5", "--count", "3", "-o", samples, "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["noise_input"] == .null)
    let found = try #require(try Opening(samples).checkpoint.tensors.first { $0.name == "samples" })
    #expect(found.shape.extents == [3, 8, 8, 1])
    let values = try found.floats()
    #expect(values.allSatisfy { $0 > -0.5 && $0 < 1.5 })
  }
}
