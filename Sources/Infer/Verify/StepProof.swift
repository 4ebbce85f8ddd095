public import Checkpoint

/// The proof of one step of a chain of transforms, before anything is rounded or spelled.
///
/// A chain with a lossy step has no tolerance that its outputs could exceed, so each step is held to
/// what it says of itself: to its contract where that is none, and else to its claims
/// (``Correspondence/Claim``), by computing what they mean on the source, with none of the step's code.
public struct StepProof: Sendable {
  /// What does not hold, for people; `nil` when all does.
  public private(set) var broken: String?

  private let source: RunnableModel
  private let result: RunnableModel
  private let correspondence: Correspondence

  /// - Parameter runs: whether the two are run too; claims about single weights need no run.
  public init(
    _ source: Model, _ result: Model, _ correspondence: Correspondence, runs: Bool
  ) throws {
    self.source = try RunnableModel(source)
    self.result = try RunnableModel(result)
    self.correspondence = correspondence
    for claim in correspondence.claims {
      broken = try check(claim, runs: runs)
      if broken != nil { return }
    }
    guard runs else { return }
    if correspondence.contract == .lossy {
      broken = try keepsWeights()
    } else {
      broken = try computes(like: self.source)
    }
  }

  private func check(_ claim: Correspondence.Claim, runs: Bool) throws -> String? {
    switch claim {
    case .mixed(let tokens): try mixes(tokens)
    case .decomposed(let alpha, let first): try decomposes(alpha, first)
    case .approximated(let errors): try approximates(errors)
    case .cast(let dtype, let overflow, let later): try rounds(dtype, overflow, later)
    case .silenced(let heads): try runs ? computes(like: silenced(heads)) : nil
    case .averaged: try runs ? computes(like: averaged()) : nil
    case .disturbed(let names, let deviation): try disturbs(names, deviation)
    }
  }

  // MARK: Values

  /// Whether the result computes, in Float64, what another model does.
  private func computes(like other: RunnableModel) throws -> String? {
    var relation = correspondence
    if relation.contract == .lossy { relation.contract = .rounding }
    var options = VerificationOptions()
    options.judge = .always
    let (a, b) = (other.architecture, result.architecture)
    let tokens = relation.tokens?.compactMap(\.self)
    let longest = a.configuration.hierarchicalPosition == nil ? 0 : a.configuration.positions + 8
    let inputs = Probes.text(
      for: a.configuration.common(with: b.configuration), of: a.family, tokens: tokens, rows: 3,
      longest: max(16, longest))
    let found = try Verification(
      other, result, inputs: inputs, expecting: b, correspondence: relation, options: options)
    if let value = found.firstJudged ?? (found.judged.isEmpty ? found.first : nil) {
      return "\(value.name) differs"
        + (value.misfit.map { ", shapes \($0)" } ?? " by \(value.relative) in Float64")
    }
    return found.weights.first.map { "\($0.name) has other values" }
  }

  // MARK: Weights

  /// Whether every weight that is not said to be rewritten is the source's.
  private func keepsWeights() throws -> String? {
    guard !correspondence.claims.contains(where: \.isCast) else { return nil }
    return try Verification.compareWeights(source, result, correspondence).0.first
      .map { "\($0.name) has other values" }
  }

  private func rounds(
    _ dtype: DType, _ overflow: Overflow, _ later: Set<String>
  ) throws -> String? {
    for name in result.weightNames {
      let (before, after) = try (source.weight(name), result.weight(name))
      let isRounded = before.canBecome(dtype) && !later.contains(name)
      let expected = isRounded ? before.cast(to: dtype, overflow: overflow) : before
      guard after.dtype == expected.dtype, after.shape == expected.shape,
        try after.hasBytes(of: expected)
      else { return "\(name) is not the source's, rounded to \(dtype.rawValue)" }
    }
    return nil
  }

  /// Whether new tokens are the sums that they are said to be of others, wherever tokens have rows.
  private func mixes(_ tokens: [Int: [Int: Double]]) throws -> String? {
    for name in ["embeddings.token", "mlm.bias", "lm.kernel"]
    where result.weightNames.contains(name) {
      let turns = name == "lm.kernel"
      let (old, new) = try (source.weight(name), result.weight(name))
      let (from, to) = turns ? (old.transposed(), new.transposed()) : (old, new)
      for (token, parts) in tokens.sorted(by: { $0.key < $1.key }) {
        var expected: [Double] = []
        for (part, share) in parts {
          let row = try from.doubles(rows: part..<(part + 1)).map { $0 * share }
          expected = expected.isEmpty ? row : zip(expected, row).map { $0 + $1 }
        }
        guard Self.agree(expected, try to.doubles(rows: token..<(token + 1))) else {
          return "\(name): new token \(token) is not the mean of its parts"
        }
      }
    }
    return nil
  }

  /// Whether a table's position i·n + j is α·u_i + (1 − α)·u_j, with u = (p − α·p_0) / (1 − α).
  private func decomposes(_ alpha: Double, _ first: Int) throws -> String? {
    let name = "embeddings.position"
    let (old, new) = try (source.weight(name), result.weight(name))
    let count = old.shape[0] - first
    guard count > 0 else { return nil }
    func row(_ index: Int, of tensor: Tensor) throws -> [Double] {
      try tensor.doubles(rows: (first + index)..<(first + index + 1))
    }
    let origin = try row(0, of: old)
    func base(_ index: Int) throws -> [Double] {
      zip(try row(index, of: old), origin).map { ($0 - alpha * $1) / (1 - alpha) }
    }
    for position in count..<max(count, new.shape[0] - first) {
      let expected = zip(try base(position / count), try base(position % count))
        .map { alpha * $0 + (1 - alpha) * $1 }
      guard Self.agree(expected, try row(position, of: new), within: 1e-9 / (1 - alpha)) else {
        return "\(name): position \(position) is not what decomposition makes of the table"
      }
    }
    return nil
  }

  private static func agree(
    _ expected: [Double], _ found: [Double], within tolerance: Double = 1e-9
  ) -> Bool {
    let size = expected.reduce(1e-30) { $1.isFinite ? max($0, abs($1)) : $0 }
    return expected.count == found.count
      && zip(expected, found).allSatisfy { x, y in
        x == y || (x.isNaN && y.isNaN) || abs(x - y) <= tolerance * size
      }
  }

  /// Whether weights differ from the source's by no more than such noise can.
  private func disturbs(_ names: Set<String>, _ deviation: Double) throws -> String? {
    for name in result.weightNames {
      let (before, after) = try (source.weight(name), result.weight(name))
      guard before.shape == after.shape else { return "\(name) has another shape" }
      // Two roundings, where the type is narrow.
      let rounding = after.dtype.isNarrowerThanF32 ? 0x1p-7 : 1e-6
      // The noise is a sum of twelve numbers, and reaches no farther than six deviations.
      let bound = names.contains(name) ? 6 * deviation : 0
      for rows in after.pieces {
        let (x, y) = try (before.doubles(rows: rows), after.doubles(rows: rows))
        let fits = zip(x, y).allSatisfy { x, y in
          x == y || x.isNaN || abs(x - y) <= bound + rounding * max(abs(x), bound)
        }
        guard fits else { return "\(name) differs by more than its noise" }
      }
    }
    return nil
  }

  /// Whether each head's bilinear form is as far from the source's as it is said to be.
  ///
  /// With M = W̃q·W̃kᵀ, ⟨M, M′⟩ is the sum of (W̃qᵀ·W̃q′) ∘ (W̃kᵀ·W̃k′), small squares.
  private func approximates(_ errors: [String: [Double]]) throws -> String? {
    let scales = source.architecture.structure.scalesScores
    let heads = source.architecture.configuration.heads
    for (attention, claimed) in errors.sorted(by: { $0.key < $1.key }) {
      let q = try parts(of: "\(attention).query", source, heads)
      let k = try parts(of: "\(attention).key", source, heads)
      let narrowQ = try parts(of: "\(attention).query", result, heads)
      let narrowK = try parts(of: "\(attention).key", result, heads)
      func product(_ a: (Matrix, Matrix), _ b: (Matrix, Matrix)) -> Double {
        let (x, y) = (a.0.transposed().times(b.0), a.1.transposed().times(b.1))
        return zip(x.inRows, y.inRows).reduce(0) { $0 + $1.0 * $1.1 }
      }
      for head in 0..<heads {
        let (old, new) = ((q[head], k[head]), (narrowQ[head], narrowK[head]))
        let ratio = scales ? Double(old.0.columns) / Double(max(new.0.columns, 1)) : 1
        let factor = ratio.squareRoot()
        let (whole, rest) = (product(old, old), factor * factor * product(new, new))
        let distance = max(0, whole - 2 * factor * product(old, new) + rest)
        let error = whole > 0 ? (distance / whole).squareRoot() : rest.squareRoot()
        guard abs(error - claimed[head]) <= 1e-6 else {
          return "\(attention), head \(head): the scores' matrix is off by \(error), not by "
            + "\(claimed[head]) as stated"
        }
      }
    }
    return nil
  }

  /// A dense layer's kernel with its bias as one more row, for each of the equal parts of its columns.
  private func parts(
    of layer: String, _ model: RunnableModel, _ count: Int
  ) throws -> [Matrix] {
    let kernel = try model.weight("\(layer).kernel")
    var numbers = try kernel.doubles()
    if model.weightNames.contains("\(layer).bias") {
      numbers += try model.weight("\(layer).bias").doubles()
    }
    let width = kernel.shape.extents.last ?? 0
    let size = width / max(count, 1)
    return (0..<count).map { part in
      Matrix(inRows: numbers, width: width, columns: (part * size)..<((part + 1) * size))
    }
  }

  // MARK: The source, changed as claimed

  /// The source with heads whose values, and rows of the output kernel, are zero.
  private func silenced(_ heads: [String: Set<Int>]) throws -> RunnableModel {
    let size = source.architecture.configuration.headSize
    var changed: [String: Tensor] = [:]
    for (attention, silent) in heads {
      let names = ["value.kernel", "value.bias", "output.kernel"].map { "\(attention).\($0)" }
      for name in names where source.weightNames.contains(name) {
        let isOutput = name.hasSuffix("output.kernel")
        let tensor = try source.weight(name)
        let width = tensor.shape.extents.dropFirst().reduce(1, *)
        changed[name] = .computed(
          name, tensor.shape, operation: "silenced", of: [tensor]
        ) { (rows) throws(CheckpointError) in
          var values = try tensor.doubles(rows: rows)
          for index in values.indices {
            let row = rows.lowerBound + index / width
            let place = isOutput || tensor.shape.rank == 1 ? row : index % width
            if silent.contains(place / size) { values[index] = 0 }
          }
          return values
        }
      }
    }
    return try source.varied(weights: changed)
  }

  /// The source with the mean of the blocks that the result applies as one in the place of each.
  private func averaged() throws -> RunnableModel {
    let applied = source.architecture.appliedBlocks
    let shared = result.architecture.configuration
    var groups: [String: [String]] = [:]
    for (depth, block) in applied.enumerated() {
      groups[shared.block(at: depth), default: []].append(block)
    }
    var changed: [String: Tensor] = [:]
    for blocks in groups.values {
      guard let first = blocks.first else { continue }
      for name in source.weightNames where name.hasPrefix(first + ".") {
        let part = name.dropFirst(first.count)
        let tensors = try blocks.map { try source.weight($0 + part) }
        let mean = Tensor.computed(
          name, tensors[0].shape, operation: "mean", of: tensors
        ) { (rows) throws(CheckpointError) in
          var mean = try tensors[0].doubles(rows: rows)
          for (count, tensor) in tensors.enumerated().dropFirst() {
            for (index, value) in try tensor.doubles(rows: rows).enumerated() {
              mean[index] += (value - mean[index]) / Double(count + 1)
            }
          }
          return mean
        }
        for block in blocks { changed[block + part] = mean }
      }
    }
    return try source.varied(weights: changed)
  }
}

extension Correspondence.Claim {
  fileprivate var isCast: Bool { if case .cast = self { true } else { false } }
}
