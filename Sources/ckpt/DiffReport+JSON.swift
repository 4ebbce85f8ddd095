import Checkpoint

extension DiffReport {
  var json: JSON {
    let d = difference
    return .object([
      .init("first", json(d.first)), .init("second", json(d.second)),
      .init("matching", .string(d.matching.rawValue)),
      .init(
        "tolerance",
        .object([
          .init("absolute", .number(d.tolerance.absolute)),
          .init("relative", .number(d.tolerance.relative)),
        ])),
      .init("verdict", .string(d.verdict.rawValue)),
      .init("equal", .bool(d.isEqual)),
      .init("summary", .string(words.sentence)),
      .init(
        "evidence",
        .object([
          .init("numbers", .number(d.evidence.numbers)),
          .init("differing", .number(d.evidence.differing)),
          .init("beyond", .number(d.evidence.beyond)),
          .init("matrices", .number(d.evidence.matrices)),
          .init("near", .number(d.evidence.near)), .init("far", .number(d.evidence.far)),
          .init("typical_change", d.evidence.typicalChange.map { .number($0) } ?? .null),
          .init("typical_cosine", d.evidence.typicalCosine.map { .number($0) } ?? .null),
          .init("most_changed", text(d.evidence.mostChanged)),
        ])),
      .init(
        "settings",
        .array(
          d.settings.map {
            .object([
              .init("key", .string($0.key)), .init("first", .string($0.first)),
              .init("second", .string($0.second)), .init("assumed", .bool($0.isAssumed)),
            ])
          })),
      .init("pairs", .array(d.pairs.map(json))),
      .init("only_in_first", .array(d.onlyInFirst.map(json))),
      .init("only_in_second", .array(d.onlyInSecond.map(json))),
      .init("redundant_in_first", .array(d.redundantInFirst.map(json))),
      .init("redundant_in_second", .array(d.redundantInSecond.map(json))),
      .init(
        "parts",
        .array(
          d.parts.map {
            .object([
              .init("name", .string($0.name)), .init("tensors", .number($0.tensors)),
              .init("changed", .number($0.changed)), .init("relative_norm", .number($0.relative)),
              .init("cosine", .number($0.cosine)), .init("max_abs", .number($0.largest)),
            ])
          })),
      .init("notes", .array(d.notes.map { .string($0) })),
    ])
  }

  private func text(_ text: String?) -> JSON { text.map { .string($0) } ?? .null }

  private func shape(_ shape: Shape) -> JSON { .array(shape.extents.map { .number($0) }) }

  private func json(_ side: CheckpointDifference.Side) -> JSON {
    .object([
      .init("path", .string(side.path)), .init("format", .string(side.format)),
      .init("dialect", text(side.dialect)), .init("family", text(side.family)),
      .init("tensors", .number(side.tensors)), .init("parameters", .number(side.parameters)),
      .init("bytes", .number(side.bytes)),
      .init("dtypes", .array(side.dtypes.map { .string($0.rawValue) })),
    ])
  }

  private func json(_ entry: CheckpointDifference.Entry) -> JSON {
    .object([
      .init("name", .string(entry.name)), .init("canonical", text(entry.canonical)),
      .init("dtype", .string(entry.dtype.rawValue)), .init("shape", shape(entry.shape)),
      .init("reason", text(entry.reason)), .init("copy_of", text(entry.copyOf)),
    ])
  }

  private func json(_ pair: CheckpointDifference.Pair) -> JSON {
    .object([
      .init("first", json(pair.first)), .init("second", json(pair.second)),
      .init("matched_by", .string(pair.ground.rawValue)),
      .init("transposed", .bool(pair.layout.isTransposed)),
      .init("reshaped", .bool(pair.layout.isReshaped)),
      .init("piece", pair.layout.piece.map(json) ?? .null),
      .init("state", .string(pair.state.rawValue)), .init("shape", shape(pair.shape)),
      .init("difference", pair.difference.map(json) ?? .null),
      .init("rows", pair.rows.map(json) ?? .null),
    ])
  }

  private func json(_ piece: CheckpointDifference.Piece) -> JSON {
    .object([
      .init("of", .string(piece.isOfFirst ? "first" : "second")),
      .init("axis", .number(piece.axis)), .init("start", .number(piece.start)),
      .init("length", .number(piece.length)), .init("count", .number(piece.count)),
      .init("step", .number(piece.step)),
    ])
  }

  private func json(_ rows: CheckpointDifference.Rows) -> JSON {
    .object([
      .init("first", .number(rows.first)), .init("second", .number(rows.second)),
      .init("kept", .number(rows.kept)), .init("in_order", .bool(rows.isOrdered)),
      .init("prefix", .bool(rows.isPrefix)),
    ])
  }

  private func json(_ d: TensorDifference) -> JSON {
    .object([
      .init("count", .number(d.count)), .init("identical", .bool(d.isIdentical)),
      .init("differing", .number(d.differing)), .init("beyond", .number(d.beyond)),
      .init("max_abs", .number(d.largest)), .init("relative", .number(d.relative)),
      .init("relative_norm", .number(d.relativeNorm)), .init("rms", .number(d.rootMeanSquare)),
      .init("cosine", .number(d.cosine)),
      .init("ulp", d.ulp.map { .literal(String($0)) } ?? .null),
      .init(
        "worst",
        d.worst.map {
          .object([
            .init("index", .array($0.index.map { .number($0) })),
            .init("first", .number($0.first)), .init("second", .number($0.second)),
          ])
        } ?? .null),
      .init("nan_in_first", .number(d.nanInFirst)), .init("nan_in_second", .number(d.nanInSecond)),
      .init("nan_in_both", .number(d.nanInBoth)), .init("infinite", .number(d.infinite)),
      .init("rounded", text(d.rounded?.rawValue)), .init("unmeasured", text(d.unmeasured)),
    ])
  }
}
