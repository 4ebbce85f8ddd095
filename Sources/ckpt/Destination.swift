import Checkpoint

extension Conversion {
  /// Where the result goes: one file with its side files beside it, or a folder.
  struct Destination {
    let format: any Format
    let isFolder: Bool
    /// The folder that the files are in.
    let folder: String
    let weights: String
    let configuration: String
    let vocabulary: String

    /// Weights of other formats that stay in the folder under names that are looked for.
    var others: [String] {
      guard isFolder else { return [] }
      let names = FormatRegistry.all.filter { $0.name != format.name }.flatMap(\.customaryNames)
      return names.filter { Paths.isFile(Paths.join(folder, $0)) }
    }

    init(_ request: Request, _ dialect: (any Dialect)?, _ opening: Opening) throws {
      guard !request.target.isEmpty, !request.target.unicodeScalars.contains("\u{fffd}") else {
        throw CheckpointError(
          .usage, Place(member: "path \"\(request.target)\""),
          request.target.isEmpty ? "is empty" : "is not UTF-8")
      }
      let suffixed = FormatRegistry.suffixed(request.target)
      let chosen: any Format
      if let name = request.format {
        chosen = try FormatRegistry.named(name)
      } else if let suffixed {
        chosen = suffixed
      } else if let dialect, request.dialect != nil {
        chosen = try FormatRegistry.named(dialect.format)
      } else {
        chosen = try FormatRegistry.named(opening.checkpoint.format)
      }
      guard chosen.writes else { throw chosen.isReadOnly }
      format = chosen
      // A known suffix makes OUT a file; so does one that --format is told to write to.
      isFolder =
        suffixed == nil && (request.format == nil || Paths.suffix(of: request.target).isEmpty)
      if isFolder {
        folder = request.target
        let name: String
        if let dialect, dialect.format == chosen.name {
          name = dialect.fileName
        } else {
          name = chosen.folderName
        }
        weights = Paths.join(folder, name)
        configuration = Paths.join(folder, dialect?.configurationName ?? "config.json")
        vocabulary = Paths.join(folder, "vocab.txt")
      } else {
        folder = Paths.folder(of: request.target)
        weights = request.target
        let suffix = chosen.suffixes.first { request.target.lowercased().hasSuffix("." + $0) }
        let stem =
          suffix.map { String(request.target.dropLast($0.count + 1)) }
          ?? Paths.join(folder, Paths.stem(of: request.target))
        configuration = stem + ".config.json"
        vocabulary = stem + ".vocab.txt"
      }
    }
  }
}
