/// Rows of a table by id; with `mask_zero` id 0 does not count.
public struct EmbeddingLayer: KerasLayer {
  public static let classNames = ["Embedding"]

  public let count: Int
  public let width: Int
  public let masksZero: Bool
  /// How long the input is, where Keras 1 or 2 state it.
  public let length: Int?

  public init(_ config: KerasConfig) throws(CheckpointError) {
    count = try config.int("input_dim")
    width = try config.int("output_dim")
    masksZero = try config.bool("mask_zero", default: false)
    length = config["input_length"]?.int
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered([KerasVariable("embeddings", [count, width])])
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    var shape = try call.only()
    if let length, length > 0, shape.rank == 2, shape[1] == nil { shape.extents[1] = length }
    return [KerasShape(shape.extents + [width])]
  }
}

/// Steps in time all of whose features are `mask_value` do not count, and become 0.
public struct MaskingLayer: KerasLayer {
  public static let classNames = ["Masking"]

  public let value: Double

  public init(_ config: KerasConfig) throws(CheckpointError) {
    value = try config.double("mask_value", default: 0)
  }
}

/// A table by which ids become rows and, called with `reverse`, rows become scores of the ids.
public struct ReversibleEmbeddingLayer: KerasLayer {
  public static let classNames = ["ReversibleEmbedding"]

  public let table: EmbeddingLayer
  /// Whether scores are products with the same table.
  public let isTied: Bool
  /// Scores become `cap · tanh(score / cap)`.
  public let cap: Double?

  public init(_ config: KerasConfig) throws(CheckpointError) {
    table = try EmbeddingLayer(config)
    isTied = try config.bool("tie_weights", default: true)
    cap = config["logit_soft_cap"] == nil ? nil : try config.double("logit_soft_cap")
    guard cap != 0 else { throw config.error("logit_soft_cap is 0") }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered(
      [KerasVariable("embeddings", [table.count, table.width])]
        + (isTied ? [] : [KerasVariable("reverse_embeddings", [table.width, table.count])]))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    call.isReversed ? [try call.only().ending(in: table.count)] : try table.outputs(call)
  }
}

extension KerasCall {
  /// Whether it is called with `reverse=True`.
  public var isReversed: Bool {
    (self["reverse"]?.constant ?? arguments.dropFirst().first?.constant)?.bool ?? false
  }
}
