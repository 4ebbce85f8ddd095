public import Checkpoint

/// A model with its graph: what is run, tapped, judged and compared.
public struct RunnableModel: Runnable {
  public private(set) var architecture: FamilyArchitecture
  public private(set) var graph: Graph
  /// The framework's own names of values, by canonical name.
  public let frameworkNames: [String: String]
  /// The dialect that the model was read from.
  public let dialect: String
  /// Where the configuration's values come from, by key.
  let origins: [String: Model.Origin]
  /// Tensors of no known meaning, by their name in a weights-only file.
  let carried: [String: Tensor]
  private var weights: [String: Tensor]

  /// - Parameters:
  ///   - mask: the attention mask to use instead of the configuration's.
  ///   - inputs: the names of what it will be given; `position_ids` of transformers, which any of its
  ///     models with a table of positions takes, make positions an input.
  public init(
    _ model: Model, mask: AttentionMaskKind? = nil, inputs: some Collection<String> = []
  ) throws {
    var architecture = model.architecture
    if let mask {
      architecture.configuration.mask = mask
      try ArchitectureRegistry.named(architecture.family).check(architecture.configuration)
    }
    let position = try ArchitectureRegistry.named(architecture.family).structure.position
    if inputs.contains("position_ids"), position == .absolute || position == .absoluteAfterPadding {
      architecture.configuration.givenPositions = true
    }
    self.architecture = architecture
    graph = try FamilyRegistry.graph(architecture)
    dialect = model.dialect
    origins = Dictionary(model.settings.map { ($0.key, $0.origin) }) { _, last in last }
    carried = Dictionary(
      model.carried.flatMap(\.tensors).map { tensor in
        // Groups that a whole-model file has, and that a tensor of none gets in HDF5.
        let group = ["model_weights/", "carried/"].first { tensor.name.hasPrefix($0) } ?? ""
        return (String(tensor.name.dropFirst(group.count)), tensor)
      }
    ) { first, _ in first }
    frameworkNames = try DialectRegistry.named(model.dialect).valueNames(architecture)
    weights = Dictionary(model.weights.map { ($0.name, $0.tensor) }) { first, _ in first }
  }

  /// The same model with another configuration, or with other tensors for some weights.
  func varied(
    _ configuration: Configuration? = nil, weights changed: [String: Tensor] = [:]
  ) throws -> RunnableModel {
    var copy = self
    copy.weights.merge(changed) { _, new in new }
    if let configuration {
      copy.architecture.configuration = configuration
      copy.graph = try FamilyRegistry.graph(copy.architecture)
    }
    return copy
  }

  /// Whether there is a weight of that name and shape.
  func has(_ name: String, of shape: Shape) -> Bool { weights[name]?.shape == shape }

  /// The canonical names of all weights.
  var weightNames: [String] { weights.keys.sorted() }

  /// The stored tensor of a graph's weight.
  public func weight(_ name: String) throws -> Tensor {
    guard let tensor = weights[name] else {
      throw InferError(.graph, name, "the model has no such weight")
    }
    return tensor
  }

  /// The graph that continues texts (``FamilyBuilder/stepGraph(_:)``).
  func stepGraph() throws(InferError) -> Graph { try FamilyRegistry.stepGraph(architecture) }

  /// Values by glob over canonical, output and framework names, in order of computation.
  public func taps(_ globs: [String]) throws(InferError) -> [Tap] {
    let candidates =
      graph.valueNames.map { Tap(value: $0, name: $0) }
      + graph.valueNames.compactMap { value in
        frameworkNames[value].map { Tap(value: value, name: $0) }
      }
    var taps: [Tap] = []
    for glob in globs {
      let pattern = Glob(glob)
      let matched = candidates.filter { pattern.matches($0.name) }
      guard !matched.isEmpty else {
        throw InferError(
          .input, "--tap \(glob)", "no value has such a name",
          hint: "values: \(graph.valueNames.prefix(8).joined(separator: ", ")), …")
      }
      for tap in matched where !taps.contains(where: { $0.value == tap.value }) { taps.append(tap) }
    }
    return taps
  }

  /// A value to return and the name under which it was asked for.
  public struct Tap: Sendable, Equatable {
    public let value: String
    public let name: String
  }
}
