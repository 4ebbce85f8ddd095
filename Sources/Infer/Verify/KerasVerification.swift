public import Checkpoint

extension Verification {
  /// Runs two graphs of layers on the same inputs and compares every value that both have.
  ///
  /// Values go by the names of their layers; where two graphs are the same but for names, as after a model
  /// was built twice, by their order.
  ///
  /// - Parameters:
  ///   - given: arrays by the names of the source's inputs; otherwise probes of two sizes.
  ///   - unrounded: as for families.
  /// - Throws: ``InferError`` where nothing of them can be run.
  public init(
    _ source: KerasModel, _ result: KerasModel, inputs given: [String: NDArray<Float>]? = nil,
    correspondence: Correspondence = Correspondence(), unrounded: [String: Tensor] = [:],
    seed: UInt64 = 1, options: VerificationOptions
  ) throws {
    var relation = correspondence
    let counterparts = KerasVerification.counterparts(source.network, result.network)
    relation.renamed.merge(counterparts) { old, _ in old }
    // A layer that another graph does without has gone into its neighbours, whose values are others then.
    let isOther =
      correspondence == Correspondence() && counterparts.isEmpty
      && KerasVerification.layers(source.network) != KerasVerification.layers(result.network)
    if isOther {
      relation.contract = .rounding
      relation.removed = KerasVerification.layers(source.network)
        .subtracting(source.network.outputs.map(\.layer))
      relation.rewritten = Set(source.weights.map(\.name))
    }
    func verified(
      _ arrays: [String: NDArray<Float>], _ options: VerificationOptions
    ) throws -> Verification {
      var made = try KerasVerification.verified(
        source, result, arrays, relation, unrounded, options)
      if isOther {
        made.notes.append("the two graphs have different layers: what counts is what they answer")
      }
      return made
    }
    if let given {
      self = try verified(RunnableKeras.inputs(named: given, for: source.network), options)
      return
    }
    let probes = KerasProbes(for: source, and: result)
    let extents = KerasVerification.fitting(source, probes)
    let few = probes.arrays(rows: 2, extents: extents, seed: seed)
    self = try verified(few, options)
    let more = probes.arrays(rows: 3, extents: extents.map { $0 + 2 }, seed: seed &+ 1)
    guard passed, more.mapValues(\.shape) != few.mapValues(\.shape) else { return }
    var second = options
    if second.judge == .always { second.judge = .whenInDoubt }
    add(try verified(more, second))
  }

  /// Runs a model of a known family and a graph of layers on the same inputs and compares the outputs
  /// that have one name in both.
  ///
  /// - Throws: ``InferError`` where they have no inputs or no output in common.
  public init(
    _ family: Model, _ keras: KerasModel, isReversed: Bool, mask: AttentionMaskKind? = nil,
    inputs given: [String: NDArray<Float>]? = nil, seed: UInt64 = 1, options: VerificationOptions
  ) throws {
    let arrays: [String: NDArray<Float>]
    if let given {
      arrays = try RunnableKeras.inputs(named: given, for: keras.network)
    } else {
      let probes = KerasProbes(for: keras)
      arrays = probes.arrays(
        rows: 3, extents: KerasVerification.fitting(keras, probes), seed: seed)
    }
    let graph = try RunnableKeras(keras, inputs: arrays.mapValues(\.shape))
    let model = try RunnableModel(family, mask: mask, inputs: arrays.keys)
    let own = try TextInputs(
      named: arrays, padding: model.architecture.configuration.padding, for: model.graph)
    let known = Set(model.outputNames + model.graph.aliases + model.frameworkNames.values)
    let canonical = Dictionary(
      model.frameworkNames.map { ($0.value, $0.key) }
    ) { first, _ in first }
    let shared = graph.outputNames.filter(known.contains)
      .map { (keras: $0, family: canonical[$0] ?? $0) }
      .filter { model.graph.value(named: $0.family) != nil }
    guard !shared.isEmpty else {
      throw InferError(
        .input, "outputs",
        "one is a \(family.architecture.family) model with \(model.outputNames.joined(separator: ", ")), "
          + "the other a graph of layers with \(graph.outputNames.joined(separator: ", ")): no output has "
          + "the same name in both",
        hint:
          "where both files hold their graph, --dialect keras and --dialect-b keras compare these")
    }
    if isReversed {
      try self.init(
        Trial(graph, model, shared.map { ($0.keras, $0.family) }, inputs: (arrays, own.arrays)),
        options, judging: model, weights: { ([], 0) })
    } else {
      try self.init(
        Trial(model, graph, shared.map { ($0.family, $0.keras) }, inputs: (own.arrays, arrays)),
        options, judging: graph, weights: { ([], 0) })
    }
    (rows, length) = (own.batch, own.length)
    notes.append(
      "one is read as a known family, the other by its graph: only "
        + "\(shared.map(\.keras).joined(separator: ", ")) is compared")
  }

  /// Takes in what the same models did on other inputs: of each value the greater difference.
  mutating func add(_ other: Verification) {
    let theirs = Dictionary(other.values.map { ($0.name, $0) }) { first, _ in first }
    values = values.map { own in
      guard let more = theirs[own.name], more.relative > own.relative else { return own }
      return more
    }
    first = first ?? other.first
    if judged.isEmpty { judged = other.judged }
    firstJudged = firstJudged ?? other.firstJudged
    let order: [Verdict] = [.identical, .rounding, .close, .different]
    if let a = order.firstIndex(of: verdict), let b = order.firstIndex(of: other.verdict), b > a {
      verdict = other.verdict
    }
    notes += other.notes.filter { !notes.contains($0) }
    rows += other.rows
  }
}

/// Parts of the comparison of two graphs of layers.
enum KerasVerification {
  static func verified(
    _ source: KerasModel, _ result: KerasModel, _ arrays: [String: NDArray<Float>],
    _ relation: Correspondence, _ unrounded: [String: Tensor], _ options: VerificationOptions
  ) throws -> Verification {
    let theirs = try corresponding(arrays, source, result, relation)
    let a = try RunnableKeras(source, inputs: arrays.mapValues(\.shape))
    let b = try RunnableKeras(result, inputs: theirs.mapValues(\.shape))
    let trial = Trial(a, b, relation, inputs: (arrays, theirs), few: (arrays, theirs))
    guard !trial.pairs.isEmpty else {
      if let stop = a.stops.first ?? b.stops.first { throw stop.error }
      throw InferError(
        .input, "values", "the two graphs have no value of the same name",
        hint:
          "the first has \(a.graph.valueNames.prefix(4).joined(separator: ", ")), …, the second "
          + "\(b.graph.valueNames.prefix(4).joined(separator: ", ")), …")
    }
    let computed = unrounded.filter { result[$0.key]?.tensor.shape == $0.value.shape }
    var verification = try Verification(
      trial, options, judging: b.varied(weights: computed), isComputed: !computed.isEmpty
    ) {
      try weights(source, result, relation)
    }
    verification.rows = arrays.values.first?.shape.first ?? 0
    for (runnable, which) in [(a, "first"), (b, "second")] {
      verification.notes += runnable.stops.map {
        "of the \(which), \($0.layer) and what comes after it was not compared: \(said($0.error))"
      }
    }
    return verification
  }

  private static func said(_ error: any Error) -> String {
    (error as? CheckpointError)?.reason ?? "\(error)"
  }

  /// The weights of one place in both.
  private static func weights(
    _ source: KerasModel, _ result: KerasModel, _ relation: Correspondence
  ) throws -> ([Comparison], Int) {
    let theirs = Dictionary(result.weights.map { ($0.name, $0.tensor) }) { first, _ in first }
    var pairs: [(use: String, source: Tensor, result: Tensor)] = []
    for weight in source.weights {
      // A layer whose value is gone may still be there, under its name.
      let name = relation.name(of: weight.name) ?? weight.name
      guard let other = theirs[name], relation.rewritten.isDisjoint(with: [weight.name, name])
      else { continue }
      pairs.append((weight.name, weight.tensor, other))
    }
    return (try Verification.differing(pairs, relation.contract), pairs.count)
  }

  /// The names of all layers, those of inner models behind the models' names.
  static func layers(_ network: KerasNetwork) -> Set<String> {
    network.layers.reduce(into: []) { names, layer in
      names.insert(layer.name)
      guard let inner = layer.network else { return }
      names.formUnion(layers(inner).map { "\(layer.name).\($0)" })
    }
  }

  /// The arrays by the result's names of the inputs: by name, else by their order.
  private static func corresponding(
    _ arrays: [String: NDArray<Float>], _ source: KerasModel, _ result: KerasModel,
    _ relation: Correspondence
  ) throws -> [String: NDArray<Float>] {
    let (own, theirs) = (source.network.inputs.map(\.layer), result.network.inputs.map(\.layer))
    guard own.count == theirs.count else {
      throw InferError(
        .input, "inputs",
        "one takes \(own.joined(separator: ", ")), the other \(theirs.joined(separator: ", "))")
    }
    let isNamed = Set(own.map { relation.name(of: $0) ?? $0 }) == Set(theirs)
    var named: [String: NDArray<Float>] = [:]
    for (index, name) in own.enumerated() {
      named[isNamed ? relation.name(of: name) ?? name : theirs[index]] = arrays[name]
    }
    return try RunnableKeras.inputs(named: named, for: result.network)
  }

  /// The result's names of the source's layers where the two graphs are the same but for names.
  static func counterparts(_ a: KerasNetwork, _ b: KerasNetwork) -> [String: String] {
    let names = Set(b.layers.map(\.name))
    // What is called the same is the same; nothing is guessed where that suffices.
    guard !a.layers.allSatisfy({ names.contains($0.name) }), a.layers.count == b.layers.count,
      zip(a.layers, b.layers).allSatisfy({ $0.className == $1.className })
    else { return [:] }
    var renamed: [String: String] = [:]
    for (own, other) in zip(a.layers, b.layers) {
      if own.name != other.name { renamed[own.name] = other.name }
      guard let inner = own.network, let theirs = other.network else { continue }
      for (old, new) in counterparts(inner, theirs) {
        renamed["\(own.name).\(old)"] = "\(other.name).\(new)"
      }
    }
    return renamed
  }

  /// The smallest extents of open axes at which the whole graph can be built; the smallest of all where
  /// none will do.
  static func fitting(_ model: KerasModel, _ probes: KerasProbes) -> [Int] {
    KerasProbes.extents.first { extents in
      let shapes = probes.arrays(rows: 1, extents: extents, seed: 0).mapValues(\.shape)
      guard let runnable = try? RunnableKeras(model, inputs: shapes) else { return false }
      return runnable.obstacle == nil
    } ?? KerasProbes.extents[0]
  }
}
