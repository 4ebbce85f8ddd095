public import ArgumentParser
import Checkpoint
public import Infer

/// What `ckpt run --task` can do with text.
enum TextTask: String, ExpressibleByArgument, CaseIterable {
  case encode
  case fillMask = "fill-mask"
}

extension Encode.Pooling: ExpressibleByArgument {}

extension Run {
  func runTask(_ runnable: RunnableModel, _ model: Model, _ opening: Opening) throws {
    guard let vocabulary = opening.vocabulary else {
      throw CheckpointError(
        .mismatch, .file(opening.checkpoint.path), "has no vocabulary beside it",
        hint: "give --vocab FILE")
    }
    let tokenization = try Tokenization(
      vocabularyPath: vocabulary, model: model, lowercase: !cased)
    if !output.quiet {
      for warning in tokenization.warnings { Terminal.printError("warning: \(warning)") }
    }
    let lines = texts.isEmpty ? Self.standardInput() : texts
    switch task {
    case .fillMask: try fillMask(lines, runnable, tokenization)
    case .encode: try encode(lines, runnable, tokenization, opening)
    case nil: break
    }
  }

  private static func standardInput() -> [String] {
    var lines: [String] = []
    while let line = readLine() { lines.append(line) }
    return lines
  }

  private func batches(_ lines: [String]) -> [[String]] {
    stride(from: 0, to: lines.count, by: batch).map {
      Array(lines[$0..<min($0 + batch, lines.count)])
    }
  }

  private func fillMask(
    _ lines: [String], _ runnable: RunnableModel, _ tokenization: Tokenization
  ) throws {
    let task = try FillMask(runnable, tokenization, threads: threads)
    var answers: [FillMask.Answer] = []
    for batch in batches(lines) { answers += try task.answers(batch, count: topK) }
    if output.json {
      print(
        JSON.object([
          .init("task", .string("fill-mask")), .init("results", .array(answers.map(json))),
        ]).pretty)
      return
    }
    for answer in answers {
      print(Terminal.output.bold(answer.text))
      if answer.masks.isEmpty { print("  no [MASK]") }
      for mask in answer.masks {
        print(
          "  "
            + mask.candidates.map { "\($0.token) \(Text.decimal(Double($0.probability), 3))" }
            .joined(separator: "  "))
      }
    }
  }

  private func json(_ answer: FillMask.Answer) -> JSON {
    .object([
      .init("text", .string(answer.text)),
      .init(
        "masks",
        .array(
          answer.masks.map { mask in
            .object([
              .init("position", .number(mask.position)),
              .init(
                "candidates",
                .array(
                  mask.candidates.map {
                    .object([
                      .init("token", .string($0.token)), .init("id", .number(Int($0.id))),
                      .init("probability", .number(Double($0.probability))),
                    ])
                  })),
            ])
          })),
    ])
  }

  private func encode(
    _ lines: [String], _ runnable: RunnableModel, _ tokenization: Tokenization,
    _ opening: Opening
  ) throws {
    let task = try Encode(runnable, tokenization, pooling: pooling, threads: threads)
    var rows: [ArraySlice<Float>] = []
    for batch in batches(lines) {
      let vectors = try task.vectors(batch)
      let width = vectors.shape[1]
      rows += batch.indices.map { vectors.values[($0 * width)..<(($0 + 1) * width)] }
    }
    let width = rows.first?.count ?? 0
    if let outputs {
      let array = NDArray(shape: [rows.count, width], values: rows.flatMap(\.self))
      try Arrays.write(
        [("embeddings", array)], to: outputs, inputs: opening.inputs, overwrite: overwrite)
      if !output.quiet, !output.json { print("wrote \(outputs): \(rows.count) × \(width)") }
      if !output.json { return }
    }
    let results = zip(lines, rows).map { line, row in
      JSON.object([
        .init("text", .string(line)),
        .init("embedding", .array(row.map { .literal("\($0)") })),
      ])
    }
    if output.json {
      print(
        JSON.object([.init("task", .string("encode")), .init("results", .array(results))]).pretty)
    } else {
      for result in results { print(result.compact) }
    }
  }
}
