import ArgumentParser
import Checkpoint

/// `ckpt hash`: what identifies the content, whatever the format.
struct Hash: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the content hash: equal for equally named, equal tensors in any format.",
    discussion: """
      A tensor's digest is SHA-256 over its elements, little-endian and in C order. The hash of the \
      whole is SHA-256 over the lines "name NUL dtype NUL shape NUL digest", sorted by name. \
      A name that cannot be shown is spelled as in JSON, on a line that begins with a backslash.

      With --check, what was printed before (best with --per-tensor) is compared with the checkpoint: \
      exit code 0 when all of it holds, 1 when something has changed, 2 when the manifest is none.
      """)

  @Argument(help: "The checkpoint.", completion: .model) var model: String
  @Flag(help: "Print every tensor's digest too, in the file's order.") var perTensor = false
  @Option(
    help: ArgumentHelp(
      "Compare with the hashes in this file, which ckpt hash has printed, with or without --json.",
      valueName: "manifest"),
    completion: .file())
  var check: String?
  @Option(help: "Read as this format (ckpt formats).", completion: .formats)
  var format: String?
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard check == nil || !perTensor else {
      throw ValidationError("--check compares what --per-tensor has printed; give one of them.")
    }
  }

  func run() throws {
    // Before anything long is done.
    let manifest = try check.map { path in try HashManifest(contentsOf: path) }
    var reading = ModelReader.Options()
    reading.format = format
    let checkpoint = try Opening(model, options: reading).checkpoint
    let progress = Progress("hashing", total: checkpoint.byteCount, quiet: output.quiet)
    let content = try ContentHash(checkpoint) { progress.add($0) }
    let check = manifest.map { HashCheckReport($0, content) }
    if let check {
      if output.json { print(check.json.pretty) } else { check.print(quiet: output.quiet) }
    } else if output.json {
      print(json(content).pretty)
    } else {
      render(content)
    }
    for entry in checkpoint.unreadable where !output.json {
      Terminal.printError("warning: \(entry.name) is left out: \(entry.reason)")
    }
    if let check, !check.isEqual { throw ExitCode(1) }
  }

  private func render(_ content: ContentHash) {
    if perTensor {
      for tensor in content.tensors {
        let name = Self.spelled(tensor.name)
        let mark = name == tensor.name ? "" : "\\"
        print("\(mark)\(tensor.sha256)  \(name)  \(tensor.dtype.rawValue) \(tensor.shape)")
      }
    }
    print("\(content.hash)  \(model)")
  }

  /// A name as it is, or as in a JSON string where it cannot be shown; its line begins with a backslash
  /// then, as those of sha256sum do.
  private static func spelled(_ name: String) -> String {
    guard Text.printable(name) != name else { return name }
    return Text.printable(String(JSON.string(name).compact.dropFirst().dropLast()))
  }

  private func json(_ content: ContentHash) -> JSON {
    var json = JSON.object([.init("hash", .string(content.hash))])
    guard perTensor else { return json }
    json.set("tensors", .array(content.tensors.map(HashCheckReport.json)))
    return json
  }
}

/// What `hash --check` tells, as text and as JSON.
struct HashCheckReport {
  private let manifest: HashManifest
  private let content: ContentHash
  private let comparison: HashComparison

  init(_ manifest: HashManifest, _ content: ContentHash) {
    self.manifest = manifest
    self.content = content
    comparison = HashComparison(manifest, content)
  }

  var isEqual: Bool { comparison.isEqual }

  func print(quiet: Bool) {
    let terminal = Terminal.output
    for change in comparison.changed {
      Terminal.print(
        "\(terminal.yellow("changed")) \(change.found.name)\(HashCheckReport.form(change))")
    }
    for change in comparison.renamed {
      Terminal.print("\(terminal.yellow("renamed")) \(change.expected.name) → \(change.found.name)")
    }
    for entry in comparison.missing {
      Terminal.print("\(terminal.yellow("missing")) \(entry.name)")
    }
    for entry in comparison.new { Terminal.print("\(terminal.yellow("new")) \(entry.name)") }
    let count = Text.plural(content.tensors.count, "tensor")
    if comparison.isEqual {
      if !quiet { Terminal.print("\(terminal.green("ok")) \(content.hash) (\(count))") }
    } else if manifest.tensors == nil {
      Terminal.print("\(terminal.red("different")): the hash is \(content.hash)")
      Terminal.print("the manifest says \(manifest.hash ?? "")")
      Terminal.print("a manifest of --per-tensor tells which tensors differ")
    } else {
      let counts = [
        (comparison.changed.count, "changed"), (comparison.renamed.count, "renamed"),
        (comparison.missing.count, "missing"), (comparison.new.count, "new"),
      ].filter { $0.0 > 0 }.map { "\(Text.grouped($0.0)) \($0.1)" }
      Terminal.print("\(terminal.red("different")): \(counts.joined(separator: ", ")) of \(count)")
    }
  }

  /// What beside the content differs.
  private static func form(_ change: HashComparison.Change) -> String {
    let (before, after) = (change.expected, change.found)
    guard before.dtype != after.dtype || before.shape != after.shape else { return "" }
    return ": \(before.dtype.rawValue) \(before.shape) → \(after.dtype.rawValue) \(after.shape)"
  }

  var json: JSON {
    .object([
      .init("equal", .bool(comparison.isEqual)),
      .init("hash", .string(content.hash)),
      .init("expected_hash", manifest.hash.map { .string($0) } ?? .null),
      .init("changed", .array(comparison.changed.map(HashCheckReport.json))),
      .init("renamed", .array(comparison.renamed.map(HashCheckReport.json))),
      .init("missing", .array(comparison.missing.map(HashCheckReport.json))),
      .init("new", .array(comparison.new.map(HashCheckReport.json))),
    ])
  }

  private static func json(_ change: HashComparison.Change) -> JSON {
    .object([.init("expected", json(change.expected)), .init("found", json(change.found))])
  }

  static func json(_ entry: ContentHash.Entry) -> JSON {
    .object([
      .init("name", .string(entry.name)), .init("dtype", .string(entry.dtype.rawValue)),
      .init("shape", .array(entry.shape.extents.map { .number($0) })),
      .init("sha256", .string(entry.sha256)),
    ])
  }
}
