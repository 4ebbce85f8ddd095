import Checkpoint

/// Explanations of weights that differ, each checked element by element.
struct WeightDiagnosis {
  private(set) var causes: [Diagnosis.Cause] = []
  private(set) var unexplained: [String] = []
  /// The result's weights as they should be, by their names in the result.
  private(set) var mended: [String: Tensor] = [:]

  /// How a weight of the result relates to what the source has.
  private enum Relation: Hashable {
    case moved(from: String)
    case transposed
    case halfSplit, interleaved
    case scaled(Float)
  }

  private let source: RunnableModel
  private let sourceUses: [String: String]
  /// Places of the source's weights by content, of the shapes that matter.
  private var places: [Content: [String]] = [:]

  init(_ source: RunnableModel, _ result: RunnableModel, _ differing: [String]) throws {
    self.source = source
    sourceUses = source.weightUses
    guard !differing.isEmpty else { return }
    let resultUses = result.weightUses
    var shapes: Set<[Int]> = []
    for use in differing {
      if let name = resultUses[use] { shapes.insert(try result.weight(name).shape.extents) }
    }
    for (use, name) in sourceUses {
      let tensor = try source.weight(name)
      guard shapes.contains(tensor.shape.extents) else { continue }
      places[Content(tensor.shape.extents, try tensor.floats()), default: []].append(use)
    }
    var relations: [Relation: [String]] = [:]
    var moves: [(use: String, from: String)] = []
    for use in differing.sorted(by: Natural.less) {
      guard let name = resultUses[use], let original = sourceUses[use] else { continue }
      let (found, expected) = try (result.weight(name), source.weight(original))
      guard let relation = try relation(of: found, to: expected, at: use) else {
        unexplained.append(use)
        continue
      }
      mended[name] = expected
      if case .moved(let other) = relation {
        moves.append((use, other))
      } else {
        relations[relation, default: []].append(use)
      }
    }
    explain(moves)
    for (relation, uses) in relations.sorted(by: { Natural.less($0.value[0], $1.value[0]) }) {
      explain(relation, uses)
    }
  }

  // MARK: One weight

  private func relation(
    of found: Tensor, to expected: Tensor, at use: String
  ) throws -> Relation? {
    let extents = found.shape.extents
    let values = try found.floats()
    // Of several places with the same content, one of the same kind says more.
    if let others = places[Content(extents, values)] {
      let leaf = WeightDiagnosis.parts(use).rest
      return .moved(from: others.first { WeightDiagnosis.parts($0).rest == leaf } ?? others[0])
    }
    let target = Content(expected.shape.extents, try expected.floats())
    guard extents == target.extents else { return nil }
    if extents.count == 2, extents[0] == extents[1],
      Content(extents, WeightDiagnosis.transposed(values, extents[0])) == target
    {
      return .transposed
    }
    let width = extents.last ?? 0
    for size in pairWidths(use, width) {
      let order = WeightDiagnosis.interleaving(size)
      if Content(extents, WeightDiagnosis.gathered(values, width, order)) == target {
        return .halfSplit
      }
      var inverse = order
      for (index, place) in order.enumerated() { inverse[place] = index }
      if Content(extents, WeightDiagnosis.gathered(values, width, inverse)) == target {
        return .interleaved
      }
    }
    return WeightDiagnosis.factor(values, target.values).map { .scaled($0) }
  }

  /// Widths in which columns may lie in pairs: a head's queries and keys, or all of a pointer's.
  private func pairWidths(_ use: String, _ width: Int) -> [Int] {
    let size = source.architecture.configuration.keySize
    return Set([size, width]).filter { $0 > 2 && $0 % 2 == 0 && width % $0 == 0 }.sorted()
  }

  /// Where each column of an alternating order stands among halves.
  private static func interleaving(_ size: Int) -> [Int] {
    (0..<size).map { $0 / 2 + ($0 % 2) * (size / 2) }
  }

  private static func gathered(_ values: [Float], _ width: Int, _ order: [Int]) -> [Float] {
    values.indices.map { index in
      let column = index % width
      let start = index - column % order.count
      return values[start + order[column % order.count]]
    }
  }

  private static func transposed(_ values: [Float], _ size: Int) -> [Float] {
    values.indices.map { values[($0 % size) * size + $0 / size] }
  }

  /// The number that makes `a` of `b`, when one does, up to rounding.
  private static func factor(_ a: [Float], _ b: [Float]) -> Float? {
    var (dot, norm, peak) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      norm += Double(y) * Double(y)
      peak = max(peak, abs(Double(x)))
    }
    guard norm > 0, peak > 0, a.count > 1 else { return nil }
    let factor = dot / norm
    guard factor.isFinite, abs(factor - 1) > 1e-4, factor != 0 else { return nil }
    let fits = zip(a, b).allSatisfy { abs(Double($0) - factor * Double($1)) <= 2e-6 * peak }
    return fits ? Float(factor) : nil
  }

  // MARK: Many weights

  /// `layers.3.attention.norm.gamma` → (3, `layers.*.attention.norm.gamma`).
  private static func parts(_ use: String) -> (layer: Int?, rest: String) {
    var parts = use.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard let index = parts.firstIndex(of: "layers"), index + 1 < parts.count,
      let layer = Int(parts[index + 1])
    else { return (nil, use) }
    parts[index + 1] = "*"
    return (layer, parts.joined(separator: "."))
  }

  /// The names with `*` for their layers, each once.
  private static func globs(_ uses: [String]) -> String {
    var seen: [String] = []
    let many = Set(uses.compactMap { parts($0).layer }).count > 1
    for use in uses {
      let name = many ? parts(use).rest : use
      if !seen.contains(name) { seen.append(name) }
    }
    let shown = seen.prefix(4).joined(separator: ", ")
    return seen.count > 4 ? "\(shown) and \(seen.count - 4) more" : shown
  }

  private mutating func explain(_ moves: [(use: String, from: String)]) {
    var swapped: [String] = []
    var shifted: [Int: [String]] = [:]
    for (use, from) in moves {
      let (mine, theirs) = (Self.parts(use), Self.parts(from))
      let (norm, other) = (Self.norm(of: use), Self.norm(of: from))
      if let norm, norm == other {
        if !swapped.contains(norm) { swapped.append(norm) }
      } else if let a = mine.layer, let b = theirs.layer, a != b, mine.rest == theirs.rest {
        shifted[b - a, default: []].append(use)
      } else {
        causes.append(
          .init(
            kind: .moved, subject: use,
            explanation: "\(use) of the second holds what the first has as \(from)",
            hint: nil))
      }
    }
    if !swapped.isEmpty {
      causes.append(
        .init(
          kind: .swappedNorm, subject: Self.globs(swapped),
          explanation: "gamma and beta are swapped in \(Self.globs(swapped)) "
            + "(\(Self.count(swapped, "norm")))",
          hint: "old files store gamma first: name the weights, or --dialect the writer"))
    }
    for (distance, uses) in shifted.sorted(by: { $0.key < $1.key }) {
      let places = abs(distance) == 1 ? "one block" : "\(abs(distance)) blocks"
      causes.append(
        .init(
          kind: .shiftedBlocks, subject: Self.globs(uses),
          explanation: "blocks of the second hold the first's blocks \(places) "
            + "\(distance > 0 ? "later" : "earlier") (\(Self.count(uses, "weight")))",
          hint: "some writers count blocks from 1 (Encoder-1-…), others from 0"))
    }
  }

  private mutating func explain(_ relation: Relation, _ uses: [String]) {
    let names = Self.globs(uses)
    let many = Self.count(uses, "weight")
    switch relation {
    case .moved: break
    case .transposed:
      causes.append(
        .init(
          kind: .transposed, subject: names,
          explanation: "\(names) of the second are the first's turned round (\(many))",
          hint: "PyTorch stores [out, in], TensorFlow and Keras [in, out]"))
    case .halfSplit, .interleaved:
      let isHalf = relation == .halfSplit
      causes.append(
        .init(
          kind: isHalf ? .halfSplit : .interleaved, subject: names,
          explanation: "columns of \(names) lie in \(isHalf ? "halves" : "alternating pairs") in "
            + "the second and in \(isHalf ? "alternating pairs" : "halves") in the first (\(many))",
          hint: "bert4keras and transformers' RoFormer alternate even and odd; others split in half"
        ))
    case .scaled(let factor):
      causes.append(
        .init(
          kind: .scaled, subject: names,
          explanation:
            "\(names) of the second are \(Self.text(factor)) times the first's (\(many))",
          hint: uses.contains { $0.hasPrefix("head.") }
            ? "bert4keras stores a CRF's transitions divided by lr_multiplier" : nil))
    }
  }

  private static func count(_ names: [String], _ noun: String) -> String {
    "\(names.count) \(noun)\(names.count == 1 ? "" : "s")"
  }

  private static func text(_ factor: Float) -> String {
    let whole = factor.rounded()
    return abs(whole - factor) < 1e-3 * abs(factor) && abs(whole) >= 1
      ? "\(Int(whole))" : "\(factor)"
  }

  private static func norm(of use: String) -> String? {
    for leaf in [".gamma", ".beta"] where use.hasSuffix(leaf) {
      return String(use.dropLast(leaf.count))
    }
    return nil
  }

  /// Values that are equal when every element is.
  private struct Content: Hashable {
    let extents: [Int]
    let values: [Float]

    init(_ extents: [Int], _ values: [Float]) {
      self.extents = extents
      self.values = values
    }

    func hash(into hasher: inout Hasher) {
      hasher.combine(extents)
      // Enough to tell different weights apart; equality looks at all of them.
      for index in stride(from: 0, to: values.count, by: max(1, values.count / 64)) {
        hasher.combine(values[index])
      }
    }
  }
}
