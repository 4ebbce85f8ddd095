import Checkpoint

/// The tensors of a checkpoint as a page has them: a row each, in the file's order.
struct ReportTensors {
  struct Row {
    var tensor: Tensor
    var group: String
    /// The canonical weights that it is stored for.
    var canonical: [String]
    /// Its place among the model's weights, which is their order of use.
    var order: Int?
    /// Why it belongs to no part of the model, or empty.
    var note: String
    /// `nil` where its numbers cannot be decoded.
    var statistics: Statistics?
  }

  let rows: [Row]

  init(_ info: InfoReport) {
    let model = info.model
    let graph = info.keras?.model
    let canonical = model?.canonicalNames ?? graph?.canonicalNames ?? [:]
    var orders: [String: Int] = [:]
    for (order, weight) in (model?.weights ?? graph?.weights ?? []).enumerated() {
      for source in weight.sources { orders[source] = orders[source] ?? order }
    }
    var notes: [String: String] = [:]
    for entry in (model?.left ?? []) + (model?.redundant ?? []) {
      notes[entry.tensor.name] = entry.reason
    }
    for tensor in (model?.carried ?? graph?.carried ?? []).flatMap(\.tensors) {
      notes[tensor.name] = "no known meaning"
    }
    for (name, role) in info.composition.roles where role == .optimizer {
      notes[name] = notes[name] ?? "optimizer state"
    }
    let (places, reasons) = (orders, notes)
    rows = info.checkpoint.groups.flatMap { group in
      group.tensors.map { tensor in
        Row(
          tensor: tensor, group: group.name, canonical: canonical[tensor.name] ?? [],
          order: places[tensor.name], note: reasons[tensor.name] ?? "",
          statistics: info.health.statistics[tensor.name])
      }
    }
  }

  var byName: [String: Row] {
    Dictionary(rows.map { ($0.tensor.name, $0) }) { first, _ in first }
  }

  /// What quantiles an opened row shows.
  static let shares = [0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999]

  static func json(_ row: Row) throws(CheckpointError) -> JSON {
    let tensor = row.tensor
    var members: [JSON.Member] = [
      .init("name", .string(tensor.name)),
      .init("dtype", .string(tensor.dtype.rawValue)),
      .init("shape", .array(tensor.shape.extents.map { .number($0) })),
      .init("bytes", .number(tensor.byteCount)),
    ]
    func add(_ key: String, _ texts: [String]) {
      if !texts.isEmpty { members.append(.init(key, .array(texts.map { .string($0) }))) }
    }
    add("canonical", row.canonical)
    add("aliases", tensor.aliases)
    add("filters", tensor.payload.filters)
    if let order = row.order { members.append(.init("order", .number(order))) }
    if !row.group.isEmpty { members.append(.init("group", .string(row.group))) }
    if !row.note.isEmpty { members.append(.init("note", .string(row.note))) }
    guard let statistics = row.statistics else { return .object(members) }
    members += statistics.pageMembers
    // Its numbers were read before, so it can be read.
    if let ends = try tensor.ends() {
      members.append(.init("first", .array(ends.first.map { .rounded($0) })))
      members.append(.init("last", .array(ends.last.map { .rounded($0) })))
    }
    return .object(members)
  }
}

extension Statistics {
  /// What a page shows of them; keys of what is zero are left out.
  var pageMembers: [JSON.Member] {
    var members: [JSON.Member] = [.init("count", .number(count))]
    func add(_ key: String, _ count: Int) {
      if count > 0 { members.append(.init(key, .number(count))) }
    }
    add("zeros", zeros)
    add("nan", nan)
    add("inf", infinite)
    add("positive_inf", positiveInfinite)
    add("negative_zeros", negativeZeros)
    add("subnormals", subnormals)
    guard finite > 0 else { return members }
    for (key, value) in [
      ("min", minimum), ("max", maximum), ("mean", mean), ("std", standardDeviation), ("l2", norm),
    ] {
      members.append(.init(key, .rounded(value)))
    }
    members.append(
      .init("quantiles", .array(ReportTensors.shares.map { .rounded(quantile($0)) })))
    if !isExact { members.append(.init("sample", .number(sample.count))) }
    members.append(.init("histogram", pageHistogram))
    return members
  }

  /// Counts over the range that holds all but a thousandth at each end, so that an outlier does not
  /// make everything else one bar; over all of a few numbers.
  private var pageHistogram: JSON {
    let trimmed = sample.count > 2000 ? 0.001 : 0
    let (low, high) = (quantile(trimmed) ?? 0, quantile(1 - trimmed) ?? 0)
    let counts = histogram(bins: high > low ? 40 : 1, from: low, to: high)
    return .object([
      .init("low", .rounded(low)), .init("high", .rounded(high)),
      .init("counts", .array(counts.map { .number($0) })),
    ])
  }
}

extension Tensor {
  /// Whether its elements are numbers that ckpt can decode.
  fileprivate var holdsNumbers: Bool { !dtype.isQuantized || isCastable }

  /// The first and the last few elements in C order; `nil` where reading them means reading all of
  /// something large, or where they are no real numbers.
  fileprivate func ends(_ count: Int = 4) throws(CheckpointError) -> (
    first: [Double], last: [Double]
  )? {
    let total = shape.count
    let rows = shape.extents.first ?? 1
    guard total > 0, dtype != .c64, dtype != .c128, holdsNumbers else { return nil }
    let width = total / rows
    if total <= 1 << 16 {
      let all = try doubles()
      return (
        Array(all.prefix(count)), total > count ? Array(all.suffix(min(count, total - count))) : []
      )
    }
    guard readsByRows, width <= 1 << 20 else { return nil }
    let some = min(rows, max(1, count / width))
    return (
      Array(try doubles(rows: 0..<some).prefix(count)),
      Array(try doubles(rows: (rows - some)..<rows).suffix(count))
    )
  }
}
