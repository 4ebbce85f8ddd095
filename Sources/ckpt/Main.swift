import ArgumentParser
import Checkpoint
import Glibc
import Infer

/// The command: parses, calls, renders; every error becomes a message and an exit code.
@main
struct Main: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ckpt",
    abstract: "Convert, inspect, transform, run and prove model checkpoints.",
    discussion: """
      MODEL is a weights file, the prefix of a TensorFlow checkpoint, a sharded index, or a folder \
      holding one. Its configuration and vocabulary are found beside it (NAME.config.json, \
      config.json, vocab.txt) or given.

      Exit codes: 0 done · 1 different, or verification failed · 2 the input cannot be read or is \
      unsupported · 64 usage · 70 a bug in ckpt · 74 cannot write · 130 interrupted
      """,
    version: "0.1.0",
    subcommands: [
      Info.self, List.self, Show.self, Diff.self, Report.self, Hash.self, Convert.self, Verify.self,
      Run.self, Sample.self, Tokenize.self, Bench.self, Transforms.self, Formats.self,
      Dialects.self,
      Families.self, LayerList.self,
    ])

  /// Hands on what was printed.
  private static func flush() throws {
    guard fflush(nil) == 0 else {
      throw CheckpointError(
        .cannotWrite, Place(member: "standard output"), "cannot be written to")
    }
  }

  /// A closed standard stream would hand its number to the next file that is opened.
  private static func holdStandardStreams() {
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO]
    where fcntl(descriptor, F_GETFD) == -1 {
      _ = open("/dev/null", O_RDWR)
    }
  }

  /// On a terminal that is narrower than its indents the argument parser would write no help, or stop.
  private static func widenHelp() {
    let least = 40
    let columns = Int(Terminal.environment("COLUMNS")) ?? Terminal.output.columns ?? least
    if columns < least { setenv("COLUMNS", "\(least)", 1) }
  }

  static func main() {
    holdStandardStreams()
    widenHelp()
    Interrupts.watch()
    var json = CommandLine.arguments.contains("--json")
    do {
      var command = try parseAsRoot(Recipe.expanded(Array(CommandLine.arguments.dropFirst())))
      json = (command as? any JSONCommand)?.output.json ?? false
      try command.run()
      try flush()
    } catch {
      guard let failure = Failure(error) else {
        if CommandLine.arguments.contains("--json"), exitCode(for: error) == .validationFailure {
          Failure(usage: message(for: error)).report(json: true)
          fflush(nil)
          _exit(exitCode(for: error).rawValue)
        }
        exit(withError: error)
      }
      failure.report(json: json)
      // Nothing else may run: after a failed write libhdf5's own end of the process crashes.
      fflush(nil)
      _exit(failure.code)
    }
  }
}

/// A command with the common output flags.
protocol JSONCommand {
  var output: OutputFlags { get }
}

/// A library's error as message, JSON and exit code.
struct Failure {
  let code: Int32
  private let kind: String
  private let text: String

  /// `nil` for the argument parser's own errors, which it renders itself.
  init?(_ error: any Error) {
    switch error {
    case let error as CheckpointError:
      code =
        switch error.kind {
        case .cannotRead, .notRecognised, .damaged, .unsupported, .mismatch: 2
        case .usage, .wouldDrop: 64
        case .cannotWrite: 74
        }
      kind = "\(error.kind)"
      text = error.description
    case let error as InferError:
      code = error.kind == .graph ? 70 : 2
      kind = "\(error.kind)"
      text = error.description
    case let error as TextError:
      code = 2
      kind = "input"
      text = "\(error)"
    case is ExitCode, is ValidationError, is CleanExit: return nil
    default:
      guard !String(reflecting: type(of: error)).hasPrefix("ArgumentParser") else { return nil }
      code = 70
      kind = "bug"
      text = "\(error)"
    }
  }

  /// The argument parser's error, as the message that it renders.
  init(usage message: String) {
    code = 64
    kind = "usage"
    text = message
  }

  /// What a document says of it.
  var member: JSON.Member {
    .init("error", .object([.init("kind", .string(kind)), .init("message", .string(text))]))
  }

  func report(json: Bool) {
    if json { print(JSON.object([member]).pretty) }
    Terminal.printError("\(Terminal.error.red("error:")) \(text)")
  }
}

/// Cleans up when the process is told to stop.
enum Interrupts {
  /// Takes SIGINT, SIGTERM and SIGHUP on a thread of their own, where removing files is safe.
  static func watch() {
    // A file that grows beyond a limit is an error of the write, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
    // A file that is cut while its mapped bytes are read; only what is safe in a handler is done.
    signal(SIGBUS) { _ in
      let text: StaticString = "error: a file was cut while it was read\n"
      write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
      _exit(2)
    }
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { _ in
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        var received: Int32 = 0
        sigwait(&signals, &received)
        Interruption.removeTemporaries()
        _exit(130)
      }, nil)
  }
}
