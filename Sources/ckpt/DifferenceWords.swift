import Checkpoint

/// What a difference amounts to, in words for people.
struct DifferenceWords {
  private let difference: CheckpointDifference

  init(_ difference: CheckpointDifference) { self.difference = difference }

  /// The verdict in a few words.
  var title: String {
    switch difference.verdict {
    case .identical: "identical"
    case .sameWeights: "same weights"
    case .otherSettings: "same weights, other settings"
    case .withinTolerance: "equal within tolerance"
    case .rounded: "the same, rounded"
    case .subset: "one has more"
    case .resized: "other rows"
    case .edited: "edited"
    case .fineTuned: "fine-tuned"
    case .unrelated: "unrelated"
    case .disjoint: "nothing in common"
    case .different: "different"
    }
  }

  /// The verdict as a sentence.
  var sentence: String {
    let d = difference
    let tensors = Text.plural(d.pairs.count, "tensor")
    switch d.verdict {
    case .identical:
      return d.pairs.isEmpty
        ? "neither holds a tensor" : "the same \(tensors) with the same names, equal to the bit"
    case .sameWeights: return "\(tensors), every value equal" + ways
    case .otherSettings:
      return "\(tensors), every value equal" + ways + "; the configurations say different things"
    case .withinTolerance: return "\(tensors), no value beyond the tolerance"
    case .rounded:
      let types = roundings.map { "\($0.from.rawValue) → \($0.to.rawValue)" }
      let apart = count(.changed)
      return "\(tensors), one the other's values rounded: \(types.joined(separator: ", "))"
        + (apart > 0 ? "; \(Text.grouped(apart)) apart by no more than rounding" : "")
    case .subset:
      return "\(tensors) that both have are the same; " + alone
    case .resized:
      return "all is the same but for tables with other rows: " + resized
    case .edited: return edited
    case .fineTuned:
      return "the same architecture, trained on: "
        + "\(Text.plural(count(.changed), "tensor")) of \(Text.grouped(d.pairs.count)) changed"
        + (d.evidence.typicalChange.map {
          ", a matrix typically by \(share($0)) of its norm"
        } ?? "")
        + (d.evidence.typicalCosine.map { " (cosine \(cosine($0)))" } ?? "")
    case .unrelated:
      return "the same shapes with other weights: "
        + "\(Text.grouped(d.evidence.far)) of \(Text.plural(d.evidence.matrices, "matrix", "matrices")) have "
        + "nothing to do with each other"
        + (d.evidence.typicalCosine.map { " (typical cosine \(cosine($0)))" } ?? "")
    case .disjoint:
      return "no tensor of one has a partner in the other"
    case .different:
      if d.pairs.isEmpty { return "no tensor has a partner" }
      let (moved, misfits) = (count(.changed), count(.otherShape))
      let all = Text.plural(d.pairs.count, "tensor")
      let others =
        "\(Text.grouped(misfits)) of \(all) "
        + (misfits == 1 ? "has another shape" : "have other shapes")
      if 2 * misfits > d.pairs.count { return "other sizes: " + others }
      if moved == 0, misfits > 0 { return others }
      return "\(Text.grouped(moved)) of \(all) changed"
        + (misfits > 0 ? ", \(Text.grouped(misfits)) of other shape" : "")
    }
  }

  /// What speaks for the verdict, a subject and what is said of it.
  var evidence: [(subject: String, text: String)] {
    let d = difference
    var lines: [(String, String)] = []
    if let a = d.first.family, let b = d.second.family, a != b {
      lines.append(("families", "\(a) and \(b)"))
    }
    if d.pairs.count > 0 {
      lines.append(
        ("tensors", "\(Text.grouped(d.pairs.count)) matched by \(grounds): \(counts)"))
    }
    if !alone.isEmpty, d.verdict != .subset { lines.append(("apart", alone)) }
    if d.evidence.differing > 0 {
      lines.append(
        (
          "values",
          "\(Text.grouped(d.evidence.differing)) of \(Text.grouped(d.evidence.numbers)) differ"
            + (d.tolerance.isExact
              ? "" : ", \(Text.grouped(d.evidence.beyond)) beyond the tolerance")
        ))
    }
    if let worst, d.verdict != .edited {
      lines.append(("largest", "\(worst.name) \(place(worst))"))
    }
    if !ways.isEmpty, d.verdict != .sameWeights, d.verdict != .otherSettings {
      lines.append(("layout", String(ways.drop { "; :,".contains($0) || $0 == " " })))
    }
    if d.verdict == .fineTuned || d.verdict == .different { lines += moved }
    if d.verdict != .resized { lines += shapes }
    let blind = d.pairs.filter { ($0.difference?.nanInBoth ?? 0) > 0 }
    if let first = blind.first {
      let numbers = blind.reduce(0) { $0 + ($1.difference?.nanInBoth ?? 0) }
      lines.append(
        (
          "NaN",
          "\(Text.plural(numbers, "value")) in both, counted as equal, in "
            + (blind.count == 1 ? first.name : Text.plural(blind.count, "tensor"))
        ))
    }
    let apart = d.pairs.compactMap(\.difference).reduce(0) {
      $0 + $1.nanInFirst + $1.nanInSecond + $1.infinite
    }
    if apart > 0 {
      lines.append(("not finite", "\(Text.plural(apart, "value")) in one only"))
    }
    for setting in d.settings where setting.key != "heads" || !alone.isEmpty || !setting.isAssumed {
      lines.append(
        (
          setting.isAssumed ? "assumed" : "setting",
          "\(setting.key): \(setting.first) → \(setting.second)"
            + (setting.isAssumed ? " (not stated by both)" : "")
        ))
    }
    return lines
  }

  /// Pairs of other shapes, the first few: tables that share rows before the others.
  private var shapes: [(String, String)] {
    let pairs = difference.pairs.filter { $0.state == .otherShape }
    let tables = pairs.filter { ($0.rows?.kept ?? 0) > 0 }
    var lines = tables.prefix(4).map { pair in
      ("rows", "\(pair.name): " + (pair.rows.map(text) ?? ""))
    }
    let others = pairs.filter { ($0.rows?.kept ?? 0) == 0 }
    lines += others.prefix(4).map { pair in
      ("shape", "\(pair.name): \(pair.shape) → \(pair.shapeOfSecond)")
    }
    let rest = pairs.count - lines.count
    if rest > 0 { lines.append(("", "… and \(Text.grouped(rest)) more of other shape")) }
    return lines
  }

  // MARK: Parts of sentences

  private func count(_ state: CheckpointDifference.State) -> Int {
    difference.pairs.count { $0.state == state }
  }

  /// `meaning`, or `name (12) and content (3)`.
  private var grounds: String {
    let guessed = difference.pairs.count { $0.ground == .content || $0.ground == .nearest }
    guard guessed > 0 else { return difference.matching.rawValue }
    guard guessed < difference.pairs.count else { return "shape and content" }
    return "\(difference.matching.rawValue), \(Text.grouped(guessed)) of them by shape and content"
  }

  /// `12 identical, 187 changed`.
  private var counts: String {
    let words: [(CheckpointDifference.State, String)] = [
      (.identical, "identical"), (.equal, "equal in value"), (.rounded, "rounded"),
      (.close, "within tolerance"), (.changed, "changed"), (.otherShape, "of other shape"),
    ]
    return words.compactMap { state, word in
      let number = count(state)
      return number > 0 ? "\(Text.grouped(number)) \(word)" : nil
    }.joined(separator: ", ")
  }

  /// `3 only in A (optimizer state), 2 only in B (head.kernel, head.bias)`.
  private var alone: String {
    let sides = [("A", difference.onlyInFirst), ("B", difference.onlyInSecond)]
    return sides.compactMap { side, entries in
      guard !entries.isEmpty else { return nil }
      return "\(Text.grouped(entries.count)) only in \(side) (\(Self.listed(entries)))"
    }.joined(separator: ", ")
  }

  private static func listed(_ entries: [CheckpointDifference.Entry]) -> String {
    let reasons = Dictionary(grouping: entries.compactMap(\.reason)) { $0 }
      .sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
    if let reason = reasons.first, reason.value.count == entries.count { return reason.key }
    if reasons.count <= 3, reasons.reduce(0, { $0 + $1.value.count }) == entries.count {
      return reasons.map { "\($0.key): \(Text.grouped($0.value.count))" }.joined(separator: ", ")
    }
    let names = entries.prefix(3).map { $0.canonical ?? $0.name }
    return names.joined(separator: ", ") + (entries.count > 3 ? ", …" : "")
  }

  /// What is otherwise though values are equal: names, dialects, layouts, types, formats.
  private var ways: String {
    let d = difference
    var ways: [String] = []
    let renamed = d.pairs.count { !$0.sameName }
    if renamed > 0 {
      let dialects =
        d.first.dialect != d.second.dialect
        ? [d.first.dialect, d.second.dialect].compactMap(\.self) : []
      ways.append(
        "\(Text.grouped(renamed)) under another name"
          + (dialects.count == 2 ? " (\(dialects.joined(separator: " → ")))" : ""))
    }
    let turned = d.pairs.count(where: \.layout.isTransposed)
    if turned > 0 { ways.append("\(Text.grouped(turned)) transposed") }
    let reshaped = d.pairs.count(where: \.layout.isReshaped)
    if reshaped > 0 { ways.append("\(Text.grouped(reshaped)) in another shape") }
    let pieces = d.pairs.count { $0.layout.piece != nil }
    if pieces > 0 { ways.append("\(Text.grouped(pieces)) put together with others") }
    let types = Set(
      d.pairs.filter { $0.first.dtype != $0.second.dtype && $0.difference?.rounded == nil }.map {
        "\($0.first.dtype.rawValue) → \($0.second.dtype.rawValue)"
      })
    if !types.isEmpty { ways.append(types.sorted().joined(separator: ", ")) }
    if d.first.format != d.second.format { ways.append("\(d.first.format) → \(d.second.format)") }
    return ways.isEmpty ? "" : "; " + ways.joined(separator: ", ")
  }

  private var roundings: [(from: DType, to: DType)] {
    var found: [(DType, DType)] = []
    for pair in difference.pairs {
      guard let to = pair.difference?.rounded else { continue }
      let from = pair.first.dtype == to ? pair.second.dtype : pair.first.dtype
      if !found.contains(where: { $0 == from && $1 == to }) { found.append((from, to)) }
    }
    return found
  }

  private var resized: String {
    difference.pairs.compactMap { pair in pair.rows.map { "\(pair.name) \(text($0))" } }
      .joined(separator: "; ")
  }

  private func text(_ rows: CheckpointDifference.Rows) -> String {
    let sizes = "\(Text.grouped(rows.first)) → \(Text.grouped(rows.second)) rows"
    let (shorter, longer) = rows.first > rows.second ? ("B", "A") : ("A", "B")
    guard rows.isSubset else {
      return rows.kept == 0
        ? "\(sizes), none of them shared"
        : "\(sizes), \(Text.grouped(rows.kept)) of \(shorter)'s are in \(longer)"
    }
    return rows.isPrefix
      ? "\(sizes), \(shorter)'s are \(longer)'s first"
      : "\(sizes), all of \(shorter)'s are in \(longer)"
        + (rows.isOrdered ? ", in order" : ", in another order")
  }

  private var edited: String {
    let changed = difference.pairs.filter { ($0.difference?.differing ?? 0) > 0 }
    guard let pair = changed.max(by: Self.less), let numbers = pair.difference else { return "" }
    let values = Text.plural(difference.evidence.differing, "value")
    if changed.count == 1 {
      return "\(values) of one tensor: \(pair.name) \(place(pair))"
        + (numbers.differing > 1 ? " is the largest change" : "")
    }
    return "\(values) of \(Text.plural(changed.count, "tensor")), most \(pair.name) \(place(pair))"
  }

  private static func less(
    _ a: CheckpointDifference.Pair, _ b: CheckpointDifference.Pair
  ) -> Bool {
    (a.difference?.largest ?? 0) < (b.difference?.largest ?? 0)
  }

  /// The pair with the largest difference.
  private var worst: CheckpointDifference.Pair? {
    difference.pairs.filter { ($0.difference?.differing ?? 0) > 0 }.max(by: Self.less)
  }

  /// `at [3, 5]: 0.5 → 0.25`.
  func place(_ pair: CheckpointDifference.Pair) -> String {
    guard let worst = pair.difference?.worst else { return "" }
    return "at \(worst.index): \(number(worst.first, pair.first.dtype)) → "
      + number(worst.second, pair.second.dtype)
  }

  /// A stored value, with as many digits as tell it from its neighbours.
  func number(_ value: Double, _ dtype: DType) -> String {
    DType.f32.holds(dtype) && !value.isNaN ? "\(Float(value))" : "\(value)"
  }

  /// Which parts were frozen, which changed most, and which have begun anew.
  private var moved: [(String, String)] {
    let parts = difference.parts
    var lines: [(String, String)] = []
    let frozen = parts.filter { $0.changed == 0 && $0.cosine == 1 }
    if !frozen.isEmpty, frozen.count < parts.count {
      lines.append(("untouched", Self.shortened(frozen.map(\.name))))
    }
    let most = parts.filter {
      $0.changed > 0 && $0.cosine >= 0.5 && $0.relative > 0 && $0.relative.isFinite
    }.sorted { $0.relative > $1.relative }.prefix(3)
    if most.count > 1 {
      lines.append(
        (
          "changed most",
          most.map { "\($0.name) (\(share($0.relative)))" }.joined(separator: ", ")
        ))
    }
    let anew = difference.pairs.filter { pair in
      guard let numbers = pair.difference, pair.shape.rank >= 2, numbers.count >= 16 else {
        return false
      }
      return numbers.differing > 0 && numbers.cosine < 0.5
    }
    if !anew.isEmpty { lines.append(("begun anew", Self.shortened(anew.map(\.name)))) }
    return lines
  }

  /// Names in a row, `layers.3` to `layers.5` as a range.
  static func shortened(_ names: [String]) -> String {
    var runs: [(first: String, last: String, count: Int)] = []
    for name in names {
      if let last = runs.last, follows(name, last.last) {
        runs[runs.count - 1] = (last.first, name, last.count + 1)
      } else {
        runs.append((name, name, 1))
      }
    }
    let texts = runs.map { run in
      run.count == 1
        ? run.first : run.count == 2 ? "\(run.first), \(run.last)" : "\(run.first)–\(run.last)"
    }
    return texts.prefix(6).joined(separator: ", ") + (texts.count > 6 ? ", …" : "")
  }

  private static func follows(_ name: String, _ last: String) -> Bool {
    let (a, b) = (last.split(separator: "."), name.split(separator: "."))
    guard a.count == b.count, a.dropLast() == b.dropLast(), let x = a.last.flatMap({ Int($0) }),
      let y = b.last.flatMap({ Int($0) })
    else { return false }
    return y == x + 1
  }

  /// A share of one: `1.2 %`, or `1.2e-05` where it is small.
  func share(_ value: Double) -> String {
    value.isFinite && value >= 0.0005 && value < 10
      ? "\(Text.decimal(value * 100, value < 0.01 ? 2 : 1)) %" : Text.small(value)
  }

  /// With as many nines as matter; `1` alone is exact.
  func cosine(_ value: Double) -> String {
    guard value > 0.995 else { return Text.decimal(value, 3) }
    return value == 1 ? "1" : Text.decimal(value, value < 0.9995 ? 4 : 6)
  }
}
