import Checkpoint
import Infer
import Testing

@Suite struct SessionTests {
  static let outputs = ["last_hidden_state", "pooler_output", "mlm_logits"]

  @Test(arguments: AttentionMaskKind.allCases, [1, 2, 5])
  func `an encoder agrees with the reference in Float64`(kind: AttentionMaskKind, threads: Int)
    throws
  {
    let trial = try Trial.encoder(mask: kind)
    let session = try trial.session(Self.outputs, threads: threads)
    for (batch, length) in [(1, 1), (2, 7), (3, 33), (1, 67), (2, 7)] {
      let inputs = encoderInputs(batch: batch, length: length, vocabulary: 31, seed: length)
      let got = try session.run(inputs)
      let expected = try trial.reference(inputs, Self.outputs)
      for name in Self.outputs {
        #expect(difference(got[name], expected[name]) < 2e-6, "\(name) of \(batch)×\(length)")
      }
    }
  }

  @Test func `every inner value can be tapped`() throws {
    let trial = try Trial.encoder()
    let names = trial.graph.valueNames
    let session = try trial.session(names)
    let inputs = encoderInputs(batch: 2, length: 11, vocabulary: 31, seed: 5)
    let got = try session.run(inputs)
    let expected = try trial.reference(inputs, names)
    #expect(Set(got.keys) == Set(names))
    for name in names { #expect(difference(got[name], expected[name]) < 2e-6, "\(name)") }
  }

  @Test func `one tap among fused nodes is exact`() throws {
    let trial = try Trial.encoder()
    let inputs = encoderInputs(batch: 2, length: 9, vocabulary: 31, seed: 6)
    for name in trial.graph.valueNames {
      let got = try trial.session([name], threads: 2).run(inputs)
      let expected = try trial.reference(inputs, [name])
      #expect(difference(got[name], expected[name]) < 2e-6, "\(name)")
    }
  }

  @Test func `runs of changing size answer as fresh sessions do`() throws {
    let trial = try Trial.encoder()
    let session = try trial.session(Self.outputs, threads: 2)
    for (batch, length) in [(1, 5), (4, 40), (1, 5), (2, 80), (4, 40), (1, 1)] {
      let inputs = encoderInputs(batch: batch, length: length, vocabulary: 31, seed: batch)
      let fresh = try trial.session(Self.outputs, threads: 2).run(inputs)
      #expect(try session.run(inputs) == fresh, "\(batch)×\(length)")
    }
  }

  @Test func `only what the wanted outputs need is asked for`() throws {
    let trial = try Trial.encoder()
    var asked: [String] = []
    let session = try Session(trial.graph, outputs: ["embeddings.segment"]) { name in
      asked.append(name)
      let array = trial.weights[name] ?? NDArray(zeros: [0])
      return Tensor(name: name, shape: Shape(array.shape), values: array.values)
    }
    #expect(asked == ["segment.table"])
    let got = try session.run(["segment": NDArray(shape: [1, 2], values: [1, 0])])
    #expect(got["embeddings.segment"]?.shape == [1, 2, 24])
  }

  @Test func `an input or a weight can be wanted too`() throws {
    let trial = try Trial.encoder()
    let session = try trial.session(["mask", "token.table", "mlm_logits", "mask"])
    let inputs = encoderInputs(batch: 1, length: 4, vocabulary: 31, seed: 2)
    let got = try session.run(inputs)
    #expect(got["mask"] == inputs["mask"])
    #expect(got["token.table"] == trial.weights["token.table"])
  }

  @Test func `weights of other types are converted`() throws {
    let trial = try Trial.encoder()
    let session = try Session(trial.graph, outputs: ["pooler_output"], threads: 1) { name in
      let array = trial.weights[name] ?? NDArray(zeros: [0])
      return Tensor(name: name, shape: Shape(array.shape), values: array.values).cast(to: .f64)
    }
    let inputs = encoderInputs(batch: 1, length: 4, vocabulary: 31, seed: 2)
    #expect(try session.run(inputs) == trial.session(["pooler_output"]).run(inputs))
  }
}

@Suite struct SessionErrorTests {
  @Test func `an unknown name is refused`() throws {
    let trial = try Trial.encoder()
    #expect(throws: InferError(.graph, "no_such", "")) { try trial.session(["no_such"]) }
  }

  @Test func `a weight of another shape is refused`() throws {
    var trial = try Trial.encoder()
    trial.weights["pooler.dense.bias"] = NDArray(zeros: [23])
    #expect(throws: InferError(.graph, "pooler.dense.bias", "")) {
      try trial.session(["pooler_output"])
    }
  }

  @Test func `a payload shorter than its tensor is refused`() throws {
    let trial = try Trial.encoder()
    #expect(throws: CheckpointError(.damaged, .tensor("segment.table"), "")) {
      try Session(trial.graph, outputs: ["embeddings.segment"]) { name in
        Tensor(name: name, dtype: .f32, shape: [2, 24], payload: BytesPayload([1, 2, 3]))
      }
    }
  }

  @Test(arguments: [-1, 31, 0.5, Float.nan, .infinity, 1e20])
  func `ids beyond the table are refused`(id: Float) throws {
    let trial = try Trial.encoder()
    let session = try trial.session(["mlm_logits"])
    var inputs = encoderInputs(batch: 2, length: 3, vocabulary: 31, seed: 1)
    inputs["token"]?.values[4] = id
    #expect(throws: InferError(.input, "token", "")) { try session.run(inputs) }
  }

  @Test func `computed ids beyond the table are refused`() throws {
    var trial = Trial(seed: 1)
    let token = trial.graph.input("token", [.batch, .length])
    let ids = try trial.graph.apply(Activate(.exponential), token)
    let rows = try trial.graph.apply(Gather(), try trial.weight("table", 4, 3), ids)
    trial.graph.output("rows", rows)
    let session = try trial.session(["rows"])
    #expect(throws: InferError(.input, "positions", "")) {
      try session.run(["token": NDArray(shape: [1, 1], values: [9])])
    }
    #expect(throws: InferError(.input, "positions", "")) {
      try session.run(["token": NDArray(shape: [1, 1], values: [.nan])])
    }
  }

  @Test func `missing, ragged and too long inputs are refused`() throws {
    let trial = try Trial.encoder()
    let session = try trial.session(["mlm_logits"])
    let inputs = encoderInputs(batch: 2, length: 3, vocabulary: 31, seed: 1)
    var missing = inputs
    missing["mask"] = nil
    #expect(throws: InferError(.input, "mask", "")) { try session.run(missing) }
    var ragged = inputs
    ragged["mask"] = NDArray(zeros: [2, 4])
    #expect(throws: InferError(.input, "mask", "")) { try session.run(ragged) }
    let long = encoderInputs(batch: 1, length: 81, vocabulary: 31, seed: 1)
    #expect(throws: InferError(.input, "length", "")) { try session.run(long) }
  }

  @Test func `a position beyond the length is refused`() throws {
    var trial = Trial(seed: 1)
    let x = trial.graph.input("x", [.batch, .length, .fixed(2)])
    trial.graph.output("last", try trial.graph.apply(SelectPosition(position: 3), x))
    let session = try trial.session(["last"])
    #expect(throws: InferError(.input, "length", "")) {
      try session.run(["x": NDArray(zeros: [1, 3, 2])])
    }
  }

  @Test func `positions beyond what a table can make are refused`() throws {
    var trial = Trial(seed: 1)
    let tokens = trial.graph.input("tokens", [.batch, .targets])
    let table = try trial.weight("table", 3, 2)
    trial.graph.output(
      "far",
      try trial.graph.apply(HierarchicalPositions(alpha: 0.4, isGiven: false), table, tokens))
    trial.graph.output(
      "counted",
      try trial.graph.apply(
        Gather(), table, trial.graph.apply(PositionsAfterPadding(padding: 0), tokens)))
    let tooMany = ["tokens": NDArray<Float>(zeros: [1, 10])]
    #expect(throws: InferError(.input, "targets", "")) {
      try trial.session(["far"]).run(tooMany)
    }
    let tokensAlone = ["tokens": NDArray<Float>(shape: [1, 3], values: [1, 1, 1])]
    #expect(throws: InferError(.input, "positions", "")) {
      try trial.session(["counted"]).run(tokensAlone)
    }
    #expect(throws: InferError.self) { try trial.reference(tokensAlone, ["counted"]) }
  }

  @Test func `more memory than there is is refused`() throws {
    var trial = Trial(seed: 1)
    let x = trial.graph.input("x", [.batch, .length, .fixed(1)])
    var scores = try trial.graph.apply(AttentionScores(heads: 1, scale: 1), x, x)
    scores = try trial.graph.apply(Activate(.tanh), scores)
    trial.graph.output("scores", scores)
    let session = try trial.session(["scores"])
    #expect(throws: InferError.self) {
      try session.run(["x": NDArray(zeros: [1, 20_000_000, 1])])
    }
  }
}
