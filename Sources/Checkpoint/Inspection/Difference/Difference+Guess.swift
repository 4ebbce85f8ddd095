/// Partners by shape and content for tensors that have none.
///
/// What may belong together is told by fingerprints; what is said to be equal was compared element by element.
struct DifferenceGuess {
  private(set) var pairs: [CheckpointDifference.Pair] = []
  /// Names of tensors that found a partner.
  private(set) var firstNames: Set<String> = []
  private(set) var secondNames: Set<String> = []
  /// What a tensor without partner is a copy of, in the other checkpoint.
  private(set) var firstCopies: [String: String] = [:]
  private(set) var secondCopies: [String: String] = [:]

  let options: CheckpointDifference.Options

  init() { options = .init() }

  /// - Parameter matched: pairs that are sure, among which originals of copies are looked for.
  init(
    _ first: [Member], _ second: [Member], matched: [MemberPair],
    options: CheckpointDifference.Options, progress: (@Sendable (Int) -> Void)?
  ) throws(CheckpointError) {
    self.options = options
    func fingerprints(_ members: [Member]) throws(CheckpointError) -> [Suspect] {
      let able = members.filter(\.tensor.dtype.isDecodable)
      let numbers = try Statistics.of(
        able.map(\.tensor), threads: options.threads, progress: progress)
      return zip(able, numbers).map { Suspect(member: $0, numbers: $1) }
    }
    var (mine, theirs) = (try fingerprints(first), try fingerprints(second))
    try findEqual(&mine, &theirs)
    guard options.guess else { return }
    try findRounded(&mine, &theirs)
    try findFused(parts: &mine, whole: &theirs, wholeIsFirst: false)
    try findFused(parts: &theirs, whole: &mine, wholeIsFirst: true)
    try findNearest(&mine, &theirs)
    func originals(_ suspects: [Suspect], _ members: [Member]) throws(CheckpointError) -> [Suspect]
    {
      let counts = Set(suspects.map(\.count))
      return try fingerprints(members.filter { counts.contains($0.tensor.shape.count) })
    }
    let found = pairs
    func partners(_ side: (MemberPair) -> Member, _ all: [Member], _ names: Set<String>) -> [Member]
    {
      matched.map(side) + all.filter { !found.isEmpty && names.contains($0.entry.name) }
    }
    firstCopies = try copies(
      mine, of: originals(mine, partners(\.second, second, secondNames)))
    secondCopies = try copies(
      theirs, of: originals(theirs, partners(\.first, first, firstNames)))
  }

  // MARK: Equal

  /// The same content: under another name, turned round, in another shape.
  private mutating func findEqual(
    _ mine: inout [Suspect], _ theirs: inout [Suspect]
  ) throws(CheckpointError) {
    let places = Dictionary(grouping: theirs.indices) { theirs[$0].fingerprint }
    try find(&mine, &theirs) { suspect in
      places[suspect.fingerprint] ?? []
    } confirming: {
      $0.differing == 0
    }
  }

  /// The same content in a narrower type.
  private mutating func findRounded(
    _ mine: inout [Suspect], _ theirs: inout [Suspect]
  ) throws(CheckpointError) {
    let all = theirs
    let places = Dictionary(grouping: all.indices) { all[$0].count }
    try find(&mine, &theirs) { suspect in
      (places[suspect.count] ?? []).filter { suspect.mayBeRounding(of: all[$0]) }
    } confirming: {
      $0.rounded != nil
    }
  }

  /// Pairs each with the first candidate, of its own shape if there is one, that a view confirms.
  ///
  /// Each round measures one view for each that has no partner yet, all at once.
  private mutating func find(
    _ mine: inout [Suspect], _ theirs: inout [Suspect], candidates: (Suspect) -> [Int],
    confirming isSame: (TensorDifference) -> Bool
  ) throws(CheckpointError) {
    var taken: Set<Int> = []
    var open = mine.map { Search($0, candidates($0), among: theirs) }
    var rest: [Int] = Array(open.indices)
    while true {
      var reserved = taken
      var chosen: [(search: Int, place: Int, view: TensorView)] = []
      for index in rest {
        guard let (place, view) = try open[index].next(mine[index], among: theirs, but: reserved)
        else {
          continue
        }
        reserved.insert(place)
        chosen.append((index, place, view))
      }
      guard !chosen.isEmpty else { break }
      let differences = try TensorDifference.of(
        chosen.map { (mine[$0.search].tensor, $0.view.tensor) }, tolerance: options.tolerance,
        threads: options.threads)
      var found: Set<Int> = []
      for (choice, difference) in zip(chosen, differences) where isSame(difference) {
        let first = mine[choice.search]
        add(
          .init(
            first: first.entry, second: theirs[choice.place].entry, ground: .content,
            layout: choice.view.layout, shape: first.tensor.shape,
            shapeOfSecond: first.tensor.shape, difference: difference))
        taken.insert(choice.place)
        found.insert(choice.search)
      }
      rest.removeAll { found.contains($0) }
    }
    mine = rest.map { mine[$0] }
    theirs = theirs.indices.filter { !taken.contains($0) }.map { theirs[$0] }
  }

  /// One tensor's way through its candidates.
  private struct Search {
    /// Those of its own shape first.
    private let places: [Int]
    /// How many views of each were tried.
    private var tried: [Int: Int] = [:]
    /// Constants and the like are all the same; few tries are enough for what is not.
    private var tries = 64

    init(_ suspect: Suspect, _ candidates: [Int], among others: [Suspect]) {
      let shape = suspect.tensor.shape
      places =
        candidates.filter { others[$0].tensor.shape == shape }
        + candidates.filter { others[$0].tensor.shape != shape }
    }

    /// The next view that may show the tensor.
    mutating func next(
      _ suspect: Suspect, among others: [Suspect], but reserved: Set<Int>
    ) throws(CheckpointError) -> (Int, TensorView)? {
      for place in places where !reserved.contains(place) {
        let views = others[place].tensor.views(as: suspect.tensor.shape)
        while tried[place, default: 0] < views.count, tries > 0 {
          let view = views[tried[place, default: 0]]
          tried[place, default: 0] += 1
          if view.isInOrder, suspect.tensor.dtype == others[place].tensor.dtype,
            suspect.numbers.sketch != others[place].numbers.sketch, suspect.numbers.nan == 0
          {
            continue
          }
          guard try suspect.tensor.beginsLike(view.tensor) else { continue }
          tries -= 1
          return (place, view)
        }
      }
      return nil
    }
  }

  mutating func add(_ pair: CheckpointDifference.Pair) {
    pairs.append(pair)
    firstNames.insert(pair.first.name)
    secondNames.insert(pair.second.name)
  }

  /// Which tensors repeat one that has its partner.
  private func copies(
    _ suspects: [Suspect], of originals: [Suspect]
  ) throws(CheckpointError) -> [String: String] {
    let places = Dictionary(grouping: originals.indices) { originals[$0].fingerprint }
    var found: [String: String] = [:]
    for suspect in suspects where !suspect.numbers.isConstant {
      for place in (places[suspect.fingerprint] ?? []).prefix(4)
      where found[suspect.entry.name] == nil {
        for view in originals[place].tensor.views(as: suspect.tensor.shape)
        where try suspect.tensor.beginsLike(view.tensor) {
          let difference = try TensorDifference(suspect.tensor, view.tensor)
          guard difference.differing == 0 else { continue }
          found[suspect.entry.name] = originals[place].entry.name
          break
        }
      }
    }
    return found
  }

  // MARK: Nearest

  /// Of one shape and the nearest of all, each to the other.
  private mutating func findNearest(
    _ mine: inout [Suspect], _ theirs: inout [Suspect]
  ) throws(CheckpointError) {
    let groups = Dictionary(grouping: theirs.indices) { theirs[$0].tensor.shape }
    var chosen: [(first: Int, second: Int)] = []
    for (shape, places) in Dictionary(grouping: mine.indices, by: { mine[$0].tensor.shape }) {
      guard let others = groups[shape], shape.count > 1,
        places.count * others.count <= DifferenceGuess.mostDistances
      else { continue }
      let distances = places.map { place in
        others.map { Suspect.distance(mine[place], theirs[$0]) }
      }
      func nearest(_ values: [Double]) -> Int? {
        values.indices.filter { values[$0].isFinite }.min { values[$0] < values[$1] }
      }
      let forth = distances.map(nearest)
      let back = others.indices.map { column in nearest(distances.map { $0[column] }) }
      for (row, column) in forth.enumerated() {
        guard let column, back[column] == row else { continue }
        chosen.append((places[row], others[column]))
      }
    }
    chosen.sort { $0.first < $1.first }
    let differences = try TensorDifference.of(
      chosen.map { (mine[$0.first].tensor, theirs[$0.second].tensor) },
      tolerance: options.tolerance, threads: options.threads)
    var (left, right): (Set<Int>, Set<Int>) = ([], [])
    for (choice, difference) in zip(chosen, differences)
    where difference.cosine >= DifferenceGuess.leastCosine {
      let (first, second) = (mine[choice.first], theirs[choice.second])
      add(
        .init(
          first: first.entry, second: second.entry, ground: .nearest, layout: .same,
          shape: first.tensor.shape, shapeOfSecond: second.tensor.shape, difference: difference))
      left.insert(choice.first)
      right.insert(choice.second)
    }
    mine = mine.indices.filter { !left.contains($0) }.map { mine[$0] }
    theirs = theirs.indices.filter { !right.contains($0) }.map { theirs[$0] }
  }

  /// Pairs of one shape that are measured against each other.
  private static let mostDistances = 4_000_000
  /// What a nearest tensor must at least have in common.
  private static let leastCosine = 0.6
}

/// A tensor with what is known of its numbers.
struct Suspect {
  var member: Member
  var numbers: Statistics

  var tensor: Tensor { member.tensor }
  var entry: CheckpointDifference.Entry { member.entry }
  var count: Int { tensor.shape.count }

  /// What no reordering of the elements changes, to the bit.
  struct Fingerprint: Hashable {
    var count: Int
    var zeros: Int
    var nan: Int
    var infinite: Int
    var minimum: Double?
    var maximum: Double?
  }

  var fingerprint: Fingerprint {
    Fingerprint(
      count: numbers.count, zeros: numbers.zeros, nan: numbers.nan, infinite: numbers.infinite,
      minimum: numbers.minimum, maximum: numbers.maximum)
  }

  /// Whether extremes of one are those of the other in its narrower type, as rounding keeps the order.
  func mayBeRounding(of other: Suspect) -> Bool {
    let (a, b) = (tensor.dtype, other.tensor.dtype)
    guard a != b, !a.isComplex, !b.isComplex, numbers.nan == other.numbers.nan else { return false }
    let (narrow, wide) = a.precision < b.precision ? (self, other) : (other, self)
    guard let low = narrow.numbers.minimum, let high = narrow.numbers.maximum,
      let lowest = wide.numbers.minimum, let highest = wide.numbers.maximum
    else { return false }
    let dtype = narrow.tensor.dtype
    guard dtype.isFloat else {
      // Blocks round by scales of their own.
      let size = max(lowest.magnitude, highest.magnitude)
      return dtype.isQuantized && Quantization.encodes(dtype)
        && max((low - lowest).magnitude, (high - highest).magnitude) <= 0.1 * size
    }
    let rounded: [Double] = Elements.decode(
      Elements.encode([lowest, highest], as: dtype), as: dtype)
    // Beyond the type's range there is infinity, which is no extreme, or the largest.
    return (rounded[0] == low || !rounded[0].isFinite)
      && (rounded[1] == high || !rounded[1].isFinite)
  }

  /// The same, each element rounded to a float type that is no wider; `nil` where that has no meaning.
  func rounded(to dtype: DType) -> Suspect? {
    let types = [tensor.dtype, dtype]
    guard types.allSatisfy({ $0.isFloat && !$0.isPacked && !$0.isQuantized }),
      tensor.dtype == dtype || tensor.dtype.precision > dtype.precision
    else { return nil }
    var suspect = self
    suspect.member.tensor = tensor.cast(to: dtype, overflow: .infinite)
    return suspect
  }

  /// How far two of one shape are apart by their sketches, relative to their sizes.
  static func distance(_ a: Suspect, _ b: Suspect) -> Double {
    let (x, y) = (a.numbers.sketch, b.numbers.sketch)
    guard x.count == y.count, !a.tensor.dtype.isInteger, !b.tensor.dtype.isInteger else {
      return .infinity
    }
    var (difference, size) = (0.0, 0.0)
    for index in x.indices where x[index].isFinite && y[index].isFinite {
      difference += (x[index] - y[index]) * (x[index] - y[index])
      size += x[index] * x[index] + y[index] * y[index]
    }
    return size > 0 ? difference / size : .infinity
  }
}

/// A tensor's elements in another order or shape.
struct TensorView {
  var tensor: Tensor
  var layout: CheckpointDifference.Layout
  /// Whether the elements have the order in which they are stored.
  var isInOrder: Bool
}

extension Tensor {
  /// Ways in which this tensor may be one of `shape`: as it is, turned round, with its axes in any order.
  func views(as shape: Shape) -> [TensorView] {
    guard self.shape.count == shape.count else { return [] }
    func reshaped(_ tensor: Tensor) -> Tensor? { try? tensor.reshaped(to: shape) }
    var views: [TensorView] = []
    if let same = reshaped(self) {
      views.append(
        .init(
          tensor: same, layout: .init(isReshaped: self.shape != shape), isInOrder: true))
    }
    guard !dtype.isPacked, self.shape.count > 1 else { return views }
    for axes in Tensor.orders(self.shape.rank) {
      if let turned = permuted(axes), let view = reshaped(turned) {
        views.append(
          .init(
            tensor: view,
            layout: .init(isTransposed: true, isReshaped: turned.shape != shape), isInOrder: false))
      }
    }
    // A matrix of a tensor that has more axes, turned round.
    if shape.rank == 2, self.shape.rank > 2,
      let matrix = try? self.reshaped(to: [shape[1], shape[0]])
    {
      views.append(
        .init(
          tensor: matrix.transposed(), layout: .init(isTransposed: true, isReshaped: true),
          isInOrder: false))
    }
    return views
  }

  /// The orders of two, three or four axes but for the first.
  private static func orders(_ rank: Int) -> [[Int]] {
    guard (2...4).contains(rank) else { return [] }
    var orders: [[Int]] = [[]]
    for _ in 0..<rank {
      orders = orders.flatMap { order in
        (0..<rank).filter { !order.contains($0) }.map { order + [$0] }
      }
    }
    return Array(orders.dropFirst())
  }

  /// The same elements with the axes in another order, as a view.
  private func permuted(_ axes: [Int]) -> Tensor? {
    if axes == [1, 0] { return transposed() }
    let strides = shape.strides
    let extents = Shape(axes.map { shape[$0] })
    guard
      let payload = try? StridedPayload(
        stored: payload, shape: extents, strides: axes.map { strides[$0] }, size: dtype.size)
    else { return nil }
    return Tensor(name: name, dtype: dtype, shape: extents, payload: payload)
  }

  /// Whether the first elements are the same; `true` where types differ or only the whole can be read.
  func beginsLike(_ other: Tensor) throws(CheckpointError) -> Bool {
    guard dtype == other.dtype, dtype.isInteger || dtype.isFloat, payload.isWindowed,
      other.payload.isWindowed, payload.byteCount == byteCount,
      other.payload.byteCount == other.byteCount
    else { return true }
    let count = min(64, shape.count) * dtype.size
    let (mine, theirs): ([Double], [Double]) = (
      Elements.decode(try beginning(count), as: dtype),
      Elements.decode(try other.beginning(count), as: dtype)
    )
    return zip(mine, theirs).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
  }

  /// The first `count` canonical bytes.
  func beginning(_ count: Int) throws(CheckpointError) -> [UInt8] {
    guard payload.isWindowed, payload.byteCount == byteCount else {
      return Array(try bytes().prefix(count))
    }
    var bytes = [UInt8](repeating: 0, count: min(count, byteCount))
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    do throws(CheckpointError) {
      try payload.read(at: 0, into: &raw)
    } catch {
      throw error.at(.tensor(name))
    }
    return bytes
  }
}
