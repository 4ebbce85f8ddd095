/// What single tensors tell.
extension Health {
  /// Counts over all numbers; NaN, infinities, and what float16 cannot hold.
  mutating func checkNumbers(_ entries: [Entry]) {
    var sums = Numbers()
    var broken: [Entry] = []
    var large: [Entry] = []
    for entry in entries {
      guard let found = entry.statistics else { continue }
      sums.count += found.count
      sums.nan += found.nan
      sums.infinite += found.infinite
      sums.zeros += found.zeros
      if found.nan + found.infinite > 0 { broken.append(entry) }
      guard entry.isWeight else { continue }
      if let largest = found.largest, largest > sums.largest {
        (sums.largest, sums.largestTensor) = (largest, entry.tensor.name)
      }
      guard [.f64, .f32, .bf16].contains(entry.tensor.dtype) else { continue }
      sums.wide += found.count
      sums.isExact = sums.isExact && found.isExact
      let scale = Double(found.finite) / Double(max(1, found.sampleCount))
      for value in found.sample where value != 0 && abs(value) < Health.leastNormalHalf {
        // Half of the least subnormal number is a tie, which goes to the even zero.
        if abs(value) <= Health.vanishing {
          sums.vanishing += scale
        } else {
          sums.subnormal += scale
        }
      }
      if found.largest ?? 0 > Health.largestHalf { large.append(entry) }
    }
    if sums.wide > 0 {
      sums.vanishing /= Double(sums.wide)
      sums.subnormal /= Double(sums.wide)
    }
    sums.overflowing = checkOverflow(of: large)
    numbers = sums
    checkFinite(broken)
  }

  private static let largestHalf = 65504.0
  private static let leastNormalHalf = 0x1p-14
  private static let vanishing = 0x1p-25

  /// - Returns: how many numbers float16 cannot hold.
  private mutating func checkOverflow(of entries: [Entry]) -> Int {
    var sum = 0
    for group in Health.groups(entries) {
      // What is below the next step's middle is rounded down.
      let found = group.entries.map { entry in
        (entry, Health.count(in: entry.tensor) { $0.isFinite && abs($0) >= 65520 })
      }.filter { $0.1.count > 0 }
      let count = found.reduce(0) { $0 + $1.1.count }
      guard let (entry, (_, first)) = found.first else { continue }
      sum += count
      let largest = found.compactMap(\.0.statistics?.largest).max() ?? 0
      let isMany = found.count > 1
      let names = found.map(\.0.tensor.name)
      concerns.append(
        Concern(
          .float16Overflow, names, index: first.map { entry.tensor.shape.coordinates(of: $0) },
          numbers: [.init("numbers", Double(count)), .init("largest", largest)],
          "\(isMany ? NamePattern(pattern: group.pattern, names: names).counted : names[0]) "
            + "\(isMany ? "hold" : "holds") \(count) \(count == 1 ? "number" : "numbers") beyond "
            + "float16's range (65504), up to \(Health.short(largest)): converted, "
            + "\(count == 1 ? "it" : "they") would be infinite"))
    }
    return sum
  }

  /// Entries whose names differ in numbers only.
  private static func groups(_ entries: [Entry]) -> [(pattern: String, entries: [Entry])] {
    let byName = Dictionary(entries.map { ($0.tensor.name, $0) }) { first, _ in first }
    return NamePattern.groups(of: entries.map(\.tensor.name)).map { group in
      (group.pattern, group.names.compactMap { byName[$0] })
    }
  }

  private mutating func checkFinite(_ broken: [Entry]) {
    let byName = Dictionary(broken.map { ($0.tensor.name, $0) }) { first, _ in first }
    for group in NamePattern.groups(of: broken.map(\.tensor.name)) {
      let found = group.names.compactMap { byName[$0] }
      let nan = found.reduce(0) { $0 + ($1.statistics?.nan ?? 0) }
      let infinite = found.reduce(0) { $0 + ($1.statistics?.infinite ?? 0) }
      let all = found.reduce(0) { $0 + ($1.statistics?.count ?? 0) }
      guard let tensor = found.first?.tensor else { continue }
      let place = Health.count(in: tensor, stoppingAtFirst: true) { !$0.isFinite }.first
      let index = place.map { tensor.shape.coordinates(of: $0) }
      let what = [(nan, "NaN"), (infinite, "infinite")].filter { $0.0 > 0 }
        .map { "\($0.0) \($0.1)" }.joined(separator: " and ")
      let first = index.map {
        ", the first at \($0)" + (group.names.count > 1 ? " of \(tensor.name)" : "")
      }
      concerns.append(
        Concern(
          .notFinite, group.names, index: index,
          numbers: [.init("nan", Double(nan)), .init("infinite", Double(infinite))],
          "\(group.counted) \(group.names.count > 1 ? "hold" : "holds") \(what) of \(all) numbers"
            + (first ?? "")))
    }
  }

  // MARK: Constants

  /// Matrices of one number, and vectors that are as they were made.
  mutating func checkConstants(_ entries: [Entry]) {
    var (zero, constant, scales): ([Entry], [Entry], [Entry]) = ([], [], [])
    var (vectors, matrices, initial): (Int, Int, [Entry]) = (0, 0, [])
    for entry in entries where entry.isWeight {
      guard let found = entry.statistics, found.count > 1 else { continue }
      let isScale = entry.canonical.contains { $0.hasSuffix(".gamma") }
      if !entry.isMatrix {
        // A matrix of one row is none of those that begin as 0 or 1.
        guard entry.tensor.shape.rank <= 1 else { continue }
        vectors += 1
        if isScale, found.isConstant, found.minimum == 0 {
          scales.append(entry)
        } else if Health.isInitial(found) {
          initial.append(entry)
        }
      } else {
        matrices += 1
        guard found.isConstant, !Health.startsAtZero(entry.tensor.name) else { continue }
        if found.minimum == 0 {
          zero.append(entry)
        } else if found.count >= 8 {
          constant.append(entry)
        }
      }
    }
    // Some vectors stay where they were in a trained model too, such as biases of keys.
    let isFresh = initial.count > 1 && 4 * initial.count >= 3 * vectors
    // Tables of positions, routers and scales of layers begin as one number; most matrices do not.
    let isInitial = isFresh && 2 * (zero.count + constant.count) < matrices
    addConstants(.zero, isInitial ? scales : scales + zero) { names, _ in "\(names) only zeros" }
    addConstants(.constant, isInitial ? [] : constant) { names, value in
      "\(names) \(Health.short(value)) everywhere"
    }
    if isFresh { addFresh(initial, of: vectors, isInitial ? zero + constant : []) }
  }

  /// Whether a vector holds only zeros, only ones, or zeros but for the ones of an LSTM's forget gate.
  private static func isInitial(_ found: Statistics) -> Bool {
    guard found.finite == found.count, let least = found.minimum, let largest = found.maximum,
      least >= 0, largest <= 1, let mean = found.mean
    else { return false }
    // None is above 1, so that a sum as large as their number makes all others 1.
    let ones = Double(found.count - found.zeros)
    return found.isConstant
      ? least == 0 || least == 1 : abs(mean * Double(found.count) - ones) < 1e-9 * ones
  }

  private mutating func addFresh(_ initial: [Entry], of vectors: Int, _ matrices: [Entry]) {
    let all = initial.count == vectors ? "all \(vectors)" : "\(initial.count) of \(vectors)"
    let groups = NamePattern.groups(of: matrices.map(\.tensor.name)).map(\.counted)
    let others =
      groups.isEmpty
      ? ""
      : "; so \(matrices.count == 1 ? "is" : "are") \(groups.prefix(2).joined(separator: ", "))"
        + (groups.count > 2 ? ", …" : "")
    concerns.append(
      Concern(
        .fresh, (initial + matrices).map(\.tensor.name),
        numbers: [
          .init("initial", Double(initial.count)), .init("vectors", Double(vectors)),
        ],
        "\(all) biases and norms are at their initial values (0 or 1): hardly trained, if at all"
          + others))
  }

  private mutating func addConstants(
    _ kind: Concern.Kind, _ entries: [Entry], _ sentence: (String, Double) -> String
  ) {
    let values = Dictionary(
      entries.map { ($0.tensor.name, $0.statistics?.minimum ?? 0) }
    ) { first, _ in first }
    for group in NamePattern.groups(of: entries.map(\.tensor.name)) {
      let value = values[group.names[0]] ?? 0
      let verb = group.names.count > 1 ? "hold" : "holds"
      concerns.append(
        Concern(
          kind, group.names, numbers: [.init("value", value)],
          sentence("\(group.counted) \(verb)", value)))
    }
  }

  /// Low-rank adapters begin with a matrix of zeros.
  private static func startsAtZero(_ name: String) -> Bool { name.lowercased().contains("lora_") }

  // MARK: Looking again

  /// How many numbers of a tensor satisfy a condition, and the place of the first.
  ///
  /// What cannot be read counts as none.
  private static func count(
    in tensor: Tensor, stoppingAtFirst: Bool = false, _ condition: (Double) -> Bool
  ) -> (count: Int, first: Int?) {
    var (count, first): (Int, Int?) = (0, nil)
    let window = Window()
    for part in tensor.parts() where !(stoppingAtFirst && first != nil) {
      try? tensor.numbers(part, through: window) { start, numbers in
        guard !(stoppingAtFirst && first != nil) else { return }
        for (place, number) in numbers.enumerated() where condition(number) {
          count += 1
          if first == nil { first = (start + place) / tensor.dtype.numbersPerElement }
        }
      }
    }
    return (count, first)
  }

  /// A number for a sentence: four digits.
  static func short(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return "\(value)" }
    var (power, size) = (0, abs(value))
    while size >= 10 { size /= 10; power += 1 }
    while size < 1 { size *= 10; power -= 1 }
    let digits = (size * 1000).rounded() / 1000
    let sign = value < 0 ? "-" : ""
    guard (-4...5).contains(power) else { return "\(sign)\(digits)e\(power)" }
    var scale = 1.0
    for _ in 0..<abs(3 - power) { scale *= 10 }
    let rounded =
      power <= 3 ? (abs(value) * scale).rounded() / scale : (abs(value) / scale).rounded() * scale
    let text = "\(rounded)"
    return sign + (text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
  }
}
