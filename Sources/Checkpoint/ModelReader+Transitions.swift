extension ModelReader {
  /// bert4keras' CRF and MEMM store their transitions divided by lr_multiplier, which a file of weights
  /// does not tell; when it is left open and they are tiny, 1000 (as in bert4keras' examples) is likely.
  static func doubts(
    of binding: Binding, _ multiplier: Model.Setting?
  ) throws(CheckpointError) -> [String] {
    guard multiplier?.origin == .assumed else { return [] }
    var doubts: [String] = []
    for top in binding.tops {
      guard top.hasTransitions, let first = top.weights.first,
        let tensor = binding.weights.first(where: { $0.name == first.name })?.tensor,
        tensor.dtype.isFloat, tensor.shape.count > 0, tensor.shape.count <= largest
      else { continue }
      let sizes = Elements.decode(try tensor.bytes(), as: tensor.dtype).map { (x: Float) in abs(x) }
        .sorted()
      let median = sizes[sizes.count / 2]
      guard median > 0, median < 0.01 else { continue }
      doubts.append(
        "\(top.name): its transitions are tiny (median \(median)), so they are likely stored divided "
          + "by lr_multiplier, as bert4keras does; --set transition_multiplier=1000 (its examples' "
          + "value) or whatever the model was trained with; 1 is assumed")
    }
    return doubts
  }

  /// Values that are looked at on opening.
  private static let largest = 1 << 16
}
