import Checkpoint
import Transforms

/// What steps, as a user writes them, make of a model.
func apply(_ steps: String..., to model: Model) throws -> ModelChange {
  try TransformRegistry.apply(steps.map { try TransformStep(parsing: $0) }, to: model)
}

/// Small models of every family, with numbers that differ from place to place.
enum SampleModel {
  static func configuration(layers: Int = 4) -> Configuration {
    var c = Configuration()
    (c.vocabularySize, c.embeddingSize, c.hiddenSize, c.intermediateSize) = (9, 6, 6, 5)
    (c.heads, c.keySize, c.headSize, c.positions, c.segments) = (2, 4, 3, 5, 2)
    (c.layers, c.decoderLayers, c.buckets) = (layers, layers, 4)
    return c
  }

  /// - Parameter value: an element by the weight's name and the element's index.
  static func make(
    _ family: String, heads: Set<Head> = [], _ c: Configuration = configuration(),
    dtype: DType = .f32, dialect: String = "bert4keras", value: ((String, Int) -> Float)? = nil
  ) throws -> Model {
    let architecture = FamilyArchitecture(family: family, configuration: c, heads: heads)
    let weights = try ArchitectureRegistry.named(family).weights(architecture).map { spec in
      let seed = spec.name.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) % 1009 }
      let values = (0..<spec.shape.count).map {
        value?(spec.name, $0) ?? Float((seed &+ $0 &* 37) % 101) / 50 - 1
      }
      return Weight(
        spec.name, Tensor(name: spec.name, shape: spec.shape, values: values).cast(to: dtype),
        sources: [spec.name])
    }
    return try Model(architecture: architecture, weights: weights, dialect: dialect).checked()
  }
}

extension Model {
  /// What a weight will be when it is written.
  func numbers(_ name: String) throws -> [Double] {
    guard let weight = self[name] else {
      throw CheckpointError(.mismatch, .tensor(name), "missing")
    }
    return try weight.rounded().tensor.doubles()
  }
}
