extension CheckpointDifference {
  /// What the numbers amount to, and whether that is equality.
  func judged() -> (Verdict, isEqual: Bool) {
    let states = Set(pairs.map(\.state))
    // A second copy of what has its partner adds nothing.
    let isAlone = (onlyInFirst + onlyInSecond).contains { $0.copyOf == nil }
    let hasOtherSettings = settings.contains { !$0.isAssumed }
    let isEqual =
      evidence.beyond == 0 && !states.contains(.otherShape) && !isAlone && !hasOtherSettings
    guard !pairs.isEmpty else { return (isAlone ? .disjoint : .identical, isEqual) }
    let isMoved =
      states.contains(.changed)
      || pairs.contains { $0.difference.map { $0.unmeasured != nil && $0.differing > 0 } ?? false }
    if isMoved { return (isThroughRounding ? .rounded : moved(), isEqual) }
    if states.contains(.otherShape) {
      let isResized = pairs.allSatisfy { $0.state != .otherShape || $0.rows?.isSubset == true }
      return (isResized ? .resized : .different, isEqual)
    }
    if isAlone { return (isMostlyMatched ? .subset : .different, isEqual) }
    if states.contains(.rounded) { return (.rounded, isEqual) }
    if states.contains(.close) { return (.withinTolerance, isEqual) }
    if hasOtherSettings { return (.otherSettings, isEqual) }
    let isSame = states == [.identical] && pairs.allSatisfy { $0.sameName && $0.layout == .same }
    return (isSame ? .identical : .sameWeights, isEqual)
  }

  /// Whether some are the other's rounding, and what else changed did so by no more than that: values that
  /// were rounded and are stored in the wider type again, as GGUF keeps its vectors, or in blocks.
  private var isThroughRounding: Bool {
    let types = Set(pairs.compactMap { $0.difference?.rounded })
    // Half a unit in the last place, relative to the least number that has it.
    let step = types.map { $0 == .bf16 ? 0x1p-8 : $0 == .f16 ? 0x1p-11 : 0 }.max() ?? 0
    guard !types.isEmpty, onlyInFirst.isEmpty, onlyInSecond.isEmpty else { return false }
    return pairs.allSatisfy { pair in
      guard let difference = pair.difference else { return false }
      guard pair.state == .changed else { return true }
      if pair.first.dtype != pair.second.dtype,
        [pair.first.dtype, pair.second.dtype].contains(.q8_0)
      {
        // Half of a block's step, whose largest number is 127 steps, and both were rounded apart.
        let peak = max(difference.peakOfFirst, difference.peakOfSecond)
        return difference.largest <= peak * (1 / 254 + 2 * max(step, 0x1p-11))
      }
      return step > 0 && difference.relativeNorm <= step
    }
  }

  /// Whether at least half of the smaller one's tensors have partners.
  private var isMostlyMatched: Bool {
    pairs.count >= min(onlyInFirst.count, onlyInSecond.count)
  }

  /// The verdict where values changed.
  private func moved() -> Verdict {
    if evidence.differing <= max(16, evidence.numbers / 100_000), evidence.differing > 0,
      onlyInFirst.isEmpty, onlyInSecond.isEmpty, !pairs.contains(where: { $0.state == .otherShape })
    {
      return .edited
    }
    guard isMostlyMatched else { return .different }
    let changed = pairs.filter { $0.state == .changed && $0.isMatrix }
    let nearChanged = changed.count(where: \.isNear)
    if evidence.matrices > 0 {
      if Double(evidence.far) >= 0.8 * Double(evidence.matrices) { return .unrelated }
      if Double(evidence.near) >= 0.8 * Double(evidence.matrices),
        2 * nearChanged >= changed.count, pairs.count(where: { $0.state == .changed }) > 1
      {
        return .fineTuned
      }
    } else {
      let vectors = pairs.filter { $0.difference != nil && $0.ground != .nearest }
      if vectors.count(where: \.isNear) * 5 >= vectors.count * 4 { return .fineTuned }
    }
    return .different
  }
}

extension CheckpointDifference.Pair {
  /// Whether it is of two axes or more, of more than a few numbers, and was compared.
  var isMatrix: Bool {
    difference?.unmeasured == nil && difference != nil && shape.rank >= 2 && shape.count >= 16
      && !first.dtype.isInteger
  }

  /// Whether both point the same way.
  var isNear: Bool {
    guard let difference else { return false }
    return difference.differing == 0
      || difference.cosine >= CheckpointDifference.Evidence.nearCosine
  }
}

extension CheckpointDifference.Evidence {
  init(_ pairs: [CheckpointDifference.Pair]) {
    var changes: [(change: Double, cosine: Double, name: String, isNear: Bool)] = []
    for pair in pairs {
      guard let difference = pair.difference else { continue }
      numbers += difference.count
      differing += difference.differing
      beyond += difference.beyond
      guard pair.isMatrix else { continue }
      matrices += 1
      if pair.isNear { near += 1 }
      if !pair.isNear, difference.cosine.magnitude <= CheckpointDifference.Evidence.farCosine {
        far += 1
      }
      if difference.differing > 0 {
        changes.append((difference.relativeNorm, difference.cosine, pair.name, pair.isNear))
      }
    }
    typicalChange = CheckpointDifference.Evidence.median(changes.map(\.change))
    typicalCosine = CheckpointDifference.Evidence.median(changes.map(\.cosine))
    mostChanged = changes.filter(\.isNear).max { $0.change < $1.change }?.name
  }

  private static func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

extension CheckpointDifference.Part {
  /// All pairs that were compared, by part, in order.
  static func all(_ pairs: [CheckpointDifference.Pair]) -> [CheckpointDifference.Part] {
    var order: [String] = []
    var members: [String: [CheckpointDifference.Pair]] = [:]
    for pair in pairs where pair.difference != nil {
      let name = name(of: pair)
      if members[name] == nil { order.append(name) }
      members[name, default: []].append(pair)
    }
    return order.map { name in
      let all = members[name] ?? []
      let numbers = all.compactMap(\.difference)
      let squares = (
        difference: numbers.reduce(0) { $0 + $1.squaredDifference },
        first: numbers.reduce(0) { $0 + $1.squaredFirst },
        second: numbers.reduce(0) { $0 + $1.squaredSecond }
      )
      let cosine = TensorDifference.cosine(
        numbers.reduce(0) { $0 + $1.product }, squares.first, squares.second)
      // Where NaN meets every number there is nothing to be said.
      let isBlind = squares.first == 0 && numbers.contains { !$0.holdsSquares }
      let isSame = squares.difference == 0
      return CheckpointDifference.Part(
        name: name, tensors: all.count, changed: all.count { $0.state == .changed },
        relative: isBlind
          ? .nan
          : isSame
            ? 0
            : squares.first > 0 ? (squares.difference / squares.first).squareRoot() : .infinity,
        cosine: isBlind ? .nan : isSame ? 1 : cosine,
        largest: numbers.map(\.largest).max() ?? 0)
    }
  }

  /// The part of the model that a pair belongs to: a block, or what a name begins with.
  static func name(of pair: CheckpointDifference.Pair) -> String {
    if let canonical = pair.first.canonical {
      let words = canonical.split(separator: ".")
      if let number = words.firstIndex(where: { Int($0) != nil }) {
        let isGroup = words.first == "groups" && number + 1 < words.count
        return words[...(isGroup ? number + 1 : number)].joined(separator: ".")
      }
      return String(words.first ?? "")
    }
    return stored(pair.first.name)
  }

  /// The beginning of a stored name up to its first number of its own, or without its last word.
  private static func stored(_ name: String) -> String {
    let characters = Array(name)
    var index = 1
    while index < characters.count {
      if characters[index].isNumber, "._-/".contains(characters[index - 1]) {
        let end = characters[index...].firstIndex { !$0.isNumber } ?? characters.count
        if end == characters.count || "._-/".contains(characters[end]) {
          return String(characters[..<end])
        }
        index = end
      }
      index += 1
    }
    let separator: Character = name.contains("/") ? "/" : "."
    let words = name.split(separator: separator)
    return words.count > 1
      ? words.prefix(min(2, words.count - 1)).joined(separator: String(separator)) : name
  }
}
