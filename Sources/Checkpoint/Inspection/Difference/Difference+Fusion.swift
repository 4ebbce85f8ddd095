extension DifferenceGuess {
  /// Tensors of one checkpoint that the other has side by side in a larger one, as they are or rounded.
  mutating func findFused(
    parts: inout [Suspect], whole: inout [Suspect], wholeIsFirst: Bool
  ) throws(CheckpointError) {
    try findFused(
      parts: &parts, whole: &whole, wholeIsFirst: wholeIsFirst, part: { $0 }, larger: { $0 })
    // One side is of a type, and the other is compared as if it had been rounded to it.
    for dtype in Set((parts + whole).map(\.tensor.dtype)).sorted(by: { $0.rawValue < $1.rawValue })
    {
      func of(_ suspect: Suspect) -> Suspect? { suspect.tensor.dtype == dtype ? suspect : nil }
      if parts.contains(where: { of($0) == nil }) {
        try findFused(
          parts: &parts, whole: &whole, wholeIsFirst: wholeIsFirst,
          part: { $0.rounded(to: dtype) }, larger: of)
      }
      try findFused(
        parts: &parts, whole: &whole, wholeIsFirst: wholeIsFirst, part: of,
        larger: { of($0) == nil ? $0.rounded(to: dtype) : nil })
    }
  }

  /// - Parameters:
  ///   - part: a part as it is looked for; `nil` for what is left out.
  ///   - larger: the same of a larger one.
  private mutating func findFused(
    parts: inout [Suspect], whole: inout [Suspect], wholeIsFirst: Bool,
    part: (Suspect) -> Suspect?, larger: (Suspect) -> Suspect?
  ) throws(CheckpointError) {
    let looked = parts.indices.compactMap { index in part(parts[index]).map { (index, $0) } }
    var index = try PartIndex(looked.map(\.1))
    guard !index.isEmpty else { return }
    var siblings: [(name: String, parts: [String])] = []
    var found: Set<Int> = []
    // Kernels before biases, which take after them.
    let order = whole.indices.sorted {
      (-whole[$0].tensor.shape.rank, $0) < (-whole[$1].tensor.shape.rank, $1)
    }
    for place in order {
      guard let suspect = larger(whole[place]),
        let uses = try index.assembly(of: suspect, like: siblings)
      else { continue }
      found.insert(place)
      siblings.append((suspect.entry.name, uses.map { index.parts[$0.part].entry.name }))
      for use in uses {
        index.take(use.part)
        // The numbers are those of what is stored.
        let part = parts[looked[use.part].0]
        let view = use.isTurned ? part.tensor.transposed() : part.tensor
        let piece = try PartIndex.piece(of: whole[place].tensor, at: use.place, as: view.shape)
        let difference = try TensorDifference.of(
          [wholeIsFirst ? (piece, view) : (view, piece)], tolerance: options.tolerance,
          threads: options.threads)[0]
        var layout = CheckpointDifference.Layout()
        layout.isTransposed = use.isTransposed
        layout.piece = use.place
        layout.piece?.isOfFirst = wholeIsFirst
        add(
          .init(
            first: wholeIsFirst ? suspect.entry : part.entry,
            second: wholeIsFirst ? part.entry : suspect.entry, ground: .content, layout: layout,
            shape: view.shape, shapeOfSecond: view.shape, difference: difference))
      }
    }
    let taken = Set(index.taken.map { looked[$0].0 })
    parts = parts.indices.filter { !taken.contains($0) }.map { parts[$0] }
    whole = whole.indices.filter { !found.contains($0) }.map { whole[$0] }
  }
}

/// Tensors that may be parts of larger ones, by how they begin.
struct PartIndex {
  /// A part as it lies in the larger tensor.
  struct Use {
    var part: Int
    /// Whether the part is turned round to be what the place shows.
    var isTurned: Bool
    /// Whether it is turned round against the larger tensor as both are stored.
    var isTransposed: Bool
    var place: CheckpointDifference.Piece
  }

  let parts: [Suspect]
  private(set) var taken: Set<Int> = []
  /// Where a beginning is found: parts by type, width and the hash of their first row.
  private var beginnings: [Key: [(part: Int, isTransposed: Bool)]] = [:]

  private struct Key: Hashable {
    var dtype: DType
    /// Elements of a row; ``run`` for vectors, of which so many count as one.
    var width: Int
    var isVector: Bool
    var hash: Int
  }

  /// Elements by which parts of vectors are told apart.
  private static let run = 8

  var isEmpty: Bool { beginnings.isEmpty }

  init(_ suspects: [Suspect]) throws(CheckpointError) {
    parts = suspects
    for (index, suspect) in suspects.enumerated() {
      for (view, isTransposed) in PartIndex.orientations(suspect.tensor) {
        let width = PartIndex.width(view)
        guard view.shape.count >= width else { continue }
        let row = try view.beginning(width * view.dtype.size)
        beginnings[PartIndex.key(view, row[...]), default: []].append((index, isTransposed))
      }
    }
  }

  mutating func take(_ part: Int) { taken.insert(part) }

  private static func width(_ tensor: Tensor) -> Int {
    tensor.shape.rank == 2 ? tensor.shape[1] : run
  }

  private static func key(_ tensor: Tensor, _ row: ArraySlice<UInt8>) -> Key {
    Key(
      dtype: tensor.dtype, width: width(tensor), isVector: tensor.shape.rank == 1,
      hash: RowHash.of(row))
  }

  /// Matrices both ways, vectors as they are; nothing else is taken apart.
  private static func orientations(_ tensor: Tensor) -> [(Tensor, Bool)] {
    guard !tensor.dtype.isPacked, tensor.shape.count > 1 else { return [] }
    return switch tensor.shape.rank {
    case 1: [(tensor, false)]
    case 2: [(tensor, false), (tensor.transposed(), true)]
    default: []
    }
  }

  /// The parts of which a tensor is put together, in its order; `nil` where it is not, as far as is known.
  ///
  /// - Parameter siblings: other tensors that were put together, whose order is preferred where contents
  ///   leave a choice.
  func assembly(
    of whole: Suspect, like siblings: [(name: String, parts: [String])]
  ) throws(CheckpointError) -> [Use]? {
    for (view, isTurned) in PartIndex.orientations(whole.tensor) {
      let width = PartIndex.width(view)
      guard view.shape.count >= 2 * width else { continue }
      // Whatever it is made of, it begins as one of them does.
      let first = try view.beginning(width * view.dtype.size)
      guard !candidates(at: PartIndex.key(view, first[...]), of: view).isEmpty else { continue }
      let hashes = try PartIndex.rows(of: view)
      let sibling =
        siblings.max {
          PartIndex.common($0.name, whole.entry.name) < PartIndex.common($1.name, whole.entry.name)
        }?
        .parts ?? []
      if let found = try stacked(view, hashes, isTurned, whole, sibling) { return found }
      if let found = try interleaved(view, hashes, isTurned, whole) { return found }
    }
    return nil
  }

  private static func rows(of view: Tensor) throws(CheckpointError) -> [Int] {
    guard view.shape.rank == 1 else { return try RowHash.rows(of: view) }
    let (bytes, size) = (try view.bytes(), view.dtype.size)
    return (0..<max(0, view.shape.count - run + 1)).map {
      RowHash.of(bytes[($0 * size)..<(($0 + run) * size)])
    }
  }

  private func candidates(
    at key: Key, of view: Tensor
  ) -> [(part: Int, isTransposed: Bool)] {
    (beginnings[key] ?? []).filter {
      !taken.contains($0.part) && parts[$0.part].count < view.shape.count
    }
  }

  /// How many characters two names begin with alike.
  private static func common(_ a: String, _ b: String) -> Int {
    zip(a.utf8, b.utf8).prefix { $0 == $1 }.count
  }

  private func oriented(_ part: Int, _ isTransposed: Bool) -> Tensor {
    isTransposed ? parts[part].tensor.transposed() : parts[part].tensor
  }

  /// One after the other.
  private func stacked(
    _ view: Tensor, _ hashes: [Int], _ isTurned: Bool, _ whole: Suspect, _ sibling: [String]
  ) throws(CheckpointError) -> [Use]? {
    var (uses, used): ([Use], Set<Int>) = ([], [])
    var row = 0
    while row < view.shape[0] {
      guard row < hashes.count else { return nil }
      let key = Key(
        dtype: view.dtype, width: PartIndex.width(view), isVector: view.shape.rank == 1,
        hash: hashes[row])
      let slot = uses.count
      var options = candidates(at: key, of: view).filter { !used.contains($0.part) }
      if slot < sibling.count {
        let liking = options.map { PartIndex.common(parts[$0.part].entry.name, sibling[slot]) }
        options = options.indices.sorted { (-liking[$0], $0) < (-liking[$1], $1) }
          .map { options[$0] }
      }
      var isFound = false
      for option in options.prefix(16) {
        let part = oriented(option.part, option.isTransposed)
        let length = part.shape[0]
        guard length <= view.shape[0] - row else { continue }
        let piece = CheckpointDifference.Piece(
          isOfFirst: false, axis: isTurned ? 1 : 0, start: row, length: length, count: 1, step: 0)
        guard
          let use = try confirmed(
            option.part, part, piece, isTurned: option.isTransposed, whole)
        else { continue }
        uses.append(use)
        used.insert(option.part)
        row += length
        isFound = true
        break
      }
      if !isFound { return nil }
    }
    return uses.count > 1 ? uses : nil
  }

  /// Some rows of each in turn, as heads that have their query, key and value side by side.
  private func interleaved(
    _ view: Tensor, _ hashes: [Int], _ isTurned: Bool, _ whole: Suspect
  ) throws(CheckpointError) -> [Use]? {
    var hits: [(row: Int, part: Int, isTransposed: Bool)] = []
    for (row, hash) in hashes.enumerated() {
      let key = Key(
        dtype: view.dtype, width: PartIndex.width(view), isVector: view.shape.rank == 1, hash: hash)
      for option in candidates(at: key, of: view)
      where !hits.contains(where: { $0.row == row || $0.part == option.part }) {
        hits.append((row, option.part, option.isTransposed))
        break
      }
      if hits.count > 64 { return nil }
    }
    guard hits.count > 1 else { return nil }
    let (step, length) = (hits[1].row, oriented(hits[0].part, hits[0].isTransposed).shape[0])
    guard step > 0, length % step == 0, length * hits.count == view.shape[0] else { return nil }
    var uses: [Use] = []
    for (index, hit) in hits.enumerated() {
      let part = oriented(hit.part, hit.isTransposed)
      guard hit.row == index * step, part.shape[0] == length else { return nil }
      let piece = CheckpointDifference.Piece(
        isOfFirst: false, axis: isTurned ? 1 : 0, start: hit.row, length: step,
        count: length / step, step: step * hits.count)
      guard
        let use = try confirmed(
          hit.part, part, piece, isTurned: hit.isTransposed, whole)
      else { return nil }
      uses.append(use)
    }
    return uses
  }

  /// The part where it is said to lie, if every element is the same.
  ///
  /// - Parameter isTurned: whether `part` is the part turned round.
  private func confirmed(
    _ index: Int, _ part: Tensor, _ place: CheckpointDifference.Piece, isTurned: Bool,
    _ whole: Suspect
  ) throws(CheckpointError) -> Use? {
    let piece = try PartIndex.piece(of: whole.tensor, at: place, as: part.shape)
    guard try TensorDifference(part, piece).differing == 0 else { return nil }
    return Use(
      part: index, isTurned: isTurned, isTransposed: isTurned != (place.axis == 1), place: place)
  }

  /// What lies at a place of a larger tensor, its axis first.
  static func piece(
    of whole: Tensor, at place: CheckpointDifference.Piece, as shape: Shape
  ) throws(CheckpointError) -> Tensor {
    let extents = whole.shape.extents
    let isTurned = place.axis == 1
    let width = isTurned ? extents[0] : extents.count == 2 ? extents[1] : 1
    // In elements of the larger tensor as it is stored, from one index of the axis to the next.
    let strides = isTurned ? (row: 1, column: extents[1]) : (row: width, column: 1)
    let payload = try StridedPayload(
      stored: whole.payload, shape: [place.count, place.length, width],
      strides: [place.step * strides.row, strides.row, strides.column],
      origin: place.start * strides.row, size: whole.dtype.size)
    return Tensor(name: whole.name, dtype: whole.dtype, shape: shape, payload: payload)
  }
}
