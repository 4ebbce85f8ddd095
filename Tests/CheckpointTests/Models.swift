import Checkpoint

/// Small random models, made in memory.
enum Models {
  /// A model with every weight that the architecture needs, each with values of its own.
  static func random(
    family: String, groups: Int?, layers: Int, projection: Bool, heads: Set<Head>,
    change: (inout Configuration) -> Void = { _ in }
  ) throws -> Model {
    var c = Configuration()
    (c.vocabularySize, c.hiddenSize, c.intermediateSize) = (11, 6, 10)
    (c.embeddingSize, c.projection) = (projection ? 4 : 6, projection)
    (c.heads, c.keySize, c.headSize) = (2, 3, 3)
    (c.positions, c.segments, c.layers, c.groups) = (7, 2, layers, groups)
    (c.decoderLayers, c.buckets) = (layers, 4)
    change(&c)
    let architecture = FamilyArchitecture(family: family, configuration: c, heads: heads)
    var seed = 0
    let weights = try ArchitectureRegistry.named(family).weights(architecture).map { spec in
      seed += 1
      let values = (0..<spec.shape.count).map { Float(seed) + Float($0) / 1000 }
      return Weight(
        spec.name, Tensor(name: spec.name, shape: spec.shape, values: values),
        sources: [spec.name])
    }
    return try Model(architecture: architecture, weights: weights, dialect: "bert4keras").checked()
  }

  /// The number of `Transformer-{i}` layers, or some for a shared one.
  static func layers(of names: [String]) -> Int {
    let count = names.filter { $0.hasSuffix("-MultiHeadSelfAttention") }.count
    return names.contains("Transformer-MultiHeadSelfAttention") ? 3 : count
  }
}
