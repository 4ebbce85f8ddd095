import Checkpoint
import Glibc
import TestSupport
import Testing

@testable import Infer

/// Models trained on text answer as the library that trained them: token by token, from ids.
@Suite struct TrainedGenerationTests {
  private struct Trained {
    let steps: any StepModel
    let model: RunnableModel
    let answers: JSON

    init(_ name: String, mask: AttentionMaskKind? = nil) throws {
      let folder = Fixtures.folder + "/trained/" + name
      model = try RunnableModel(Opening(folder).model(), mask: mask)
      steps = try Steps.model(for: model)
      answers = try JSON(parsing: File.contents(of: folder + "/answers.json"))
    }

    func decode(
      _ decoding: Decoding, _ requests: [DecodingRequest]
    ) throws -> [[Generated]] { try Decoder(decoding)(requests, on: steps) }
  }

  private func ids(_ json: JSON?) -> [Int32] {
    json?.array?.compactMap { $0.int.map(Int32.init) } ?? []
  }

  private func numbers(_ json: JSON?) -> [Double] { json?.array?.compactMap(\.double) ?? [] }

  // MARK: bert4keras, UniLM

  @Test(arguments: ["greedy", "beam", "beam_minlen", "beam_min_ends"])
  func `a UniLM BERT writes what bert4keras' decoder writes`(_ mode: String) throws {
    let trained = try Trained("unilm-next", mask: .unilm)
    let texts = try #require(trained.answers["texts"]?.array)
    let end = try #require(trained.answers["end"]?.int)
    let requests = texts.map { text in
      DecodingRequest(
        Prompt(tokens: ids(text["ids"]), segments: ids(text["segments"]), targetSegment: 1),
        history: [])
    }
    var decoding = Decoding(.bert4keras, ends: [Int32(end)])
    let settings = mode == "greedy" ? nil : texts[0][mode]
    decoding.maxNewTokens = (settings?["maxlen"] ?? trained.answers["maxlen"])?.int ?? 0
    decoding.beams = settings?["topk"]?.int ?? 1
    decoding.minLength = settings?["minlen"]?.int ?? 1
    decoding.minEnds = settings?["min_ends"]?.int ?? 1
    let found = try trained.decode(decoding, requests)
    for (text, answer) in zip(texts, found.compactMap(\.first)) {
      let expected = mode == "greedy" ? text["greedy"] : text[mode]?["ids"]
      let score = mode == "greedy" ? text["greedy_score"] : text[mode]?["score"]
      let margin = mode == "greedy" ? text["greedy_margin"] : text[mode]?["margin"]
      #expect(answer.ids == ids(expected), "\(text["text"]?.string ?? "")")
      #expect(abs(answer.score - (score?.double ?? 0)) < 1e-3)
      if let margin = margin?.double, let own = answer.margin { #expect(abs(own - margin) < 1e-3) }
    }
    #expect(found.count >= 40)
  }

  @Test
  func `a UniLM BERT judges targets as bert4keras' model does`() throws {
    let trained = try Trained("unilm-next", mask: .unilm)
    let scores = try #require(trained.answers["scores"]?.array)
    let rows = scores.map { pair in
      let (all, segments) = (ids(pair["ids"]), ids(pair["segments"]))
      let source = segments.count { $0 == 0 }
      return ForcedTarget(
        prompt: Prompt(
          tokens: Array(all[..<source]), segments: Array(segments[..<source]), targetSegment: 1),
        target: Array(all[source...]))
    }
    try expect(rows, trained.model, scores.map { numbers($0["scores"]) })
  }

  @Test
  func `a UniLM BERT draws what bert4keras' random_sample draws`() throws {
    let trained = try Trained("unilm-next", mask: .unilm)
    for setting in try #require(trained.answers["sampling"]?.array) {
      var decoding = Decoding(.bert4keras, ends: [Int32(trained.answers["end"]?.int ?? 3)])
      decoding.temperature = setting["temperature"]?.double ?? 1
      decoding.topK = setting["topk"]?.int
      decoding.topP = setting["topp"]?.double
      (decoding.samples, decoding.maxNewTokens, decoding.seed) = (20_000, 1, 5)
      func drawn(after targets: [Int32]) throws -> [Int32] {
        let prompt = Prompt(
          tokens: ids(setting["ids"]), segments: ids(setting["segments"]), targets: targets,
          targetSegment: 1)
        return try trained.decode(decoding, [DecodingRequest(prompt, history: targets)])[0]
          .map { $0.ids[0] }
      }
      func cells(_ json: JSON?) -> [(id: Int32, probability: Double)] {
        json?.array?.compactMap { cell in
          cell["id"]?.int.flatMap { id in cell["probability"]?.double.map { (Int32(id), $0) } }
        } ?? []
      }
      expect(try drawn(after: []), from: cells(setting["first"]))
      for second in setting["second"]?.members ?? [] {
        expect(try drawn(after: [Int32(second.key) ?? -1]), from: cells(second.value))
      }
    }
  }

  // MARK: transformers, GPT2

  @Test
  func `a GPT2 writes what transformers' generate writes`() throws {
    let trained = try Trained("gpt2-reviews")
    let texts = try #require(trained.answers["texts"]?.array)
    let requests = texts.map { text in
      let prompt = ids(text["ids"])
      return DecodingRequest(
        Prompt(tokens: prompt, segments: prompt.map { _ in 0 }), history: prompt)
    }
    try expectLibrary(trained, texts, requests, ["beam", "beam_lp2"])
    for (key, change) in [
      ("greedy_repetition", { $0.repetitionPenalty = 1.3 }),
      ("greedy_no_repeat", { $0.noRepeatNGram = 2 }),
    ] as [(String, (inout Decoding) -> Void)] {
      var decoding = Decoding(
        .transformers, ends: [Int32(trained.answers["eos_token_id"]?.int ?? -1)])
      decoding.maxNewTokens = 16
      change(&decoding)
      let some = texts.indices.filter { texts[$0][key]?.array != nil }
      let found = try trained.decode(decoding, some.map { requests[$0] })
      #expect(found.map { $0[0].ids } == some.map { ids(texts[$0][key]) }, "\(key)")
      #expect(some.count >= 10)
    }
  }

  @Test
  func `a GPT2 judges texts as transformers' does`() throws {
    let trained = try Trained("gpt2-reviews")
    let scores = try #require(trained.answers["scores"]?.array)
    let rows = scores.map { text in
      let all = ids(text["ids"])
      return ForcedTarget(
        prompt: Prompt(tokens: [all[0]], segments: [0]), target: Array(all.dropFirst()))
    }
    try expect(rows, trained.model, scores.map { numbers($0["log_likelihoods"]) })
  }

  @Test(arguments: ["temperature", "top_k", "top_p", "all"])
  func `a GPT2 draws from the distributions of transformers' warpers`(_ name: String) throws {
    let trained = try Trained("gpt2-reviews")
    let sampling = try #require(trained.answers["sampling"])
    let setting = try #require(sampling[name])
    var decoding = Decoding(.transformers, ends: [])
    decoding.temperature = setting["temperature"]?.double ?? 1
    decoding.topK = setting["top_k"]?.int
    decoding.topP = setting["top_p"]?.double
    let prompt = ids(sampling["ids"])
    let probabilities = numbers(setting["probabilities"])
    let tokens = setting["ids"].map { ids($0) } ?? probabilities.indices.map { Int32($0) }
    let exact = Array(zip(tokens, probabilities)).map { (id: $0.0, probability: $0.1) }
    let request = DecodingRequest(
      Prompt(tokens: prompt, segments: prompt.map { _ in 0 }), history: prompt)
    let logits = try trained.steps.start([request.prompt])
    let own = Sampler(decoding).distribution(logits.values[...])
    #expect(Set(own.map(\.id)) == Set(tokens))
    let known = Dictionary(exact.map { ($0.id, $0.probability) }) { $1 }
    for (id, probability) in own { #expect(abs(probability - (known[id] ?? 0)) < 1e-5) }
    (decoding.samples, decoding.maxNewTokens, decoding.seed) = (20_000, 1, 9)
    let drawn = try trained.decode(decoding, [request])[0].map { $0.ids[0] }
    expect(drawn, from: exact)
  }

  // MARK: transformers, T5

  @Test
  func `a T5 writes what transformers' generate writes`() throws {
    let trained = try Trained("t5-segment")
    let texts = try #require(trained.answers["texts"]?.array)
    let requests = texts.map { request(ids($0["ids"]), trained) }
    try expectLibrary(trained, texts, requests, ["beam", "beam_lp06"])
  }

  private func request(_ source: [Int32], _ trained: Trained) -> DecodingRequest {
    let start = Int32(trained.answers["decoder_start_token_id"]?.int ?? 0)
    return DecodingRequest(
      Prompt(tokens: source, segments: source.map { _ in 0 }, targets: [start]), history: [start])
  }

  @Test
  func `a T5 judges targets as transformers' does`() throws {
    let trained = try Trained("t5-segment")
    let scores = try #require(trained.answers["scores"]?.array)
    let rows = scores.map {
      ForcedTarget(
        prompt: request(ids($0["source_ids"]), trained).prompt, target: ids($0["target_ids"]))
    }
    try expect(rows, trained.model, scores.map { numbers($0["log_likelihoods"]) })
  }

  @Test
  func `a T5's exposure bias is what transformers' numbers give`() throws {
    let trained = try Trained("t5-segment")
    let exposure = try #require(trained.answers["exposure"])
    let pairs = try #require(exposure["pairs"]?.array)
    var decoding = Decoding(.transformers, ends: [Int32(trained.answers["eos_token_id"]?.int ?? 1)])
    decoding.maxNewTokens = trained.answers["max_new_tokens"]?.int ?? 0
    let prepared = pairs.map { pair in
      let request = request(ids(pair["source_ids"]), trained)
      return Exposure.Prepared(
        row: ForcedTarget(prompt: request.prompt, target: ids(pair["target_ids"])),
        request: request)
    }
    let found = try Exposure.answers(
      prepared, TeacherForcing(trained.model), trained.steps, decoding)
    var summary = ExposureSummary()
    for (pair, answer) in zip(pairs, found) {
      #expect(answer.forced == ids(pair["forced_ids"]))
      #expect(answer.free == ids(pair["free_ids"]))
      #expect(answer.partsAt == pair["parts_at"]?.int)
      #expect(abs(answer.rougeL - (pair["rouge_l"]?.double ?? -1)) < 1e-6)
      expect(answer.forcedLogLikelihoods, numbers(pair["forced_log_likelihoods"]))
      expect(answer.freeLogLikelihoods, numbers(pair["free_log_likelihoods"]))
      summary.add(answer)
    }
    #expect(summary.count == 20)
    #expect(abs(summary.bleu - (exposure["bleu"]?.double ?? -1)) < 1e-6)
    #expect(abs(summary.rougeL - (exposure["rouge_l"]?.double ?? -1)) < 1e-6)
    #expect(summary.total.parting + summary.exact == 20)
  }

  // MARK: Comparing

  /// Greedy answers and beams, of all texts at once.
  private func expectLibrary(
    _ trained: Trained, _ texts: [JSON], _ requests: [DecodingRequest], _ beams: [String]
  ) throws {
    let end = Int32(try #require(trained.answers["eos_token_id"]?.int))
    var decoding = Decoding(.transformers, ends: [end])
    decoding.maxNewTokens = try #require(trained.answers["max_new_tokens"]?.int)
    let greedy = try trained.decode(decoding, requests)
    for (text, answer) in zip(texts, greedy) {
      #expect(answer[0].ids == ids(text["greedy"]), "\(text["text"]?.string ?? "")")
    }
    for name in beams {
      let settings = try #require(texts[0][name])
      decoding.beams = settings["num_beams"]?.int ?? 4
      decoding.lengthPenalty = settings["length_penalty"]?.double ?? 1
      decoding.earlyStopping = settings["early_stopping"] == .bool(true) ? .true : .false
      decoding.returns = 3
      for (text, answers) in zip(texts, try trained.decode(decoding, requests)) {
        let returned = try #require(text[name]?["returned"]?.array)
        #expect(answers.map(\.ids) == returned.map { ids($0["ids"]) }, "\(name)")
        expect(answers.map(\.score), returned.compactMap { $0["sequences_score"]?.double })
      }
    }
    #expect(texts.count >= 30)
  }

  private func expect(
    _ rows: [ForcedTarget], _ model: RunnableModel, _ expected: [[Double]]
  ) throws {
    var found = rows.map { _ in [Double]() }
    try TeacherForcing(model)(rows) { row, position, logits in
      found[row].append(
        Logits.logarithm(of: rows[row].target[position], logits) ?? .nan)
    }
    for (own, theirs) in zip(found, expected) { expect(own, theirs) }
    #expect(expected.count >= 10)
  }

  private func expect(_ own: [Double], _ theirs: [Double]) {
    #expect(own.count == theirs.count)
    for (a, b) in zip(own, theirs) { #expect(abs(a - b) < 1e-4 * max(1, abs(b))) }
  }

  /// Draws against their distribution; tokens expected less than five times count together.
  private func expect(_ drawn: [Int32], from exact: [(id: Int32, probability: Double)]) {
    let counts = Dictionary(drawn.map { ($0, 1) }, uniquingKeysWith: +)
    #expect(Set(counts.keys).isSubset(of: exact.map(\.id)))
    var (statistic, freedom, rest) = (0.0, -1.0, (0.0, 0.0))
    func add(_ seen: Double, _ wanted: Double) {
      statistic += (seen - wanted) * (seen - wanted) / wanted
      freedom += 1
    }
    for (id, probability) in exact {
      let (seen, wanted) = (Double(counts[id] ?? 0), probability * Double(drawn.count))
      if wanted < 5 { rest = (rest.0 + seen, rest.1 + wanted) } else { add(seen, wanted) }
    }
    if rest.1 > 0 { add(rest.0, rest.1) }
    guard freedom > 0 else { return }
    // What chance passes once in ten thousand times (Wilson and Hilferty).
    let part = 2 / (9 * freedom)
    #expect(statistic < freedom * pow(1 - part + 3.72 * part.squareRoot(), 3), "of \(freedom)")
  }
}
