import Glibc

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
  /// How many of the layers behind it a layer is compared with: all of them in any model that was ever
  /// trained; a file with ten thousand numbered tensors is none.
  private static let reach = 128

  /// Layers that are copies of each other: candidates by samples, confirmed by all numbers.
  mutating func findCopies(_ stacks: [BlockStack]) {
    for stack in stacks {
      let sketches = stack.parts.map(BlockSketch.init)
      var taken = [Bool](repeating: false, count: stack.blocks.count)
      for first in stack.blocks.indices where !taken[first] {
        var set = [first]
        var copies = BlockCopies(blocks: [stack.blocks[first]], cosine: 1, isExact: true)
        var (last, second) = (first, first + 1)
        while second < min(stack.blocks.count, last + 1 + Health.reach) {
          defer { second += 1 }
          guard !taken[second], sketches[last].cosine(to: sketches[second]) > Health.alike - 0.01,
            let (cosine, isExact) = try? Health.compare(stack.parts[last], stack.parts[second]),
            cosine >= Health.alike
          else { continue }
          set.append(second)
          copies.blocks.append(stack.blocks[second])
          copies.cosine = min(copies.cosine, cosine)
          copies.isExact = copies.isExact && isExact
          taken[second] = true
          last = second
        }
        if set.count > 1 { add(copies, set.map { stack.parts[$0] }, of: stack) }
      }
    }
  }

  /// - Parameter members: the tensors of each block of the set.
  private mutating func add(
    _ set: BlockCopies, _ members: [[String: Entry]], of stack: BlockStack
  ) {
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
    let tensors = members.flatMap { parts in
      parts.keys.sorted().compactMap { part in parts[part]?.tensor.name }
    }
    concerns.append(
      Concern(
        .copiedLayers, tensors,
        numbers: [.init("layers", Double(set.blocks.count)), .init("cosine", set.cosine)],
        "\(names) \(what)\(meaning)"))
  }

  /// Of all numbers of the matrices, and whether all tensors are equal to the bit; −1 where half of the
  /// matrices are not alike.
  private static func compare(
    _ a: [String: Entry], _ b: [String: Entry]
  ) throws(CheckpointError) -> (cosine: Double, isExact: Bool) {
    guard a.count == b.count else { return (-1, false) }
    let parts = a.keys.sorted()
    for part in parts where b[part]?.tensor.shape != a[part]?.tensor.shape { return (-1, false) }
    // Threads cost more than a look at a few numbers.
    let bytes = a.values.reduce(0) { $0 + $1.tensor.byteCount }
    let threads = bytes < 1 << 20 ? 1 : nil
    let equal = try Parallel.map(parts.count, threads: threads, with: {}) {
      (index, _) throws(CheckpointError) in
      guard let x = a[parts[index]], let y = b[parts[index]], x.tensor.dtype == y.tensor.dtype
      else {
        return false
      }
      return try x.tensor.hasBytes(of: y.tensor)
    }
    guard equal.contains(false) else { return (1, true) }
    let products = try Parallel.map(parts.count, threads: threads, with: {}) {
      (index, _) throws(CheckpointError) in
      var products = Products()
      guard let x = a[parts[index]], let y = b[parts[index]], x.isMatrix else { return products }
      let pieces = x.tensor.pieces.count < y.tensor.pieces.count ? x.tensor.pieces : y.tensor.pieces
      for rows in pieces {
        products.add(try x.tensor.doubles(rows: rows), try y.tensor.doubles(rows: rows))
      }
      return products
    }
    // Large numbers that every layer has, such as Mamba's decays, are not the whole of a layer.
    let cosines = products.filter { !$0.isEmpty }.map(\.cosine)
    guard Health.median(cosines) >= Health.alike else { return (-1, false) }
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
    let sets = Dictionary(
      copies.enumerated().flatMap { set in set.element.blocks.map { ($0, set.offset) } }
    ) { _, last in last }
    for stack in stacks {
      for (block, parts) in zip(stack.blocks, stack.parts) {
        guard let set = sets[block] else { continue }
        for (part, entry) in parts { told[entry.tensor.name] = "\(set)\0\(part)" }
      }
    }
    for tie in ties where tie.kind == .storage {
      for name in tie.names { told[name] = "\0\(tie.names[0])" }
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
    var found: [[Entry]] = []
    for key in order {
      guard var rest = groups[key], rest.count > 1 else { continue }
      while let first = rest.first {
        var (same, others) = ([first], [Entry]())
        for entry in rest.dropFirst() {
          if (try? first.tensor.hasBytes(of: entry.tensor)) ?? false {
            same.append(entry)
          } else {
            others.append(entry)
          }
        }
        rest = others
        let reasons = Set(same.map { told[$0.tensor.name] ?? $0.tensor.name })
        if same.count > 1, reasons.count > 1 { found.append(same) }
      }
    }
    if found.count > 3 { addDuplicates(found) } else { found.forEach { addDuplicate($0) } }
  }

  /// Many at once, such as weights and their running mean before the first step.
  private mutating func addDuplicates(_ sets: [[Entry]]) {
    let names = sets.map { $0.map(\.tensor.name) }
    let count = names.reduce(0) { $0 + $1.count }
    let bytes = sets.reduce(0) { $0 + ($1.count - 1) * $1[0].tensor.byteCount }
    let shown = names.prefix(2).map { $0.prefix(3).joined(separator: " and ") }
    concerns.append(
      Concern(
        .duplicate, names.flatMap(\.self),
        numbers: [
          .init("tensors", Double(count)), .init("sets", Double(sets.count)),
          .init("bytes", Double(bytes)),
        ],
        "\(count) tensors are copies of each other in \(sets.count) sets, and are stored apart "
          + "(\(bytes) bytes more than once): \(shown.joined(separator: "; ")); …"))
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
