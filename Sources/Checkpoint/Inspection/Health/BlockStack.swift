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

/// Samples of a block's matrices as one vector.
struct BlockSketch: Sendable {
  /// The parts in order, and how many samples there are of each.
  private var parts: [String] = []
  private var counts: [Int] = []
  private var numbers: [Double] = []

  init(_ entries: [String: Health.Entry]) {
    for part in entries.keys.sorted() {
      guard let entry = entries[part], entry.isMatrix, let found = entry.statistics,
        !found.isConstant
      else { continue }
      // Each number stands for as many as the sample left out.
      let weight = (Double(found.count) / Double(max(1, found.sketch.count))).squareRoot()
      parts.append(part)
      counts.append(found.sketch.count)
      numbers += found.sketch.map { $0.isFinite ? $0 * weight : 0 }
    }
  }

  /// −1 where they are not made of the same matrices.
  func cosine(to other: BlockSketch) -> Double {
    guard !parts.isEmpty, counts == other.counts, parts == other.parts else { return -1 }
    var products = Products()
    products.add(numbers, other.numbers)
    return products.cosine
  }
}

/// Sums of two vectors that are seen piece by piece.
struct Products: Sendable {
  private var both = 0.0
  private var first = 0.0
  private var second = 0.0

  /// Whether one of them is zero.
  var isEmpty: Bool { first * second == 0 }

  var cosine: Double {
    let norms = (first * second).squareRoot()
    return norms > 0 ? max(-1, min(1, both / norms)) : 0
  }

  mutating func add(_ a: [Double], _ b: [Double]) {
    let (a, b) = (a.span, b.span)
    for index in 0..<min(a.count, b.count) {
      let (x, y) = (a[index], b[index])
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
