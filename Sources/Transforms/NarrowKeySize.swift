public import Checkpoint

/// Makes every head's queries and keys narrower, with the scores that come nearest: `narrow-key-size=N`.
///
/// Algebra: with the biases b as one more row, W̃ = [W; b], a head's scores of states x and y are
/// (x, 1)·W̃q·W̃kᵀ·(y, 1)ᵀ/√d for keys of size d. Of all pairs of N columns, the one whose product is nearest
/// to W̃q·W̃kᵀ in Frobenius' norm is given by the first N singular values (Eckart & Young, Psychometrika
/// 1936). With the triangular factors W̃q = Qq·Rq, W̃k = Qk·Rk and Rq·Rkᵀ = U·Σ·Vᵀ, small matrices tell it:
///
///     W̃q' = W̃q · (N/d)^¼ · Rkᵀ·V·Σ^(−½) = (N/d)^¼ · Qq·U·Σ^½
///     W̃k' = W̃k · (N/d)^¼ · Rqᵀ·U·Σ^(−½) = (N/d)^¼ · Qk·V·Σ^½
///
/// cut to N columns; a column is zero where σ is. Both sides get the same share of σ, and of the factor by
/// which dividing by √N instead of √d is made good (T5 does not scale its scores and needs none). Models
/// without biases have no such row and get none.
///
/// The error of a head is that of its product, ‖dropped σ‖₂/‖σ‖₂, reported for each. Where all that is
/// dropped is at most 1e-12 of the largest (as after ``WidenKeySize``), the scores are the same up to
/// rounding, and so is the contract.
///
/// Refused where anything stands between the two kernels: rotation (RoFormer, GAU-α), whose pairs another
/// basis would mix, and NEZHA's table of distances, which queries are multiplied with and which values share.
/// Inverse: ``WidenKeySize`` gives the size back, not what was dropped. Source: the two kernels as one
/// bilinear form of low rank are the QK circuit of Elhage et al., A mathematical framework for transformer
/// circuits (2021).
public struct NarrowKeySize: ModelTransform {
  public init() {}

  public var name: String { "narrow-key-size" }
  public var summary: String { "heads get narrower queries and keys, the nearest of that size" }
  public var contract: Correspondence.Contract { .lossy }
  public var precondition: String { "queries and keys are not rotated; not NEZHA" }
  public var inverse: String { "widen-key-size, which does not bring back what was dropped" }
  public var value: TransformValue { .required("N") }

  /// Values that are this small a part of the largest are rounding.
  private static let negligible = 1e-12

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    let c = architecture.configuration
    let (old, new) = (c.keySize, try arguments.count())
    guard new <= old else {
      throw arguments.wrong(
        "is more than the size of queries and keys, \(old)",
        hint: "--apply widen-key-size=\(new) makes them wider")
    }
    guard !architecture.structure.isRotary else {
      throw refusal(
        "\(architecture.family) rotates queries and keys in pairs of columns; the best columns of a "
          + "smaller size mix the pairs, and no rotation does to them what it does to these")
    }
    guard architecture.structure.position != .relative else {
      throw refusal(
        "\(architecture.family) multiplies queries by a table of distances that is added to keys and to "
          + "values; keys cannot be narrower than values")
    }
    let factor =
      architecture.structure.scalesScores
      ? (Double(new) / Double(old)).squareRoot().squareRoot() : 1
    let step = "key size \(old) to \(new)"
    var result = model
    result.architecture.configuration.keySize = new
    var rewritten: Set<String> = []
    var findings: [Finding] = []
    var isExact = true
    var errors: [String: [Double]] = [:]
    for attention in architecture.storedAttentions {
      let queries = try model.factors(of: "\(attention).query", parts: c.heads)
      let keys = try model.factors(of: "\(attention).key", parts: c.heads)
      var sides: (query: [[Double]], key: [[Double]]) = ([], [])
      for head in 0..<c.heads {
        let pair = try NarrowedPair(queries[head], keys[head], columns: new, factor)
        sides.query.append(pair.query.inRows)
        sides.key.append(pair.key.inRows)
        findings.append(
          Finding(
            name, "\(attention), head \(head)", "relative error of the scores' matrix", pair.error))
        errors[attention, default: []].append(pair.error)
        isExact = isExact && pair.largestDropped <= NarrowKeySize.negligible * pair.largest
      }
      for (part, matrices) in [("query", sides.query), ("key", sides.key)] {
        rewritten.formUnion(
          try result.rewriteDense("\(attention).\(part)") {
            $0.multiplyingParts(matrices, columns: new, step)
          })
      }
    }
    return ModelChange(
      result,
      Correspondence(
        contract: isExact ? .rounding : .lossy, removed: architecture.valuesOfKeySize,
        rewritten: rewritten, claims: isExact ? [] : [.approximated(errors)]),
      findings: findings)
  }
}

/// What makes a head's kernels narrower: each is multiplied by a matrix from the right.
private struct NarrowedPair {
  /// `[old size, new size]`.
  let query, key: Matrix
  /// ‖dropped σ‖₂/‖σ‖₂.
  let error: Double
  let largest, largestDropped: Double

  /// - Parameters:
  ///   - r: the triangular factor of the query kernel with its bias.
  ///   - s: that of the key kernel.
  init(_ r: Matrix, _ s: Matrix, columns: Int, _ factor: Double) throws(CheckpointError) {
    let svd = try SingularValueDecomposition(r.times(s.transposed()))
    func side(_ factorOfOther: Matrix, _ vectors: Matrix) -> Matrix {
      var matrix = factorOfOther.transposed().times(vectors.leading(columns))
      for column in 0..<columns {
        let value = svd.values[column]
        let scale = value > 0 ? factor / value.squareRoot() : 0
        for row in 0..<matrix.rows { matrix[row, column] *= scale }
      }
      return matrix
    }
    query = side(s, svd.right)
    key = side(r, svd.left)
    largest = svd.values.first ?? 0
    let dropped = svd.values.dropFirst(columns)
    largestDropped = dropped.first ?? 0
    // Relative to the largest, so that no square overflows.
    let unit = largest > 0 ? largest : 1
    func squares(_ values: some Sequence<Double>) -> Double {
      values.reduce(0) { $0 + ($1 / unit) * ($1 / unit) }
    }
    let whole = squares(svd.values)
    error = whole > 0 ? (squares(dropped) / whole).squareRoot() : 0
  }
}

extension Model {
  /// The triangular factors of a dense layer's kernel with its bias as one more row, for each of the equal
  /// parts of its columns.
  fileprivate func factors(
    of layer: String, parts: Int
  ) throws(CheckpointError) -> [Matrix] {
    let kernel = try weight("\(layer).kernel").tensor
    let width = kernel.shape.extents.last ?? 0
    let size = width / max(parts, 1)
    var factors = [TriangularFactor](repeating: TriangularFactor(columns: size), count: parts)
    func take(_ tensor: Tensor) throws(CheckpointError) {
      do throws(CheckpointError) {
        let isVector = tensor.shape.rank == 1
        for rows in isVector ? [0..<width] : tensor.pieces {
          let numbers = try tensor.doubles(rows: rows)
          for part in 0..<parts {
            try factors[part].append(
              Matrix(
                inRows: numbers, width: width, columns: (part * size)..<((part + 1) * size)))
          }
        }
      } catch {
        throw error.at(.tensor(tensor.name))
      }
    }
    try take(kernel)
    if let bias = self["\(layer).bias"]?.tensor { try take(bias) }
    return factors.map(\.matrix)
  }
}
