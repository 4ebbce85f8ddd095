internal import CStatistics

/// What an embedding table's rows tell.
public struct EmbeddingRows: Sendable {
  /// The table's stored name, and what it is: `embeddings.token`, or the same name.
  public var tensor: String
  public var canonical: String
  public var rows: Int
  /// Of rows that are not dead.
  public var medianNorm: Double
  public var zero: [Int] = []
  /// One number everywhere, and not zero.
  public var constant: [Int] = []
  /// Without a finite number.
  public var notFinite: [Int] = []
  /// Shorter than a hundredth of the median.
  public var short: [Int] = []
  /// Rows that are equal to the bit and none of the above; each list in order.
  public var equal: [[Int]] = []

  public var dead: [Int] { (zero + constant + notFinite + short).sorted() }
}

extension Health {
  /// Looks at each row of the tables of embeddings.
  mutating func checkRows(_ entries: [Entry], _ model: Model?, _ vocabulary: Vocabulary?) {
    for entry in entries {
      guard let canonical = Health.table(entry), let found = entry.statistics,
        // What holds for the whole table is told already.
        !found.isConstant, let rows = try? EmbeddingRows(entry.tensor, canonical)
      else { continue }
      tables.append(rows)
      let isToken = canonical == "embeddings.token"
      addDead(rows, Health.padding(model, vocabulary), isToken ? vocabulary : nil)
      addEqual(rows, isToken ? vocabulary : nil)
    }
  }

  /// What a table of embeddings is, or `nil` of other tensors.
  private static func table(_ entry: Entry) -> String? {
    let tensor = entry.tensor
    guard entry.isWeight, tensor.shape.rank == 2, tensor.shape[0] > 1, tensor.shape[1] > 3,
      tensor.isCastable, tensor.shape[1] % tensor.dtype.block.elements == 0
    else { return nil }
    if !entry.canonical.isEmpty {
      return entry.canonical.first {
        ["embeddings.token", "embeddings.position", "embeddings.segment"].contains($0)
      }
    }
    let parts = tensor.name.lowercased().split { $0 == "." || $0 == "/" }
    guard let last = parts.last else { return nil }
    let parent = parts.dropLast().last ?? ""
    let isTable =
      last.hasPrefix("embedding") || last.hasSuffix("_embeddings") || last == "embed"
      || last == "weight" && (parent.contains("emb") || parent == "wte" || parent == "wpe")
    return isTable ? tensor.name : nil
  }

  /// Rows that frameworks set to zero, for tokens and places that stand for nothing.
  private static func padding(_ model: Model?, _ vocabulary: Vocabulary?) -> Set<Int> {
    var rows: Set<Int> = [0]
    if let model {
      rows.formUnion(0...max(0, min(8, model.architecture.configuration.paddingToken)))
    }
    for token in ["[PAD]", "<pad>"] {
      if let id = vocabulary?.id(of: token) { rows.insert(Int(id)) }
    }
    return rows
  }

  private mutating func addDead(
    _ rows: EmbeddingRows, _ padding: Set<Int>, _ vocabulary: Vocabulary?
  ) {
    func others(_ rows: [Int]) -> [Int] { rows.filter { !padding.contains($0) } }
    let dead = others(rows.dead)
    guard let first = dead.first else { return }
    let (zero, constant) = (others(rows.zero).count, others(rows.constant).count)
    let (notFinite, short) = (others(rows.notFinite).count, others(rows.short).count)
    let kinds = [
      (zero, "all zero"), (constant, "one number everywhere"),
      (notFinite, "without a finite number"), (short, "shorter than 1 % of the median"),
    ].filter { $0.0 > 0 }
    let what =
      kinds.count == 1 ? kinds[0].1 : kinds.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    concerns.append(
      Concern(
        .deadRows, [rows.tensor], index: [first],
        numbers: [
          .init("rows", Double(dead.count)), .init("zero", Double(zero)),
          .init("constant", Double(constant)), .init("not_finite", Double(notFinite)),
          .init("short", Double(short)),
        ],
        "\(rows.tensor): \(dead.count) of \(rows.rows) rows say nothing (\(what)): "
          + Health.named(dead, vocabulary)))
  }

  private mutating func addEqual(_ rows: EmbeddingRows, _ vocabulary: Vocabulary?) {
    guard let first = rows.equal.first else { return }
    let count = rows.equal.reduce(0) { $0 + $1.count }
    let sets =
      rows.equal.count == 1 ? "are copies of each other" : "are copies, in \(rows.equal.count) sets"
    concerns.append(
      Concern(
        .copiedRows, [rows.tensor], index: [first[0]],
        numbers: [.init("rows", Double(count)), .init("sets", Double(rows.equal.count))],
        "\(rows.tensor): \(count) of \(rows.rows) rows \(sets): "
          + Health.named(first, vocabulary)))
  }

  /// As in `17 ([unused3]), 18 ([unused4])`, and whether there are more.
  private static func named(_ rows: [Int], _ vocabulary: Vocabulary?) -> String {
    let shown = rows.prefix(4).map { row in
      let token = Int32(exactly: row).flatMap { vocabulary?.token(of: $0) }
      return token.map { "\(row) (\($0))" } ?? "\(row)"
    }
    return shown.joined(separator: ", ") + (rows.count > shown.count ? ", …" : "")
  }
}

/// What is kept of a row.
private struct RowMark: Sendable {
  var norm = 0.0
  var isConstant = false
  var hasFinite = true
  /// Of the bytes.
  var hash: UInt64 = 0
}

extension EmbeddingRows {
  /// Reads a matrix once, in parallel where it lies in a file as it is.
  init(_ tensor: Tensor, _ canonical: String) throws(CheckpointError) {
    let count = tensor.shape[0]
    let size = tensor.dtype.byteCount(of: tensor.shape[1])
    let whole = tensor.payload.slice == nil || tensor.payload.checksum != nil
    let step = whole ? count : max(1, (2 << 20) / max(1, size))
    let starts = Array(stride(from: 0, to: count, by: step))
    let marks = try Parallel.map(starts.count, with: { Window() }) {
      (index, window) throws(CheckpointError) in
      let rows = starts[index]..<min(count, starts[index] + step)
      return try RowMark.all(in: tensor, rows, size, window)
    }.flatMap(\.self)
    self.init(tensor: tensor.name, canonical: canonical, rows: count, medianNorm: 0)
    var norms: [Double] = []
    for (row, mark) in marks.enumerated() {
      if !mark.hasFinite {
        notFinite.append(row)
      } else if mark.isConstant {
        if mark.norm == 0 { zero.append(row) } else { constant.append(row) }
      } else {
        norms.append(mark.norm)
      }
    }
    norms.sort()
    medianNorm = norms.isEmpty ? 0 : norms[norms.count / 2]
    var seen: [UInt64: [Int]] = [:]
    for (row, mark) in marks.enumerated() where mark.hasFinite && !mark.isConstant {
      if mark.norm < 0.01 * medianNorm {
        short.append(row)
      } else {
        seen[mark.hash, default: []].append(row)
      }
    }
    let candidates = seen.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
    for rows in candidates {
      let first = try tensor.rowBytes(rows[0], size)
      var same: [Int] = []
      for row in rows where try tensor.rowBytes(row, size) == first { same.append(row) }
      if same.count > 1 { equal.append(same) }
    }
  }
}

extension Tensor {
  fileprivate func rowBytes(_ row: Int, _ size: Int) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try payload.read(at: row * size, into: &raw)
    return bytes
  }
}

extension RowMark {
  /// Of a range of rows of `size` bytes each.
  static func all(
    in tensor: Tensor, _ rows: Range<Int>, _ size: Int, _ window: Window
  ) throws(CheckpointError) -> [RowMark] {
    var marks: [RowMark] = []
    marks.reserveCapacity(rows.count)
    // A row of which only the beginning was shown.
    var begun: [UInt8] = []
    try tensor.read(rows.lowerBound * size..<rows.upperBound * size, through: window) { _, bytes in
      var place = 0
      if !begun.isEmpty {
        place = min(size - begun.count, bytes.byteCount)
        unsafe bytes.extracting(0..<place).withUnsafeBytes { unsafe begun += $0 }
        guard begun.count == size else { return }
        marks.append(RowMark(unsafe begun.span.bytes, tensor.dtype))
        begun.removeAll(keepingCapacity: true)
      }
      while bytes.byteCount - place >= size {
        marks.append(RowMark(bytes.extracting(place..<(place + size)), tensor.dtype))
        place += size
      }
      unsafe bytes.extracting(place..<bytes.byteCount).withUnsafeBytes { unsafe begun += $0 }
    }
    return marks
  }

  private init(_ bytes: RawSpan, _ dtype: DType) {
    // The pointer is used inside the closure only, for as many numbers as its bytes hold.
    let found = unsafe bytes.withUnsafeBytes { raw -> ckpt_moments in
      if let type = ckpt_numbers(dtype) {
        return unsafe ckpt_measure(type, raw.baseAddress, raw.count / dtype.size, 0)
      }
      let numbers: [Double] = Elements.decode(unsafe [UInt8](raw), as: dtype)
      return unsafe numbers.withUnsafeBytes {
        unsafe ckpt_measure(CKPT_F64, $0.baseAddress, numbers.count, 0)
      }
    }
    hasFinite = found.finite > 0
    isConstant =
      found.nan == 0 && found.positive_infinite == 0 && found.negative_infinite == 0
      && found.minimum == found.maximum
    let size = (max(0, found.deviation) + found.mean * found.mean * Double(found.finite))
      .squareRoot()
    norm = Double(sign: .plus, exponent: Int(found.exponent), significand: size)
    hash = RowMark.hash(bytes)
  }

  /// Equal bytes have equal hashes, and others hardly ever.
  private static func hash(_ bytes: RawSpan) -> UInt64 {
    var hash: UInt64 = 0x9e37_79b9_7f4a_7c15
    // Loads stay inside the bytes.
    unsafe bytes.withUnsafeBytes { raw in
      var place = 0
      while place + 8 <= raw.count {
        let word = unsafe raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)
        hash = (hash ^ word) &* 0xbf58_476d_1ce4_e5b9
        hash ^= hash >> 29
        place += 8
      }
      while place < raw.count {
        hash = (hash ^ UInt64(unsafe raw[place])) &* 0x94d0_49bb_1331_11eb
        place += 1
      }
    }
    return hash ^ hash >> 31
  }
}
