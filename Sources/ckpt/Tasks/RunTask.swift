import ArgumentParser
import Checkpoint
import Infer

extension Run {
  func answer<Face: TaskFace>(_: Face.Type, _ context: TaskContext) throws {
    var face = try Face(context)
    if !output.quiet {
      for warning in context.tokenization.warnings { Terminal.printError("warning: \(warning)") }
      for note in face.notes { Terminal.printError("note: \(note)") }
    }
    let source = try reading.source(texts, isPaired: Face.isPaired)
    try answer(&face, context, source)
  }

  private func answer<Face: TaskFace>(
    _ face: inout Face, _ context: TaskContext, _ source: TaskSource
  ) throws {
    var printer = AnswerPrinter(task: Face.name, isJSON: output.json)
    let progress = Progress(Face.name, total: source.total, quiet: output.quiet)
    var done = 0
    var failed = 0
    var run = TaskRun(
      face.task, batch: context.options.batch, window: source.isTyped ? 1 : nil)
    try run({ try source.next() }) { input, answer in
      progress.add(source.position - done)
      done = source.position
      switch answer {
      case .success(let answer):
        face.receive(answer, to: input)
        if output.json {
          printer.json(
            [.init("text", .string(input.text))]
              + (input.pair.map { [.init("pair", .string($0))] } ?? [])
              + face.json(answer, to: input))
        } else {
          printer.lines(
            (face.showsText ? [Terminal.output.bold(input.text)] : [])
              + face.lines(answer, to: input))
        }
      case .failure(let failure):
        failed += 1
        Terminal.printError(
          "\(Terminal.error.red("error:")) text \(input.number): \(failure.reason)")
        if output.json {
          printer.json([
            .init("text", .string(input.text)), .init("number", .number(input.number)),
            .init("error", .string(failure.reason)),
          ])
        }
      }
    }
    let end = try face.finish(context)
    printer.end(end.members, output.quiet ? [] : end.lines)
    if failed > 0 { throw ExitCode(2) }
  }
}

/// Answers as they come, so that nothing waits for the last: as lines, or as one JSON document.
private struct AnswerPrinter {
  let task: String
  let isJSON: Bool
  private var count = 0

  init(task: String, isJSON: Bool) {
    self.task = task
    self.isJSON = isJSON
  }

  private var head: String { "{\n  \"task\": \(JSON.string(task).compact),\n  \"results\": [" }

  func lines(_ lines: [String]) {
    for line in lines { Terminal.print(line) }
  }

  /// One of `results`.
  mutating func json(_ members: [JSON.Member]) {
    Terminal.print(
      (count == 0 ? head + "\n" : ",\n") + "    " + JSON.object(members).compact, terminator: "")
    count += 1
  }

  func end(_ members: [JSON.Member], _ lines: [String]) {
    guard isJSON else { return self.lines(lines) }
    Terminal.print(count == 0 ? head : "\n  ", terminator: "")
    let rest = members.map { ",\n  \(JSON.string($0.key).compact): \($0.value.compact)" }
    Terminal.print("]\(rest.joined())\n}")
  }
}
