public import Checkpoint

/// The result of comparing two models: weights, every value on the same inputs, and a verdict.
public struct Verification: Sendable {
  /// What was found; the order is from best to worst.
  public enum Verdict: String, Sendable {
    /// Every value is equal to the bit.
    case identical
    /// Values differ as rounding does: in Float64 the two compute the same function.
    case rounding
    /// In Float64 they differ, but by less than the tolerance.
    case close
    /// They differ beyond the tolerance.
    case different
  }

  public var verdict: Verdict
  public var contract: Correspondence.Contract
  /// Relative to a value's largest element.
  public var tolerance: Double
  /// Every compared value, in order of computation.
  public var values: [Comparison]
  /// The first value beyond tolerance.
  public var first: Comparison?
  /// What the two models say differently of themselves: sizes, activation, epsilons, heads, layers
  /// of the user's own.
  public var disagreements: [Disagreement]
  /// Weights that differ, the most different first.
  public var weights: [Comparison]
  public var comparedWeights: Int
  /// Float64 comparisons of the same values, where the judge was called.
  public var judged: [Comparison]
  /// The first value that differs in Float64 by more than rounding can explain.
  public var firstJudged: Comparison?
  /// Values that only one of the two has.
  public var onlyInSource: [String]
  public var onlyInResult: [String]
  /// What explains a difference, where there is one.
  public var diagnosis: Diagnosis?
  /// What was not compared, and why.
  public var notes: [String]
  public var rows: Int
  /// Positions of the longest row; `nil` for a graph of layers, whose inputs have shapes of their own.
  public var length: Int?

  /// Whether the contract holds.
  public var passed: Bool { verdict != .different }

  /// Two functions are the same when Float64 differs by less than this, relative to the largest.
  public static let judgeTolerance = 1e-9
}

/// How to verify.
public struct VerificationOptions: Sendable {
  public enum Judge: Sendable {
    /// Called when Float32 leaves a doubt.
    case whenInDoubt
    case always
    case never
  }

  /// Relative to a value's largest element; `nil` for 1e-5, or without a limit when lossy.
  public var relative: Double?
  /// Absolute; a value passes when it is within either.
  public var absolute: Double?
  public var judge = Judge.whenInDoubt
  public var threads: Int?

  public init() {}
}

extension Verification {
  /// Runs both models on corresponding inputs and compares every value that both have.
  ///
  /// - Parameters:
  ///   - expected: what the result should say of itself; the source's own architecture unless a
  ///     transform changed it.
  ///   - unrounded: weights of the result as they were computed, before each was rounded to its stored
  ///     type; the judge goes by them, so that rounding is told from breakage in every type.
  public init(
    _ source: RunnableModel, _ result: RunnableModel, inputs: TextInputs,
    expecting expected: FamilyArchitecture? = nil,
    correspondence: Correspondence = Correspondence(), unrounded: [String: Tensor] = [:],
    options: VerificationOptions
  ) throws {
    func both(_ inputs: TextInputs) -> Trial<RunnableModel, RunnableModel>.Inputs {
      (inputs.arrays, Verification.translated(inputs, correspondence))
    }
    let trial = Trial(
      source, result, correspondence, inputs: both(inputs),
      few: both(inputs.cut(rows: 2, length: 12)))
    let disagreements = try Disagreement.all(
      expected ?? source.architecture, source, result, correspondence)
    try self.init(
      trial, disagreements: disagreements, options,
      judging: result.varied(
        weights: unrounded.filter { result.has($0.key, of: $0.value.shape) }),
      isComputed: !unrounded.isEmpty
    ) {
      try Verification.compareWeights(source, result, correspondence)
    } diagnose: { differing in
      try Verification.diagnose(trial, differing)
    }
    (rows, length) = (inputs.batch, inputs.length)
  }

  /// The comparison of any two models.
  ///
  /// - Parameters:
  ///   - judging: the result with the weights by which the judge goes.
  ///   - isComputed: whether these differ from what is stored by rounding.
  ///   - weights: the weights that differ, and how many were compared.
  ///   - diagnose: what explains a difference, given the names of weights that differ.
  init<Source, Result>(
    _ trial: Trial<Source, Result>, disagreements: [Disagreement] = [],
    _ options: VerificationOptions, judging candidate: Result, isComputed: Bool = false,
    weights compareWeights: () throws -> ([Comparison], Int),
    diagnose: (_ differing: [String]) throws -> Diagnosis? = { _ in nil }
  ) throws {
    contract = trial.correspondence.contract
    let limit: Double? = options.relative ?? (contract == .lossy ? nil : 1e-5)
    tolerance = limit ?? .infinity
    (rows, length, notes) = (0, nil, [])
    (values, first, judged, firstJudged) = ([], nil, [], nil)
    (onlyInSource, onlyInResult) = (trial.onlyInSource, trial.onlyInResult)
    self.disagreements = disagreements

    if let misfit = trial.misfit(with: trial.result.graph) {
      (first, values, weights, comparedWeights) = (misfit, [misfit], [], 0)
      verdict = .different
      notes = ["the two graphs have different shapes; nothing was run"]
      diagnosis = try diagnose([])
      return
    }
    values = try trial.compared(threads: options.threads)
    (weights, comparedWeights) = try compareWeights()
    if let blind = values.first(where: \.isBlind) {
      notes.append(
        "\(blind.name) holds NaN in both: the values from there on prove nothing of what makes them"
      )
    }

    let absolute = options.absolute ?? 0
    func beyond(_ comparison: Comparison) -> Bool {
      !(comparison.relative <= (limit ?? .infinity) || comparison.largest <= absolute)
    }
    first = values.first(where: beyond)
    // Without a tolerance that was given, an exact contract means every bit of every weight.
    let strict = contract == .exact && options.relative == nil && options.absolute == nil
    let weightsDiffer = strict ? !weights.isEmpty : weights.contains(where: beyond)
    let inDoubt =
      first != nil || weightsDiffer || !disagreements.isEmpty
      || values.contains { $0.relative > 1e-6 }
    if options.judge == .always || (options.judge == .whenInDoubt && inDoubt) {
      judged = try trial.judged(candidate)
      firstJudged = judged.first { $0.relative > Verification.judgeTolerance }
    }
    let sameFunction = !judged.isEmpty && firstJudged == nil
    if !disagreements.isEmpty || weightsDiffer {
      verdict = .different
    } else if values.allSatisfy({ $0.largest == 0 }) {
      verdict = .identical
    } else if first == nil {
      verdict = judged.isEmpty || sameFunction ? .rounding : .close
    } else if sameFunction {
      // The judge has the last word: the same function, computed in an order that rounds more.
      verdict = .rounding
      notes.append(
        isComputed
          ? "what rounding made of the weights exceeds the tolerance; as computed in Float64, both are "
            + "the same function"
          : "Float32 exceeds the tolerance, but in Float64 both are the same function")
    } else {
      verdict = .different
    }
    if verdict == .different, contract != .lossy { diagnosis = try diagnose(weights.map(\.name)) }
  }

  /// What makes the two agree, tried in Float64 on short rows.
  private static func diagnose(
    _ trial: Trial<RunnableModel, RunnableModel>, _ differing: [String]
  ) throws -> Diagnosis? {
    let expected = try trial.source.reference(
      Double.self, trial.few.source, returning: trial.pairs.map(\.source))
    return try Diagnosis(trial.source, trial.result, differing: differing) { variation in
      guard trial.misfit(with: variation.graph) == nil else { return false }
      let values = try variation.reference(
        Double.self, trial.few.result, returning: trial.pairs.map(\.result))
      return try trial.compare(expected, values).allSatisfy { $0.relative <= judgeTolerance }
    }
  }

  /// The weights that the two use at the same places.
  static func compareWeights(
    _ source: RunnableModel, _ result: RunnableModel, _ correspondence: Correspondence
  ) throws -> ([Comparison], Int) {
    var pairs: [(use: String, source: Tensor, result: Tensor)] = []
    var compared: Set<String> = []
    let theirs = result.weightUses
    for (use, name) in source.weightUses.sorted(by: { Natural.less($0.key, $1.key) }) {
      // Steps name what they rewrite as the model of their turn does: by block or by applied layer.
      guard let place = correspondence.place(of: use), let other = theirs[place],
        correspondence.rewritten.isDisjoint(with: [name, use, place, other]),
        compared.insert(name + "\n" + other).inserted
      else { continue }
      pairs.append((use, try source.weight(name), try result.weight(other)))
    }
    return (try differing(pairs, correspondence.contract), pairs.count)
  }

  /// Those of pairs of weights that are not the same numbers, the most different first.
  static func differing(
    _ pairs: [(use: String, source: Tensor, result: Tensor)], _ contract: Correspondence.Contract
  ) throws -> [Comparison] {
    var differing: [Comparison] = []
    for (use, a, b) in pairs {
      guard a.shape == b.shape else {
        // A transform that is not exact may change shapes; its values are what counts.
        if contract == .exact {
          differing.append(Comparison(use, misfit: "\(a.shape) against \(b.shape)"))
        }
        continue
      }
      if try a.isRounding(of: b) { continue }
      let comparison = Comparison(
        use, NDArray(shape: a.shape.extents, values: try a.floats()),
        NDArray(shape: b.shape.extents, values: try b.floats()))
      differing.append(comparison)
    }
    return differing.sorted { $0.relative > $1.relative }
  }

  /// The result's ids for the source's, where a transform renumbered them.
  private static func translated(
    _ inputs: TextInputs, _ correspondence: Correspondence
  ) -> [String: NDArray<Float>] {
    guard let numbers = correspondence.newTokens else { return inputs.arrays }
    var arrays = inputs.arrays
    for input in [Input.tokens, Input.decoderTokens] {
      let ids = arrays[input]?.values ?? []
      arrays[input]?.values = ids.map { Float(numbers[Int($0)] ?? 0) }
    }
    return arrays
  }
}

extension Tensor {
  /// Whether the two are the same numbers, or in two precisions differ as rounding the wider makes them.
  func isRounding(of other: Tensor) throws -> Bool {
    let (narrower, wider) = byteCount <= other.byteCount ? (self, other) : (other, self)
    let common =
      wider.canBecome(narrower.dtype) && !narrower.dtype.isQuantized
      ? narrower.dtype : wider.dtype
    guard narrower.dtype == wider.dtype || narrower.canBecome(common) else { return false }
    let bytes = try narrower.cast(to: common, overflow: .infinite).bytes()
    return try bytes == wider.cast(to: common, overflow: .infinite).bytes()
      || wider.dtype != common && bytes == wider.cast(to: common, overflow: .clip).bytes()
  }
}

extension RunnableModel {
  /// Each weight by the place where it is used: `layers.3.…` also where layers are shared.
  ///
  /// Weights that only decoding needs (a CRF's transitions) are among them.
  var weightUses: [String: String] { architecture.uses(of: weightNames) }
}
