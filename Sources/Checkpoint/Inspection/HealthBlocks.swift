import Glibc

/// Blocks that stand one after the other and have the same parts.
struct BlockStack: Sendable {
  /// In order: `layers.0`, `layers.1`.
  var blocks: [String]
  /// Of each block, its tensors by what they are in it.
  var parts: [[String: Health.Entry]]
  /// Whether a family says that the blocks are layers; else names do.
  var isKnown: Bool

  /// A part's entries, block by block, where all have it in one shape.
  func entries(of part: String) -> [Health.Entry]? {
    let found = parts.compactMap { $0[part] }
    guard found.count == blocks.count,
      found.allSatisfy({ $0.tensor.shape == found[0].tensor.shape })
    else { return nil }
    return found
  }

  var partNames: [String] { (parts.first ?? [:]).keys.sorted() }

  /// The stacks of weights in a checkpoint.
  static func all(in entries: [Health.Entry], _ model: Model?) -> [BlockStack] {
    var stacks: [String: [Int: [String: Health.Entry]]] = [:]
    var names: [String: [Int: String]] = [:]
    var order: [String] = []
    for entry in entries where entry.isWeight && entry.statistics != nil {
      guard let place = model == nil ? place(in: entry.tensor.name) : place(of: entry) else {
        continue
      }
      if stacks[place.stack] == nil { order.append(place.stack) }
      stacks[place.stack, default: [:]][place.number, default: [:]][place.part] = entry
      names[place.stack, default: [:]][place.number] = place.block
    }
    return order.compactMap { stack in
      guard let found = stacks[stack], found.count > 1 else { return nil }
      let numbers = found.keys.sorted()
      return BlockStack(
        blocks: numbers.map { names[stack]?[$0] ?? "" }, parts: numbers.map { found[$0] ?? [:] },
        isKnown: model != nil)
    }
  }

  private typealias Position = (stack: String, number: Int, block: String, part: String)

  /// By canonical names; a tensor that holds several weights is the part of all of them.
  private static func place(of entry: Health.Entry) -> Position? {
    let places = entry.canonical.compactMap { place(in: $0) }
    guard let first = places.first, places.count == entry.canonical.count,
      places.allSatisfy({ $0.block == first.block })
    else { return nil }
    return (first.stack, first.number, first.block, places.map(\.part).joined(separator: "+"))
  }

  /// By the first part of a name that is a number, or a layer's with one.
  private static func place(in name: String) -> Position? {
    let separator: Character = name.contains("/") ? "/" : "."
    let parts = name.split(separator: separator).map(String.init)
    for (index, part) in parts.dropLast().enumerated() {
      let word = part.prefix { !($0.isASCII && $0.isNumber) }
      let digits = part.dropFirst(word.count)
      let layer = word.lowercased().filter(\.isLetter)
      guard let number = Int(digits), ["", "layer", "block", "h", "transformer"].contains(layer)
      else {
        continue
      }
      var rest = Array(parts[(index + 1)...])
      // ALBERT's groups have a number of their own, and blocks in them.
      let start = parts[...index].joined(separator: String(separator))
      if word.isEmpty, index > 0, parts[index - 1] == "groups", rest.count > 1,
        let inner = Int(rest[0])
      {
        rest.removeFirst()
        return (
          parts[..<index].joined(separator: String(separator)), number << 16 + inner,
          "\(start).\(inner)", rest.joined(separator: ".")
        )
      }
      let stack = (parts[..<index] + ["\(word)*"]).joined(separator: String(separator))
      return (stack, number, start, rest.joined(separator: String(separator)))
    }
    return nil
  }
}

extension Health {
  // MARK: Outliers

  /// Matrices that are much larger or smaller than the same in neighbouring layers.
  ///
  /// Sizes are compared as logarithms with the median of up to three layers on either side. The root mean
  /// square and the middle half of the numbers have to agree, so that a few large numbers are none; and
  /// the neighbours have to agree with each other.
  mutating func checkOutliers(_ stacks: [BlockStack]) {
    for stack in stacks where stack.blocks.count > 2 {
      var found: [Int: [(part: String, entry: Entry, difference: Double)]] = [:]
      for part in stack.partNames {
        guard let entries = stack.entries(of: part), entries.allSatisfy(\.isMatrix) else {
          continue
        }
        for (block, difference) in Health.outliers(entries, stack.isKnown ? 8 : 16) {
          found[block, default: []].append((part, entries[block], difference))
        }
      }
      for block in found.keys.sorted() {
        guard let parts = found[block] else { continue }
        let mean = parts.reduce(0) { $0 + $1.difference } / Double(parts.count)
        let (ratio, word) = mean > 0 ? (exp(mean), "larger") : (exp(-mean), "smaller")
        let names = parts.prefix(3).map(\.part).joined(separator: ", ")
        concerns.append(
          Concern(
            .outlier, parts.map(\.entry.tensor.name),
            numbers: [
              .init("ratio", exp(mean)), .init("tensors", Double(parts.count)),
            ],
            "\(stack.blocks[block]): \(parts.count) \(parts.count == 1 ? "matrix is" : "matrices are") about "
              + "\(Health.short((ratio * 10).rounded() / 10)) times \(word) than in neighbouring layers "
              + "(\(names)\(parts.count > 3 ? ", …" : ""))"))
      }
    }
  }

  /// Blocks whose tensor is out of line, and the logarithm of how far.
  private static func outliers(_ entries: [Entry], _ least: Double) -> [(Int, Double)] {
    var (sizes, middles): ([Double], [Double]) = ([], [])
    for entry in entries {
      guard let found = entry.statistics, let norm = found.norm, norm > 0,
        let low = found.quantile(0.25), let high = found.quantile(0.75), high > low
      else { return [] }
      sizes.append(log(norm / Double(found.finite).squareRoot()))
      middles.append(log(high - low))
    }
    return entries.indices.compactMap { index in
      let near = (max(0, index - 3)...min(entries.count - 1, index + 3)).filter { $0 != index }
      let difference = sizes[index] - median(near.map { sizes[$0] })
      let middle = middles[index] - median(near.map { middles[$0] })
      let center = median(near.map { sizes[$0] })
      let spread = median(near.map { abs(sizes[$0] - center) })
      let isFar = abs(difference) > log(least) && abs(difference) > 4 * spread
      return isFar && middle * difference > 0 && abs(middle) > log(least) / 2
        ? (index, difference) : nil
    }
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  // MARK: Copies

  /// How alike matrices of two layers have to be: those of a trained model are nearly orthogonal.
  private static let alike = 0.98

  /// Layers that are copies of each other: candidates by samples, confirmed by all numbers.
  mutating func findCopies(_ stacks: [BlockStack]) {
    for stack in stacks {
      let sketches = stack.parts.map(Health.sketch)
      var sets: [BlockCopies] = []
      var taken: Set<Int> = []
      for first in stack.blocks.indices where !taken.contains(first) {
        var copies = BlockCopies(blocks: [stack.blocks[first]], cosine: 1, isExact: true)
        var last = first
        for second in (first + 1)..<max(stack.blocks.count, first + 1)
        where !taken.contains(second) {
          guard Health.cosine(sketches[last], sketches[second]) > Health.alike - 0.01,
            let (cosine, isExact) = try? Health.compare(stack.parts[last], stack.parts[second]),
            cosine >= Health.alike
          else { continue }
          copies.blocks.append(stack.blocks[second])
          copies.cosine = min(copies.cosine, cosine)
          copies.isExact = copies.isExact && isExact
          taken.insert(second)
          last = second
        }
        if copies.blocks.count > 1 { sets.append(copies) }
      }
      for set in sets { add(set, stack) }
    }
  }

  private mutating func add(_ set: BlockCopies, _ stack: BlockStack) {
    copies.append(set)
    let isWhole = set.blocks.count == stack.blocks.count
    let names =
      set.blocks.count > 3
      ? "\(set.blocks.count) layers (\(set.blocks[0]) … \(set.blocks[set.blocks.count - 1]))"
      : set.blocks.joined(separator: isWhole || set.blocks.count == 2 ? " and " : ", ")
    let what =
      set.isExact
      ? "are exact copies of each other"
      : "are nearly copies of each other (cosine \(Health.short(set.cosine)))"
    let meaning = isWhole && set.blocks.count > 2 ? ": untied, and hardly trained since" : ""
    let members = zip(stack.blocks, stack.parts).filter { set.blocks.contains($0.0) }
    let tensors = members.flatMap { member in
      member.1.keys.sorted().compactMap { part in member.1[part]?.tensor.name }
    }
    concerns.append(
      Concern(
        .copiedLayers, tensors,
        numbers: [.init("layers", Double(set.blocks.count)), .init("cosine", set.cosine)],
        "\(names) \(what)\(meaning)"))
  }

  /// Samples of a block's matrices, by part.
  private static func sketch(_ parts: [String: Entry]) -> [String: [Double]] {
    var sketch: [String: [Double]] = [:]
    for (part, entry) in parts where entry.isMatrix {
      guard let found = entry.statistics, !found.isConstant else { continue }
      // Each number stands for as many as the sample left out.
      let weight = (Double(found.count) / Double(max(1, found.sketch.count))).squareRoot()
      sketch[part] = found.sketch.map { $0.isFinite ? $0 * weight : 0 }
    }
    return sketch
  }

  /// −1 where they have no matrices in common.
  private static func cosine(_ a: [String: [Double]], _ b: [String: [Double]]) -> Double {
    guard !a.isEmpty, a.count == b.count else { return -1 }
    var product = Products()
    for part in a.keys.sorted() {
      guard let x = a[part], let y = b[part], x.count == y.count else { return -1 }
      product.add(x, y)
    }
    return product.cosine
  }

  /// Of all numbers of the matrices, and whether all tensors are equal to the bit.
  private static func compare(
    _ a: [String: Entry], _ b: [String: Entry]
  ) throws(CheckpointError) -> (cosine: Double, isExact: Bool) {
    guard a.count == b.count else { return (-1, false) }
    let parts = a.keys.sorted()
    for part in parts where b[part]?.tensor.shape != a[part]?.tensor.shape { return (-1, false) }
    let equal = try Parallel.map(parts.count, with: {}) { (index, _) throws(CheckpointError) in
      guard let x = a[parts[index]], let y = b[parts[index]], x.tensor.dtype == y.tensor.dtype
      else {
        return false
      }
      return try x.tensor.hasBytes(of: y.tensor)
    }
    guard equal.contains(false) else { return (1, true) }
    let products = try Parallel.map(parts.count, with: {}) { (index, _) throws(CheckpointError) in
      var products = Products()
      guard let x = a[parts[index]], let y = b[parts[index]], x.isMatrix else { return products }
      let pieces = x.tensor.pieces.count < y.tensor.pieces.count ? x.tensor.pieces : y.tensor.pieces
      for rows in pieces {
        products.add(try x.tensor.doubles(rows: rows), try y.tensor.doubles(rows: rows))
      }
      return products
    }
    return (products.reduce(into: Products()) { $0.add($1) }.cosine, false)
  }

  // MARK: Duplicates

  /// Tensors of equal content in different places: candidates by statistics, confirmed by their bytes.
  mutating func findDuplicates(_ entries: [Entry], _ stacks: [BlockStack]) {
    struct Key: Hashable {
      var dtype: DType
      var shape: Shape
      var numbers: [Double?]
      var sketch: [Double]
    }
    // Layers that are told as copies, and names that share their bytes, are told already.
    var told: [String: String] = [:]
    for copies in copies {
      let set = copies.blocks.joined(separator: "+")
      for stack in stacks {
        for (block, parts) in zip(stack.blocks, stack.parts) where copies.blocks.contains(block) {
          for (part, entry) in parts { told[entry.tensor.name] = "\(set)\0\(part)" }
        }
      }
    }
    for tie in ties where tie.kind == .storage {
      for name in tie.names { told[name] = tie.names.joined(separator: "\0") }
    }
    var order: [Key] = []
    var groups: [Key: [Entry]] = [:]
    for entry in entries where entry.role == .trainable || entry.role == .optimizer {
      guard let found = entry.statistics, !found.isConstant, found.count >= 16, found.finite > 0
      else {
        continue
      }
      let key = Key(
        dtype: entry.tensor.dtype, shape: entry.tensor.shape,
        numbers: [found.mean, found.standardDeviation, found.minimum, found.maximum],
        sketch: Array(found.sketch.prefix(16)))
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(entry)
    }
    for key in order {
      guard var rest = groups[key], rest.count > 1 else { continue }
      while let first = rest.first {
        let same = rest.filter { entry in
          entry.tensor.name == first.tensor.name
            || (try? first.tensor.hasBytes(of: entry.tensor)) ?? false
        }
        rest.removeAll { entry in same.contains { $0.tensor.name == entry.tensor.name } }
        let reasons = Set(same.map { told[$0.tensor.name] ?? $0.tensor.name })
        if same.count > 1, reasons.count > 1 { addDuplicate(same) }
      }
    }
  }

  private mutating func addDuplicate(_ same: [Entry]) {
    let names = same.map(\.tensor.name)
    let shown = names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
    concerns.append(
      Concern(
        .duplicate, names,
        numbers: [
          .init("tensors", Double(names.count)), .init("bytes", Double(same[0].tensor.byteCount)),
        ],
        "\(names.count) tensors hold the same \(same[0].tensor.byteCount) bytes, and are stored apart: "
          + shown))
  }
}

/// Sums of two vectors that are seen piece by piece.
private struct Products: Sendable {
  private var both = 0.0
  private var first = 0.0
  private var second = 0.0

  var cosine: Double {
    let norms = (first * second).squareRoot()
    return norms > 0 ? max(-1, min(1, both / norms)) : 0
  }

  mutating func add(_ a: [Double], _ b: [Double]) {
    for (x, y) in zip(a, b) {
      both += x * y
      first += x * x
      second += y * y
    }
  }

  mutating func add(_ other: Products) {
    both += other.both
    first += other.first
    second += other.second
  }
}
