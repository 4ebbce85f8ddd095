/// What the heads of a model look at: how many dimensions their scores use, and how alike they are.
///
/// A head scores pairs of states by the matrix M = W_q·W_kᵀ, whose rank is at most its key size. How far
/// its singular values fall tells whether that size is a bottleneck (arXiv 2002.07028) or more than is
/// used. Biases and rotations are left out: M is what two states at one place give.
public struct AttentionAnalysis: Sendable {
  /// One stored attention: `layers.3.attention`.
  public struct Part: Sendable {
    public var name: String
    public var keySize: Int
    public var heads: [Head]
    /// ⟨M_g, M_h⟩ / (‖M_g‖·‖M_h‖) for heads g and h, in Frobenius' inner product; 0 beside a zero head.
    public var similarity: [[Double]]
    /// ‖P − I‖ / ‖I‖ of the projections before and after the softmax, where heads talk.
    public var talking: (before: Double, after: Double)?

    /// The two heads that are most alike, or `nil` where there is one.
    public var closest: (first: Int, second: Int, similarity: Double)? {
      var best: (first: Int, second: Int, similarity: Double)?
      for first in heads.indices {
        for second in (first + 1)..<max(heads.count, first + 1)
        where similarity[first][second] > best?.similarity ?? -2 {
          best = (first, second, similarity[first][second])
        }
      }
      return best
    }
  }

  public struct Head: Sendable {
    /// Of M, the largest first.
    public var singularValues: [Double]

    /// The fewest singular values whose squares make up 99 % of all.
    public var effectiveRank: Int {
      let energy = singularValues.reduce(0) { $0 + $1 * $1 }
      guard energy > 0 else { return 0 }
      var sum = 0.0
      for (index, value) in singularValues.enumerated() {
        sum += value * value
        if sum >= 0.99 * energy { return index + 1 }
      }
      return singularValues.count
    }
  }

  public var parts: [Part]

  /// About how many multiplications an analysis takes; `nil` where the family has no heads.
  public static func cost(_ model: Model) -> Double? {
    let architecture = model.architecture
    guard !architecture.structure.gatedUnit else { return nil }
    let c = architecture.configuration
    let (heads, size, width) = (Double(c.heads), Double(c.keySize), Double(c.hiddenSize))
    // Inner products of all pairs, and triangular factors and rotations of each.
    let each = heads * heads * size * size * width + heads * (4 * width + 40 * size) * size * size
    return Double(architecture.storedAttentions.count) * each
  }

  /// Analyses every attention, some at once; reads the kernels of queries and keys.
  ///
  /// - Parameter progress: called from any thread when an attention is done.
  /// - Throws: ``CheckpointError`` of kind `unsupported` where the family has no heads.
  public init(
    _ model: Model, threads: Int? = nil, progress: (@Sendable () -> Void)? = nil
  ) throws(CheckpointError) {
    let architecture = model.architecture
    guard !architecture.structure.gatedUnit else {
      throw CheckpointError(
        .unsupported, Place(member: "--attention"),
        "\(architecture.family) has no heads: each layer shares one query and key")
    }
    let names = architecture.storedAttentions
    let size = architecture.configuration.keySize
    parts = try Parallel.map(names.count, threads: threads, with: {}) {
      (index, _) throws(CheckpointError) in
      let name = names[index]
      let query = try model.weight("\(name).query.kernel").tensor
      let key = try model.weight("\(name).key.kernel").tensor
      do throws(CheckpointError) {
        var part = try AttentionAnalysis.part(name, query.doubles(), key.doubles(), size, query)
        if let before = model["\(name).pre_softmax.kernel"]?.tensor,
          let after = model["\(name).post_softmax.kernel"]?.tensor
        {
          part.talking = try (
            AttentionAnalysis.distanceFromIdentity(before),
            AttentionAnalysis.distanceFromIdentity(after)
          )
        }
        progress?()
        return part
      } catch {
        throw error.at(.tensor(name))
      }
    }
  }

  private static func part(
    _ name: String, _ query: [Double], _ key: [Double], _ size: Int, _ tensor: Tensor
  ) throws(CheckpointError) -> Part {
    let width = tensor.shape[1]
    func heads(_ numbers: [Double]) -> [Matrix] {
      (0..<(width / size)).map {
        Matrix(inRows: numbers, width: width, columns: ($0 * size)..<(($0 + 1) * size))
      }
    }
    let (queries, keys) = (heads(query), heads(key))
    var part = Part(name: name, keySize: size, heads: [], similarity: [])
    for (query, key) in zip(queries, keys) {
      // M = Q_q·R_q·R_kᵀ·Q_kᵀ has the singular values of R_q·R_kᵀ.
      var (left, right) = (TriangularFactor(columns: size), TriangularFactor(columns: size))
      try left.append(query)
      try right.append(key)
      let product = left.matrix.times(right.matrix.transposed())
      part.heads.append(Head(singularValues: try SingularValueDecomposition(product).values))
    }
    // ⟨W_q·W_kᵀ, V_q·V_kᵀ⟩ = Σ (W_qᵀ·V_q) ∘ (W_kᵀ·V_k)
    var inner = [[Double]](
      repeating: [Double](repeating: 0, count: queries.count), count: queries.count)
    for first in queries.indices {
      for second in first..<queries.count {
        let value = queries[first].inner(queries[second], with: keys[first], keys[second])
        (inner[first][second], inner[second][first]) = (value, value)
      }
    }
    part.similarity = inner.indices.map { first in
      inner.indices.map { second in
        let norms = (inner[first][first] * inner[second][second]).squareRoot()
        return norms > 0 ? max(-1, min(1, inner[first][second] / norms)) : 0
      }
    }
    return part
  }

  private static func distanceFromIdentity(_ kernel: Tensor) throws(CheckpointError) -> Double {
    let count = kernel.shape[0]
    var sum = 0.0
    for (index, value) in try kernel.doubles().enumerated() {
      let expected = index / count == index % count ? 1.0 : 0
      sum += (value - expected) * (value - expected)
    }
    return (sum / Double(max(count, 1))).squareRoot()
  }
}

extension Matrix {
  /// Σ over all pairs of columns of (this · other)·(third · fourth).
  fileprivate func inner(_ other: Matrix, with third: Matrix, _ fourth: Matrix) -> Double {
    var sum = 0.0
    unsafe values.withUnsafeBufferPointer { a in
      unsafe other.values.withUnsafeBufferPointer { b in
        unsafe third.values.withUnsafeBufferPointer { c in
          unsafe fourth.values.withUnsafeBufferPointer { d in
            guard let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress,
              let d = d.baseAddress
            else { return }
            for i in 0..<columns {
              for j in 0..<other.columns {
                let left = unsafe Columns.dot(a + i * rows, b + j * rows, rows)
                unsafe sum += left * Columns.dot(c + i * rows, d + j * rows, rows)
              }
            }
          }
        }
      }
    }
    return sum
  }
}
