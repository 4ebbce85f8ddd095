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
    let source = try reading.source(texts, isPaired: Face.takesPairs(context.options))
    try answer(&face, context, source)
  }

  private func answer<Face: TaskFace>(
    _ face: inout Face, _ context: TaskContext, _ source: TaskSource
  ) throws {
    var printer = AnswerPrinter(task: Face.name, isJSON: output.json)
    do {
      let failed = try answer(&face, context, source, &printer)
      let end = try face.finish(context)
      printer.end(end.members, output.quiet ? [] : end.lines)
      if failed > 0 { throw ExitCode(2) }
    } catch let error where printer.isOpen {
      // What was printed is a document that must end.
      guard let failure = Failure(error) else { throw error }
      printer.end([failure.member], [])
      failure.report(json: false)
      throw ExitCode(failure.code)
    }
  }

  /// - Returns: how many texts have no answer.
  private func answer<Face: TaskFace>(
    _ face: inout Face, _ context: TaskContext, _ source: TaskSource,
    _ printer: inout AnswerPrinter
  ) throws -> Int {
    let progress = TaskProgress(Face.name, source, quiet: output.quiet)
    var failed = 0
    var run = TaskRun(
      face.task, batch: context.options.batch, window: source.isTyped ? 1 : nil)
    func next() throws -> TaskRun<Face.Task>.Given? {
      if let given = try source.next() { return given }
      guard Face.needsNoText, source.takesBlank() else { return nil }
      return .success(TaskInput(number: 1, text: ""))
    }
    try run(next, progress: progress.update) { input, answer in
      switch answer {
      case .success(let answer):
        try face.receive(answer, to: input)
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
        try face.receive(nil, to: input)
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
    return failed
  }
}

/// How far the texts of a source are answered: a share of its bytes, or a count.
struct TaskProgress {
  private let bar: Progress
  private let source: TaskSource
  private let state = State()

  private final class State {
    /// Where the window before this one ended.
    var start = 0
    /// Where the one that is answered ends, and what of it was told.
    var end = 0
    var told = 0
  }

  init(_ label: String, _ source: TaskSource, quiet: Bool) {
    self.source = source
    bar = Progress(label, total: source.total, unit: "texts", quiet: quiet)
  }

  /// Of the texts that were read last, `answered` of `taken` are done.
  func update(answered: Int, taken: Int) {
    let position = source.total > 0 ? source.position : source.count
    if position != state.end { (state.start, state.end) = (state.end, position) }
    let done = state.start + (position - state.start) * answered / max(taken, 1)
    if done > state.told {
      bar.add(done - state.told)
      state.told = done
    }
  }
}

/// Answers as they come, so that nothing waits for the last: as lines, or as one JSON document.
private struct AnswerPrinter {
  let task: String
  let isJSON: Bool
  private var count = 0
  private var isEnded = false

  /// Whether a document has begun and not ended.
  var isOpen: Bool { isJSON && count > 0 && !isEnded }

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

  mutating func end(_ members: [JSON.Member], _ lines: [String]) {
    guard isJSON else { return self.lines(lines) }
    isEnded = true
    Terminal.print(count == 0 ? head : "\n  ", terminator: "")
    let rest = members.map { ",\n  \(JSON.string($0.key).compact): \($0.value.compact)" }
    Terminal.print("]\(rest.joined())\n}")
  }
}
