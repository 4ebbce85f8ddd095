import ArgumentParser
import Checkpoint

/// `ckpt diff`: how two checkpoints differ, whatever their formats and names.
struct Diff: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare two checkpoints, tensor by tensor, across formats and names.",
    discussion: """
      Tensors are matched by what they are for where both models are understood, otherwise by name; \
      --guess also finds what is left by shape and content: renamed, transposed, reshaped, cast, put \
      together with others, trained on. A pair passes when |a − b| ≤ atol + rtol · |b|; without a \
      tolerance every value must be equal. Exit code 0 when everything is, 1 when anything differs or is \
      missing.
      """)

  @Argument(help: "The first checkpoint.", completion: .model) var a: String
  @Argument(help: "The second checkpoint.", completion: .model) var b: String
  @Option(help: "Match by meaning or by name.") var by: CheckpointDifference.Matching?
  @Flag(help: "Match by meaning, or fail with the reason: as --by meaning.") var canonical = false
  @Flag(help: "Look for partners of what is left by shape and content.") var guess = false
  @Option(parsing: .upToNextOption, help: "Only tensors with a name that matches: * ? [a-z].")
  var only: [String] = []
  @Option(help: "Absolute difference that passes.") var atol = 0.0
  @Option(help: "Difference relative to the second's value that passes.") var rtol = 0.0
  @Flag(help: "List every tensor, equal ones too.") var all = false
  @Option(help: "Order of tensors: change, name or file.") var sort: Order?
  @Option(help: "Threads.") var threads: Int?
  @OptionGroup var options: ModelOptions
  @OptionGroup var optionsB: SecondModelOptions
  @OptionGroup var output: OutputFlags

  enum Order: String, ExpressibleByArgument, CaseIterable { case change, name, file }

  func validate() throws {
    guard atol >= 0, rtol >= 0 else {
      throw ValidationError("--atol and --rtol must be numbers of at least 0.")
    }
    guard threads.map({ $0 > 0 }) ?? true else {
      throw ValidationError("--threads must be at least 1.")
    }
    guard !(canonical && by == .name) else {
      throw ValidationError("--canonical matches by meaning, not by name.")
    }
  }

  func run() throws {
    let first = try Opening(a, options: options.reading())
    let second = try Opening(b, options: optionsB.reading())
    var how = CheckpointDifference.Options()
    how.matching = canonical ? .meaning : by
    how.guess = guess
    how.tolerance = .init(absolute: atol, relative: rtol)
    how.only = only.map { Glob($0) }
    how.threads = threads
    let bytes = [first, second].reduce(0) { sum, opening in
      opening.checkpoint.tensors.reduce(sum) { $0 + $1.byteCount }
    }
    let progress = Progress("comparing", total: bytes, quiet: output.quiet)
    let difference = try CheckpointDifference(first, second, options: how) { progress.add($0) }
    let report = DiffReport(difference)
    if output.json {
      print(report.json.pretty)
    } else if output.quiet {
      report.printVerdict()
    } else {
      report.print(all: all, sort: sort)
    }
    if !difference.isEqual { throw ExitCode(1) }
  }
}
