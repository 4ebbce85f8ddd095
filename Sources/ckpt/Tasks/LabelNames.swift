import ArgumentParser
import Checkpoint

/// What labels are called: `--labels`, or what the configuration says.
struct LabelNames: ParsableArguments {
  @Option(
    help: """
      Names of labels in order: a comma between them, or @FILE with a line each (default: the \
      configuration's id2label).
      """)
  var labels: String?

  /// The names of `count` labels.
  ///
  /// - Parameter configuration: the model's.
  /// - Returns: `--labels`, else the configuration's `id2label`, else `LABEL_0`, `LABEL_1`, … as
  ///   transformers calls them.
  /// - Throws: `CheckpointError` when the file cannot be read, or there is another number of names.
  func names(_ count: Int, _ configuration: JSON?) throws(CheckpointError) -> [String] {
    if let given = try given {
      guard given.count == count else {
        throw CheckpointError(
          .usage, Place(member: "--labels"),
          "has \(Text.plural(given.count, "name")); the model has \(Text.plural(count, "label"))")
      }
      return given
    }
    return LabelNames.configured(count, configuration)
      ?? (0..<count).map { "LABEL_\($0)" }
  }

  /// The names that were given, if any.
  ///
  /// - Throws: `CheckpointError` when the file cannot be read.
  var given: [String]? {
    get throws(CheckpointError) {
      guard let labels else { return nil }
      guard labels.hasPrefix("@") else {
        return labels.split(separator: ",", omittingEmptySubsequences: false).map { part in
          String(part.trimmed)
        }
      }
      let path = String(labels.dropFirst())
      let bytes = try File.contents(of: path)
      guard let text = String(validating: bytes.withoutByteOrderMark, as: UTF8.self) else {
        throw CheckpointError(.damaged, .file(path), "is not UTF-8")
      }
      // A line may end as on Windows: `\r\n` is one character.
      var lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        .map { String($0.trimmed) }
      while lines.last == "" { lines.removeLast() }
      return lines
    }
  }

  /// `id2label` of a configuration, where it names exactly so many labels.
  private static func configured(_ count: Int, _ configuration: JSON?) -> [String]? {
    guard let names = configuration?["id2label"], names.members?.count == count else { return nil }
    let found = (0..<count).compactMap { names["\($0)"]?.string }
    return found.count == count ? found : nil
  }
}

extension Substring {
  /// Without blanks at both ends.
  fileprivate var trimmed: Substring {
    let start = drop { $0.isWhitespace }
    guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return start[...last]
  }
}

extension [UInt8] {
  /// Without the mark that some editors put before UTF-8.
  var withoutByteOrderMark: ArraySlice<UInt8> {
    starts(with: [0xef, 0xbb, 0xbf]) ? dropFirst(3) : self[...]
  }
}
