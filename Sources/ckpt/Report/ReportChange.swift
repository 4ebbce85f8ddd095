import Checkpoint

/// How two checkpoints differ, as a page has it: `diff --json`, its pairs as rows of the table.
struct ReportChange {
  private let difference: CheckpointDifference
  private let document: JSON
  private let words: DifferenceWords
  private let first: ReportSide
  private let second: ReportSide

  init(_ first: ReportSide, _ second: ReportSide, guess: Bool, quiet: Bool) throws {
    var options = CheckpointDifference.Options()
    options.guess = guess
    let bytes = [first, second].reduce(0) { sum, side in
      side.tensors.rows.reduce(sum) { $0 + $1.tensor.byteCount }
    }
    let progress = Progress("comparing", total: bytes, quiet: quiet)
    difference = try CheckpointDifference(
      first.info.opening, second.info.opening, options: options
    ) { progress.add($0) }
    document = DiffReport(difference).json.rounded(digits: 7)
    words = DifferenceWords(difference)
    self.first = first
    self.second = second
  }

  /// All but the tensors, and the verdict in words.
  var json: JSON {
    guard case .object(let members) = document else { return document }
    let apart: Set = [
      "pairs", "only_in_first", "only_in_second", "redundant_in_first", "redundant_in_second",
    ]
    var json = JSON.object(members.filter { !apart.contains($0.key) })
    json.set("title", .string(words.title))
    json.set(
      "evidence_lines",
      .array(words.evidence.map { .array([.string($0.subject), .string($0.text)]) }))
    return json
  }

  /// A row for each pair, with the partner and the numbers; then the tensors that have no partner.
  func tensors() throws(CheckpointError) -> JSON {
    let (ours, theirs) = (first.tensors.byName, second.tensors.byName)
    var rows: [JSON] = []
    for (pair, numbers) in zip(difference.pairs, document["pairs"]?.array ?? []) {
      guard let one = ours[pair.first.name], let other = theirs[pair.second.name] else { continue }
      var row = try ReportTensors.json(one)
      row.set("state", .string(pair.state.rawValue))
      row.set("other", try ReportTensors.json(other))
      for key in ["matched_by", "transposed", "reshaped", "piece", "rows"] {
        if let value = numbers[key], value != .null, value != .bool(false) { row.set(key, value) }
      }
      if let change = numbers["difference"], change != .null { row.set("change", change) }
      rows.append(row)
    }
    for (entries, known, state) in [
      (difference.onlyInFirst + difference.redundantInFirst, ours, "only in the first"),
      (difference.onlyInSecond + difference.redundantInSecond, theirs, "only in the second"),
    ] {
      for entry in entries {
        guard let tensor = known[entry.name] else { continue }
        var row = try ReportTensors.json(tensor)
        row.set("state", .string(state))
        if let reason = entry.reason { row.set("note", .string(reason)) }
        rows.append(row)
      }
    }
    return .array(rows)
  }
}
