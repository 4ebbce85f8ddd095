import ArgumentParser
import Checkpoint
import Glibc
import Infer

/// Where the texts of a task come from: arguments, a file, or standard input.
struct TaskReading: ParsableArguments {
  @Option(
    help: "Texts from a file, a line each (- for standard input).", completion: .file())
  var textFile: String?
  @Option(
    help: "Pairs of texts from a file: a line each, the two separated by a tab.",
    completion: .file())
  var pairs: String?
  @Flag(
    help: """
      Lines are JSON: a string, or an object with "text" and perhaps "pair" (also "text_pair"; \
      "question" and "context"; "source" and "target").
      """)
  var jsonl = false

  func validate() throws {
    guard textFile == nil || pairs == nil else {
      throw ValidationError("Give either --text-file or --pairs.")
    }
    guard !(jsonl && pairs != nil) else {
      throw ValidationError("--jsonl is for lines of texts, not for --pairs.")
    }
  }

  /// The texts, one after the other.
  ///
  /// - Parameters:
  ///   - arguments: texts that were given as such; they win.
  ///   - isPaired: whether a line or two arguments are a pair.
  func source(_ arguments: [String], isPaired: Bool) throws -> TaskSource {
    let splits = pairs != nil || isPaired
    if !arguments.isEmpty {
      guard textFile == nil, pairs == nil else {
        throw ValidationError("Text comes either from the arguments or from a file.")
      }
      guard isPaired, arguments.count % 2 == 0 else {
        guard !isPaired else {
          throw ValidationError("This task takes texts in pairs; there is an odd number of them.")
        }
        return TaskSource(
          arguments.enumerated().map { TaskInput(number: $0 + 1, text: $1) })
      }
      return TaskSource(
        stride(from: 0, to: arguments.count, by: 2).map {
          TaskInput(number: $0 / 2 + 1, text: arguments[$0], pair: arguments[$0 + 1])
        })
    }
    let path = pairs ?? textFile
    return try TaskSource(
      path.flatMap { $0 == "-" ? nil : $0 }, form: jsonl ? .json : splits ? .pairs : .plain)
  }
}

/// Texts in order, read as they are asked for.
final class TaskSource {
  enum Form {
    case plain
    /// Two texts with a tab between them.
    case pairs
    case json
  }

  /// Whether somebody types the texts, who wants each answered at once.
  let isTyped: Bool
  /// How much there is to read, and has been: texts, or bytes of a file; 0 where nobody knows.
  let total: Int
  private(set) var position = 0
  /// Texts that have been read: the number of the last one's line.
  private(set) var count = 0
  private var given: ArraySlice<TaskInput> = []
  private var lines: Lines?
  private let form: Form

  init(_ inputs: [TaskInput]) {
    given = inputs[...]
    form = .plain
    isTyped = false
    total = inputs.count
  }

  /// - Parameter path: a file; `nil` for standard input.
  init(_ path: String?, form: Form) throws(CheckpointError) {
    self.form = form
    lines = try Lines(path)
    total = lines?.byteCount ?? 0
    isTyped = path == nil && isatty(STDIN_FILENO) == 1
  }

  /// Whether there was no text at all; it is then counted as one that is empty.
  func takesBlank() -> Bool {
    guard count == 0 else { return false }
    count = 1
    return true
  }

  func next() throws -> Result<TaskInput, TaskFailure>? {
    if let first = given.popFirst() {
      position += 1
      count += 1
      return .success(first)
    }
    guard var line = try lines?.next() else { return nil }
    if count == 0 { line = Array(line.withoutByteOrderMark) }
    position = lines?.position ?? 0
    count += 1
    guard let text = String(validating: line, as: UTF8.self) else {
      return .failure(TaskFailure(number: count, reason: "is not UTF-8"))
    }
    switch form {
    case .plain: return .success(TaskInput(number: count, text: text))
    case .pairs:
      let parts = text.split(separator: "\t", omittingEmptySubsequences: false)
      guard parts.count == 2 else {
        return .failure(
          TaskFailure(
            number: count,
            reason: "has \(parts.count - 1) tabs; expected two texts with a tab between them"))
      }
      return .success(
        TaskInput(number: count, text: String(parts[0]), pair: String(parts[1])))
    case .json: return parsed(line)
    }
  }

  /// A line of JSON.
  private func parsed(_ line: [UInt8]) -> Result<TaskInput, TaskFailure> {
    let json: JSON
    do throws(CheckpointError) {
      json = try JSON(parsing: line)
    } catch {
      return .failure(TaskFailure(number: count, reason: "is \(error.reason)"))
    }
    if let text = json.string { return .success(TaskInput(number: count, text: text)) }
    func member(_ names: [String]) -> String? {
      names.lazy.compactMap { json[$0]?.string }.first
    }
    guard let text = member(["text", "question", "source"]) else {
      return .failure(
        TaskFailure(number: count, reason: "is neither a string nor an object with \"text\""))
    }
    let pairs = ["pair", "text_pair", "context", "target"]
    let pair = member(pairs)
    // One that is null is none; anything else would be lost without a word.
    if pair == nil, let odd = pairs.first(where: { json[$0].map { $0 != .null } ?? false }) {
      return .failure(TaskFailure(number: count, reason: "has a \"\(odd)\" that is no string"))
    }
    return .success(TaskInput(number: count, text: text, pair: pair))
  }
}

/// The lines of a file or of standard input as bytes, without their ends (`\n` or `\r\n`).
private final class Lines {
  private let file: UnsafeMutablePointer<FILE>
  private let path: String?
  /// Of a file; 0 for a pipe or a terminal.
  let byteCount: Int
  private(set) var position = 0

  init(_ path: String?) throws(CheckpointError) {
    self.path = path
    // The standard stream itself stays open.
    guard let file = path.map({ fopen($0, "r") }) ?? fdopen(dup(STDIN_FILENO), "r") else {
      throw CheckpointError(
        .cannotRead, path.map { .file($0) } ?? Place(member: "standard input"),
        String(cString: strerror(errno)))
    }
    self.file = file
    var status = stat()
    byteCount =
      fstat(fileno(file), &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      ? Int(status.st_size) : 0
  }

  deinit { fclose(file) }

  func next() throws(CheckpointError) -> [UInt8]? {
    var buffer: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(buffer) }
    let count = getline(&buffer, &capacity, file)
    guard count >= 0, let buffer else {
      guard ferror(file) == 0 else {
        throw CheckpointError(
          .cannotRead, path.map { .file($0) } ?? Place(member: "standard input"),
          String(cString: strerror(errno)))
      }
      return nil
    }
    position += count
    var line = UnsafeRawBufferPointer(start: buffer, count: count)[...]
    if line.last == 0x0a { line = line.dropLast() }
    if line.last == 0x0d { line = line.dropLast() }
    return Array(line)
  }
}
