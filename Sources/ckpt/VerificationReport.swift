import Checkpoint
import Infer

/// A verification as text and as JSON.
struct VerificationReport {
  private let verification: Verification

  init(_ verification: Verification) { self.verification = verification }

  func print(perLayer: Bool) {
    let terminal = Terminal.output
    let v = verification
    if (perLayer || !v.passed) && v.first?.misfit == nil { printValues(all: perLayer) }
    for entry in v.disagreements {
      Terminal.print(
        "\(terminal.red("disagree:")) \(entry.subject) is \(entry.source) in the first and "
          + "\(entry.result) in the second")
    }
    for note in v.notes { Terminal.print("\(terminal.yellow("note:")) \(note)") }
    let worst = v.values.max { $0.relative < $1.relative }
    let size = v.length.map { "\(v.rows)×\($0) tokens" } ?? Text.plural(v.rows, "row")
    let inputs = "\(Text.plural(v.values.count, "value")) on \(size)"
    switch v.verdict {
    case .identical:
      Terminal.print("\(terminal.green("identical:")) \(inputs), equal to the bit")
    case .rounding:
      Terminal.print("\(terminal.green("equal to rounding:")) \(inputs)" + summary(worst))
    case .close:
      let place = v.firstJudged.map { "; in Float64 they part at \($0.name)" } ?? ""
      Terminal.print("\(terminal.green("within tolerance:")) \(inputs)" + summary(worst) + place)
    case .different:
      let compared = v.first?.misfit == nil ? " \(inputs)" + summary(worst) : ""
      Terminal.print("\(terminal.red("different:"))\(compared)")
      if let first = v.first, let misfit = first.misfit {
        Terminal.print("first that differs: \(terminal.bold(first.name)), shapes \(misfit)")
      } else if let first = v.first {
        Terminal.print(
          "first beyond tolerance: \(terminal.bold(first.name)) at \(first.index): "
            + "max |Δ| \(Text.small(first.largest)), relative \(Text.small(first.relative))")
      }
      if let first = v.first, let judged = v.judged.first(where: { $0.name == first.name }) {
        Terminal.print(
          "not rounding: in Float64 it differs by \(Text.small(judged.relative)) too")
      }
      if let judged = v.firstJudged, judged.name != v.first?.name {
        Terminal.print(
          (v.first == nil ? "in Float64 they part at " : "a smaller difference begins at ")
            + "\(terminal.bold(judged.name)) (relative \(Text.small(judged.relative)) in Float64)")
      }
    }
    if !v.weights.isEmpty {
      let first = v.weights[0]
      Terminal.print(
        "weights: \(v.weights.count) of \(v.comparedWeights) differ, most \(first.name)"
          + (first.misfit.map { ", shapes \($0)" }
            ?? " at \(first.index): max |Δ| \(Text.small(first.largest)), "
            + "relative \(Text.small(first.relative))"))
    }
    printDiagnosis()
    if v.contract == .lossy, let worst {
      Terminal.print(
        "lossy by contract: largest relative error \(Text.small(worst.relative)) at \(worst.name)")
    }
  }

  private func printDiagnosis() {
    guard let diagnosis = verification.diagnosis else { return }
    let terminal = Terminal.output
    for cause in diagnosis.causes {
      Terminal.print("\(terminal.bold("cause:")) \(cause.explanation)")
      if let hint = cause.hint { Terminal.print("  \(hint)") }
    }
    if diagnosis.isComplete {
      Terminal.print(
        diagnosis.causes.count == 1
          ? "with that mended the two compute the same (tried in Float64)"
          : "with all of these mended the two compute the same (tried in Float64)")
    } else {
      let rest = diagnosis.unexplained.count
      Terminal.print(
        diagnosis.causes.isEmpty
          ? verification.first == nil
            ? "no value differs beyond the tolerance; what the two say of themselves does"
            : "no known mistake explains the difference"
          : "no known mistake explains the rest"
            + (rest > 0
              ? ": \(Text.plural(rest, "weight")), \(diagnosis.unexplained[0]) first" : ""))
    }
  }

  private func summary(_ worst: Comparison?) -> String {
    guard let worst else { return "" }
    if worst.largest == 0 { return ", all equal to the bit" }
    return ", largest relative difference \(Text.small(worst.relative)) at \(worst.name)"
      + (verification.tolerance.isFinite
        ? " (tolerance \(Text.small(verification.tolerance)))" : "")
  }

  private func printValues(all: Bool) {
    var table = Table(
      [.left, .left, .right, .right, .right, .right, .right],
      header: ["value", "shape", "max |Δ|", "mean |Δ|", "relative", "cosine", "argmax"])
    let shown =
      all
      ? verification.values
      : verification.values.filter {
        !($0.relative <= verification.tolerance)
      }.prefix(12).map(\.self)
    for value in shown {
      table.add(
        value.name, "\(Shape(value.shape))", Text.small(value.largest), Text.small(value.mean),
        Text.small(value.relative), Text.decimal(value.cosine, 8),
        "\(Text.decimal(value.argmaxAgreement * 100, 1))%")
    }
    if !shown.isEmpty { table.print() }
  }

  func json(values: Bool) -> JSON {
    let v = verification
    var json = JSON.object([
      .init("verdict", .string(v.verdict.rawValue)),
      .init("passed", .bool(v.passed)),
      .init("contract", .string(v.contract.rawValue)),
      .init("tolerance", .number(v.tolerance)),
      .init("rows", .number(v.rows)),
      .init("length", v.length.map { .number($0) } ?? .null),
      .init("first_difference", v.first.map(comparison) ?? .null),
      .init("first_float64_difference", v.firstJudged.map(comparison) ?? .null),
      .init(
        "disagreements",
        .array(
          v.disagreements.map {
            .object([
              .init("subject", .string($0.subject)), .init("source", .string($0.source)),
              .init("result", .string($0.result)),
            ])
          })),
      .init("weights_compared", .number(v.comparedWeights)),
      .init("weights_differing", .array(v.weights.map(comparison))),
      .init("only_in_source", .array(v.onlyInSource.map { .string($0) })),
      .init("only_in_result", .array(v.onlyInResult.map { .string($0) })),
      .init("notes", .array(v.notes.map { .string($0) })),
      .init("diagnosis", v.diagnosis.map(diagnosis) ?? .null),
    ])
    if values {
      json.set("values", .array(v.values.map(comparison)))
      json.set("float64", .array(v.judged.map(comparison)))
    }
    return json
  }

  private func diagnosis(_ d: Diagnosis) -> JSON {
    .object([
      .init("complete", .bool(d.isComplete)),
      .init(
        "causes",
        .array(
          d.causes.map { cause in
            .object([
              .init("kind", .string(cause.kind.rawValue)), .init("subject", .string(cause.subject)),
              .init("explanation", .string(cause.explanation)),
              .init("hint", cause.hint.map { .string($0) } ?? .null),
            ])
          })),
      .init("unexplained", .array(d.unexplained.map { .string($0) })),
    ])
  }

  private func comparison(_ c: Comparison) -> JSON {
    .object([
      .init("name", .string(c.name)),
      .init("shape", .array(c.shape.map { .number($0) })),
      .init("max_abs", .number(c.largest)),
      .init("mean_abs", .number(c.mean)),
      .init("relative", .number(c.relative)),
      .init("cosine", .number(c.cosine)),
      .init("argmax_agreement", .number(c.argmaxAgreement)),
      .init("index", .array(c.index.map { .number($0) })),
      .init("misfit", c.misfit.map { .string($0) } ?? .null),
    ])
  }
}
