import Checkpoint
import Foundation
import TestSupport

/// The built command, run as a user runs it.
enum Command {
  struct Result {
    var code: Int32
    var output: String
    var errors: String

    /// The output as JSON.
    var json: JSON? { try? JSON(parsing: Array(output.utf8)) }
  }

  static let fixtures = Fixtures.folder

  /// Beside the test bundle, where the package manager builds both.
  static let path = Paths.join(Paths.folder(of: CommandLine.arguments[0]), "ckpt")

  static func run(_ arguments: String..., input: String = "") throws -> Result {
    try run(path, arguments, input: input)
  }

  /// `convert --json` of a path, with a step for each text, to `out` in a folder that goes again.
  static func convert(
    _ source: String, steps: [String] = [], _ options: [String] = []
  ) throws -> Result {
    let folder = try TemporaryFolder()
    return try convert(source, to: folder.file("out"), steps: steps, options)
  }

  static func convert(
    _ source: String, to target: String, steps: [String] = [], _ options: [String] = []
  ) throws -> Result {
    try run(
      path,
      ["convert", source, target, "--json"] + steps.flatMap { ["--apply", $0] } + options)
  }

  /// What it prints on a terminal of its own, of that size; both streams are the output.
  static func onTerminal(
    _ arguments: [String], columns: Int = 80, rows: Int = 24, environment: [String: String] = [:]
  ) throws -> Result {
    var (master, slave) = (Int32(-1), Int32(-1))
    var size = winsize()
    (size.ws_col, size.ws_row) = (UInt16(columns), UInt16(rows))
    guard openpty(&master, &slave, nil, nil, &size) == 0 else {
      throw CheckpointError(.cannotRead, Place(member: "terminal"), "cannot be made")
    }
    let (ours, theirs) = (
      FileHandle(fileDescriptor: master, closeOnDealloc: true),
      FileHandle(fileDescriptor: slave, closeOnDealloc: false)
    )
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment
      .filter { !["NO_COLOR", "COLORTERM"].contains($0.key) }
      .merging(["TERM": "xterm-256color"]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = theirs
    process.standardError = theirs
    try process.run()
    close(slave)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    // A terminal that nobody writes to any more gives an error instead of an end.
    while case let count = read(ours.fileDescriptor, &buffer, buffer.count), count > 0 {
      bytes += buffer[..<count]
    }
    process.waitUntilExit()
    return Result(
      code: process.terminationStatus, output: String(decoding: bytes, as: UTF8.self), errors: "")
  }

  static func run(_ program: String, _ arguments: [String], input: String = "") throws -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let folder = try TemporaryFolder()
    let files = ["in", "out", "err"].map(folder.file)
    try Data(input.utf8).write(to: URL(fileURLWithPath: files[0]))
    for file in files.dropFirst() {
      _ = FileManager.default.createFile(atPath: file, contents: nil)
    }
    process.standardInput = FileHandle(forReadingAtPath: files[0])
    process.standardOutput = FileHandle(forWritingAtPath: files[1])
    process.standardError = FileHandle(forWritingAtPath: files[2])
    try process.run()
    process.waitUntilExit()
    let text = try files.dropFirst().map { try String(contentsOfFile: $0, encoding: .utf8) }
    let code = process.terminationStatus
    return Result(
      code: process.terminationReason == .exit ? code : 128 + code, output: text[0], errors: text[1]
    )
  }
}
