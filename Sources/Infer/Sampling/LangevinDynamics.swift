/// Annealed Langevin dynamics: samples of a distribution of which only the score is known, at several levels of
/// noise, the largest first.
///
/// At each level σᵢ, `steps` times: x ← x + αᵢ/2 · score(x, σᵢ) + √αᵢ · z, with z standard normal and
/// αᵢ = ε·σᵢ²/σ_L². At the end the noise of the last level is taken away: x ← x + σ_L²·score(x, σ_L).
///
/// Source: Song and Ermon, "Generative modeling by estimating gradients of the data distribution", 2019
/// (arXiv 1907.05600), algorithm 1; the last step: Jolicoeur-Martineau et al., 2020 (arXiv 2009.05475).
public struct LangevinDynamics: Sendable {
  public let levels: [NoiseLevel]
  public let steps: Int
  /// ε.
  public let stepSize: Double
  /// Whether the noise of the last level is taken away at the end.
  public let denoises: Bool

  /// The share of a level's variance that a step's is, where nothing is said: as Song and Ermon's ε = 2·10⁻⁵ for
  /// σ_L = 0.01.
  public static let usualShare = 0.2

  /// - Throws: ``InferError`` where a number is none that the algorithm takes.
  public init(
    sigmas: [Double], steps: Int, stepSize: Double? = nil, denoises: Bool = true
  ) throws(InferError) {
    guard let last = sigmas.last, sigmas.allSatisfy({ $0.isFinite && $0 > 0 }), steps > 0 else {
      throw InferError(.input, "sigma", "must be positive numbers, of which there is at least one")
    }
    guard zip(sigmas, sigmas.dropFirst()).allSatisfy({ $0 >= $1 }) else {
      throw InferError(.input, "sigma", "must go from the most noise to the least")
    }
    let stepSize = stepSize ?? LangevinDynamics.usualShare * last * last
    guard stepSize.isFinite, stepSize > 0 else {
      throw InferError(.input, "step size", "must be a positive number")
    }
    levels = sigmas.enumerated().map { NoiseLevel(sigma: $1, index: $0) }
    (self.steps, self.stepSize, self.denoises) = (steps, stepSize, denoises)
  }

  /// How often the model is asked.
  public var evaluations: Int { levels.count * steps + (denoises ? 1 : 0) }

  /// αᵢ.
  public func step(at level: NoiseLevel) -> Double {
    let last = levels[levels.count - 1].sigma
    return stepSize * level.sigma * level.sigma / (last * last)
  }

  /// Where a run stands when it is told of.
  public struct Moment: Sendable {
    public var level: NoiseLevel
    /// The step within the level, from 0; `nil` once the noise is taken away.
    public var step: Int?
    public var x: NDArray<Float>
  }

  /// Runs samples as rows from where they begin.
  ///
  /// - Parameters:
  ///   - x: `[n, …]`.
  ///   - noise: z of a level and step, in the order in which they come; as many numbers as `x` has.
  ///   - observe: called after every step.
  /// - Throws: ``InferError`` where numbers leave what floats can hold; what `model` throws.
  public func run(
    _ x: NDArray<Float>, _ model: some ScoreModel,
    noise: (_ level: Int, _ step: Int) throws -> [Float],
    observe: (Moment) throws -> Void = { _ in }
  ) throws -> NDArray<Float> {
    var x = x
    for level in levels {
      let alpha = step(at: level)
      let (half, root) = (alpha / 2, alpha.squareRoot())
      for step in 0..<steps {
        let score = try model.score(x, at: level)
        let z = try noise(level.index, step)
        guard score.shape == x.shape, z.count == x.values.count else {
          throw InferError(
            .input, "sample", "the score has shape \(score.shape), the samples \(x.shape)")
        }
        for index in x.values.indices {
          x.values[index] = Float(
            Double(x.values[index]) + half * Double(score.values[index])
              + root * Double(z[index]))
        }
        try check(x, level)
        try observe(Moment(level: level, step: step, x: x))
      }
    }
    guard denoises, let last = levels.last else { return x }
    x = try model.denoised(x, at: last)
    try check(x, last)
    try observe(Moment(level: last, step: nil, x: x))
    return x
  }

  private func check(_ x: NDArray<Float>, _ level: NoiseLevel) throws(InferError) {
    guard !x.values.allSatisfy(\.isFinite) else { return }
    throw InferError(
      .input, "sample", "numbers grew beyond what floats hold at sigma \(level.sigma)",
      hint: "a smaller --step-size, or levels that the model was trained for")
  }
}
