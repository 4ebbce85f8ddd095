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
