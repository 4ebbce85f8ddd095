import Checkpoint
import Transforms

/// What transforms measured, as text and as JSON.
struct FindingsReport {
  private let findings: [Finding]

  /// Rows of one quantity that a terminal gets; JSON has all.
  private static let shown = 12

  init(_ findings: [Finding]) { self.findings = findings }

  /// A table for each quantity; of many rows those with the largest values.
  func print() {
    var done: Set<[String]> = []
    for finding in findings where done.insert([finding.transform, finding.quantity]).inserted {
      let all = findings.filter {
        $0.transform == finding.transform && $0.quantity == finding.quantity
      }
      let isCut = all.count > Self.shown
      let rows = isCut ? Array(all.sorted { $0.value > $1.value }.prefix(Self.shown)) : all
      let more = isCut ? ", the largest \(Self.shown) of \(all.count)" : ""
      Terminal.print("\(Terminal.output.bold(finding.transform)): \(finding.quantity)\(more)")
      var table = Table([.left, .right])
      for row in rows { table.add(row.subject, Text.small(row.value)) }
      table.print(indent: "  ")
    }
  }

  var json: JSON {
    .array(
      findings.map {
        .object([
          .init("transform", .string($0.transform)), .init("subject", .string($0.subject)),
          .init("quantity", .string($0.quantity)), .init("value", .number($0.value)),
        ])
      })
  }
}
