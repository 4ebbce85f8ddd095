public import Checkpoint
import Glibc

/// What tells in which direction samples become more likely: the score ∇ₓ log p_σ(x), where p_σ is the density
/// of the data with Gaussian noise of standard deviation σ.
///
/// A network that gives an energy has the score −∇ₓE(x), which needs gradients with respect to its input: it
/// would be a third kind beside the two of ``NetworkScore``.
public protocol ScoreModel {
  /// The shape of one sample.
  var sampleShape: [Int] { get }

  /// - Parameters:
  ///   - x: samples as rows, `[n, …sampleShape]`.
  ///   - level: the noise that they have.
  /// - Returns: an array of the shape of `x`.
  func score(_ x: NDArray<Float>, at level: NoiseLevel) throws -> NDArray<Float>

  /// The noise-free samples that are to be expected, x + σ²·score.
  func denoised(_ x: NDArray<Float>, at level: NoiseLevel) throws -> NDArray<Float>
}

/// One of the standard deviations through which noise is taken away.
public struct NoiseLevel: Sendable, Equatable {
  public var sigma: Double
  /// From 0, the most noise first.
  public var index: Int

  public init(sigma: Double, index: Int) {
    self.sigma = sigma
    self.index = index
  }
}

extension ScoreModel {
  /// Tweedie's formula.
  public func denoised(
    _ x: NDArray<Float>, at level: NoiseLevel
  ) throws -> NDArray<Float> {
    let score = try score(x, at: level)
    let variance = level.sigma * level.sigma
    return NDArray(
      shape: x.shape,
      values: zip(x.values, score.values).map { Float(Double($0) + variance * Double($1)) })
  }
}

/// A Keras model as a score: a denoiser, or a network that gives the score itself.
public final class NetworkScore: ScoreModel {
  /// What the network gives for x.
  public enum Kind: Sendable {
    /// The denoised x. The best denoiser for noise of variance σ² is r(x) = x + σ²·∇log p_σ(x) (Miyasawa 1961;
    /// Alain and Bengio 2014, arXiv 1211.4246), so the score is (r(x) − x) / σ².
    case denoiser
    /// The score.
    case score
  }

  /// How the network is told the level.
  public enum Form: String, Sendable, CaseIterable {
    case sigma
    /// The natural logarithm of σ.
    case log
    /// σ².
    case variance
    /// The number of the level, from 0: for networks with a table of levels.
    case index

    func value(_ level: NoiseLevel) -> Float {
      switch self {
      case .sigma: Float(level.sigma)
      case .log: Float(Glibc.log(level.sigma))
      case .variance: Float(level.sigma * level.sigma)
      case .index: Float(level.index)
      }
    }
  }

  public let sampleShape: [Int]
  public let kind: Kind
  public let form: Form
  /// The inputs that take the samples and, where there is one, the level.
  public let input: String
  public let noiseInput: String?
  private let output: String
  private let noiseRank: Int
  private let sessions: KerasSessions

  /// - Parameters:
  ///   - noiseInput: the name of the input that takes the level; `nil` for one that has the shape of a number.
  /// - Throws: ``InferError`` where the model has other inputs, no output of the shape of its input, or extents
  ///   that are not known.
  public init(
    _ model: KerasModel, _ kind: Kind, noiseInput named: String? = nil, form: Form = .sigma,
    threads: Int? = nil
  ) throws {
    (self.kind, self.form) = (kind, form)
    let network = model.network
    let stated = model.inputShapes
    let names = network.inputs.map(\.layer)
    func isNumber(_ tensor: KerasTensor) -> Bool {
      stated[tensor].map { $0.rank == 1 || ($0.rank == 2 && $0[1] == 1) } ?? false
    }
    var levels = network.inputs.filter { named == nil ? isNumber($0) : $0.layer == named }
    // What has one input has it for its samples.
    if named == nil, network.inputs.count == 1 { levels = [] }
    if let named, levels.isEmpty {
      throw InferError(
        .input, named, "the model has no such input",
        hint: "inputs: \(names.joined(separator: ", "))")
    }
    let others = network.inputs.filter { !levels.contains($0) }
    guard let first = others.first, others.count == 1, levels.count < 2 else {
      throw InferError(
        .input, network.name,
        "must take samples and, at most, their noise level; it takes \(names.joined(separator: ", "))",
        hint: "--noise-input names the one that takes the level")
    }
    guard let shape = stated[first], shape.rank > 1 else {
      throw InferError(
        .input, first.layer, "states no shape of its samples",
        hint: "give it by --set input_shape=\(first.layer):None,28,28,1")
    }
    let extents = shape.extents.dropFirst().compactMap(\.self)
    guard extents.count == shape.rank - 1, extents.allSatisfy({ $0 > 0 }) else {
      throw InferError(
        .input, first.layer, "takes \(shape); samples need known extents",
        hint: "give them by --set input_shape=\(first.layer):None,28,28,1")
    }
    (input, sampleShape) = (first.layer, extents)
    noiseInput = levels.first?.layer
    noiseRank = levels.first.flatMap { stated[$0]?.rank } ?? 2
    // Of several outputs the one that is like its input.
    var shapes = [input: [2] + extents]
    if let noiseInput { shapes[noiseInput] = [2] + Array(repeating: 1, count: noiseRank - 1) }
    let runnable = try RunnableKeras(model, inputs: shapes)
    if let obstacle = runnable.obstacle { throw obstacle }
    let fitting = runnable.graph.outputs.filter { output in
      runnable.graph[output.value].shape.map { $0.extent(Extents()) } == [2] + extents
    }
    guard let output = fitting.first, fitting.count == 1 else {
      throw InferError(
        .input, network.name,
        "must have one output of the shape of its input, \(shape); it has "
          + "\(fitting.count) among \(runnable.outputNames.joined(separator: ", "))")
    }
    self.output = output.name
    sessions = KerasSessions(model, returning: [output.name], threads: threads)
  }

  /// What the network returns for samples of a level.
  public func callAsFunction(
    _ x: NDArray<Float>, at level: NoiseLevel
  ) throws -> NDArray<Float> {
    let rows = x.shape.first ?? 0
    var inputs = [input: x]
    if let noiseInput {
      inputs[noiseInput] = NDArray(
        shape: [rows] + Array(repeating: 1, count: noiseRank - 1),
        values: Array(repeating: form.value(level), count: rows))
    }
    guard let result = try sessions.run(inputs)[output] else {
      throw InferError(.graph, output, "was not computed")
    }
    return result
  }

  public func score(
    _ x: NDArray<Float>, at level: NoiseLevel
  ) throws -> NDArray<Float> {
    let result = try self(x, at: level)
    guard kind == .denoiser else { return result }
    let variance = level.sigma * level.sigma
    return NDArray(
      shape: x.shape,
      values: zip(result.values, x.values).map { Float((Double($0) - Double($1)) / variance) })
  }

  public func denoised(
    _ x: NDArray<Float>, at level: NoiseLevel
  ) throws -> NDArray<Float> {
    let result = try self(x, at: level)
    guard kind == .score else { return result }
    let variance = level.sigma * level.sigma
    return NDArray(
      shape: x.shape,
      values: zip(x.values, result.values).map { Float(Double($0) + variance * Double($1)) })
  }
}
