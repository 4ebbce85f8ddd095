// Layers of keras_contrib.

/// A linear chain of labels (`keras_contrib/layers/crf.py`): energies `activation(x · kernel + bias)`,
/// of neighbours `chain_kernel` `[from, to]`, of the ends `left_boundary` and `right_boundary`.
///
/// It returns the best path, one-hot, or what it takes for the labels' probabilities.
public struct ContribCRF: KerasLayer {
  public static let classNames = ["CRF"]

  public static func accepts(_ config: KerasConfig) -> Bool { config["learn_mode"] != nil }

  private enum Learning: String, CaseIterable { case join, marginal }
  private enum Result: String, CaseIterable { case viterbi, marginal }

  public let units: Int
  public let usesBias: Bool
  public let hasBoundaries: Bool
  public let activation: KerasActivation
  /// Whether it returns the best path.
  public let decodes: Bool
  /// Whether it hands on a mask; trained by whole paths it is the last layer.
  public let passesMask: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    units = try config.int("units")
    usesBias = try config.bool("use_bias", default: true)
    hasBoundaries = try config.bool("use_boundary", default: true)
    activation = try config.activation()
    let learning = try config.choice("learn_mode", default: Learning.join)
    let usual: Result = learning == .join ? .viterbi : .marginal
    decodes = try config.choice("test_mode", default: usual) == .viterbi
    passesMask = learning == .marginal
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let names =
      (usesBias ? ["bias"] : []) + (hasBoundaries ? ["left_boundary", "right_boundary"] : [])
    return KerasVariable.numbered(
      [
        KerasVariable("kernel", [try call.width(), units]),
        KerasVariable("chain_kernel", [units, units]),
      ] + names.map { KerasVariable($0, [units]) })
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    guard shape.rank == 3 else {
      throw CheckpointError(.mismatch, Place(), "takes \(shape); expected batch, steps, features")
    }
    return [shape.ending(in: units)]
  }
}
