import Glibc

/// RoFormer's table of sinusoids, which transformers keeps among the weights and ckpt computes.
extension HuggingFace {
  static let sinusoids = "encoder.embed_positions.weight"

  /// Rows of the table: the configuration's, or the class's own number.
  static func sinusoidRows(_ c: Configuration) -> Int { c.positions > 0 ? c.positions : 1536 }

  /// Sines in the first half of a row, cosines in the second.
  static func sinusoid(_ row: Int, _ column: Int, width: Int) -> Double {
    let half = (width + 1) / 2
    let pair = column % half
    let angle = Double(row) / pow(10000, 2 * Double(pair) / Double(width))
    return column < half ? sin(angle) : cos(angle)
  }

  static func sinusoidTable(rows: Int, width: Int, named name: String) -> Tensor {
    Tensor(
      name: name, dtype: .f32, shape: [rows, width],
      payload: ComputedPayload(byteCount: rows * width * 4, operation: "made: sinusoids") {
        Elements.encode(
          (0..<(rows * width)).map { sinusoid($0 / width, $0 % width, width: width) }, as: .f32)
      })
  }

  /// Another table would be another function than the one that ckpt computes; of a rounded one, what
  /// to know.
  func checkedSinusoids(_ binding: Binding) throws(CheckpointError) -> [String] {
    var warnings: [String] = []
    for leftover in binding.redundant where leftover.tensor.name.hasSuffix(HuggingFace.sinusoids) {
      let tensor = leftover.tensor
      guard tensor.shape.rank == 2, tensor.isCastable else { continue }
      let width = tensor.shape[1]
      // The steps of bfloat16 and half precision near 1, the angle's of float32.
      let tolerance = tensor.dtype == .bf16 ? 1e-2 : 2e-3
      for (index, value) in try tensor.doubles().enumerated()
      where
        !(abs(value - HuggingFace.sinusoid(index / width, index % width, width: width))
        <= tolerance)
      {
        throw CheckpointError(
          .unsupported, .tensor(tensor.name),
          "is no table of sinusoids: row \(index / width), column \(index % width) is \(value)")
      }
      guard tensor.dtype == .f16 || tensor.dtype == .bf16 else { continue }
      warnings.append(
        "\(tensor.name) holds sinusoids rounded to \(tensor.dtype.rawValue), with which transformers "
          + "computes; ckpt computes with exact ones")
    }
    return warnings
  }
}
