/// Hashes that a checkpoint once had, as `ckpt hash` prints them, to be compared with what it has now.
public struct HashManifest: Sendable {
  /// Of the whole, where it is stated.
  public private(set) var hash: String?
  /// Of each tensor, where they are stated.
  public private(set) var tensors: [ContentHash.Entry]?

  /// Bytes that a manifest may have; one of a million tensors has some 200 MB.
  public static let largest = 256 << 20

  private static let hint =
    "a manifest is what `ckpt hash --per-tensor` prints, with or without --json, or {\"hash\": …}"

  /// The manifest in a file.
  ///
  /// - Throws: ``CheckpointError`` when it cannot be read, is none, or contradicts itself.
  public init(contentsOf path: String) throws(CheckpointError) {
    let bytes = try File.contents(of: path, limit: HashManifest.largest)
    do throws(CheckpointError) {
      try self.init(parsing: bytes)
    } catch {
      throw error.at(.file(path))
    }
  }

  /// JSON, or lines `digest  name  dtype (shape)` and `digest  path`.
  public init(parsing bytes: [UInt8]) throws(CheckpointError) {
    if bytes.first(where: { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }) == UInt8(ascii: "{") {
      try readJSON(bytes)
    } else {
      try readLines(bytes)
    }
    guard hash != nil || tensors != nil else { throw HashManifest.bad("it states no hash") }
    guard let tensors else { return }
    var names: Set<String> = []
    for entry in tensors where !names.insert(entry.name).inserted {
      throw HashManifest.bad("tensor \(entry.name) stands twice")
    }
    if let hash, hash != ContentHash.whole(tensors) {
      throw HashManifest.bad("its hash of the whole is not that of its tensors")
    }
  }

  private mutating func readJSON(_ bytes: [UInt8]) throws(CheckpointError) {
    let json = try JSON(parsing: bytes)
    if let value = json["hash"] {
      guard let digest = value.string.flatMap(HashManifest.digest) else {
        throw HashManifest.bad("\"hash\" is no SHA-256 in hexadecimal digits")
      }
      hash = digest
    }
    guard let list = json["tensors"] else { return }
    guard let array = list.array else { throw HashManifest.bad("\"tensors\" is no list") }
    tensors = try array.enumerated().map { (index, json) throws(CheckpointError) in
      guard let name = json["name"]?.string,
        let dtype = json["dtype"]?.string.flatMap(DType.init(rawValue:)),
        let extents = json["shape"]?.array,
        let digest = json["sha256"]?.string.flatMap(HashManifest.digest)
      else {
        throw HashManifest.bad(
          "entry \(index) of \"tensors\" lacks a name, dtype, shape or sha256")
      }
      let numbers = extents.compactMap(\.int)
      guard numbers.count == extents.count else {
        throw HashManifest.bad("the shape of entry \(index) of \"tensors\" holds no numbers")
      }
      return ContentHash.Entry(
        name: name, dtype: dtype, shape: try Shape(checking: numbers), sha256: digest)
    }
  }

  private mutating func readLines(_ bytes: [UInt8]) throws(CheckpointError) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw HashManifest.bad("it is not UTF-8")
    }
    var entries: [ContentHash.Entry] = []
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    where !line.isEmpty {
      let line = line.hasSuffix("\r") ? line.dropLast() : line
      let rest = line.dropFirst(64)
      guard let digest = HashManifest.digest(String(line.prefix(64))), rest.hasPrefix("  ") else {
        throw HashManifest.bad("line \(number + 1) is not \"digest  name  dtype (shape)\"")
      }
      if let entry = HashManifest.entry(String(rest.dropFirst(2)), digest) {
        entries.append(entry)
      } else {
        guard hash == nil else {
          throw HashManifest.bad(
            "line \(number + 1) is not \"digest  name  dtype (shape)\", and the whole's hash is stated"
          )
        }
        hash = digest
      }
    }
    if !entries.isEmpty { tensors = entries }
  }

  /// `name  f32 (97, 48)`; `nil` of a path.
  private static func entry(_ text: String, _ digest: String) -> ContentHash.Entry? {
    guard text.hasSuffix(")"), let open = text.lastIndex(of: "(") else { return nil }
    let extents = text[text.index(after: open)...].dropLast()
      .split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    let numbers = extents.compactMap { Int($0) }
    let before = text[..<open]
    guard numbers.count == extents.count, let shape = try? Shape(checking: numbers),
      before.hasSuffix(" ")
    else { return nil }
    let words = before.dropLast()
    guard let space = words.lastIndex(of: " "), space > words.startIndex,
      words[words.index(before: space)] == " ",
      let dtype = DType(rawValue: String(words[words.index(after: space)...]))
    else { return nil }
    return ContentHash.Entry(
      name: String(words[..<words.index(before: space)]), dtype: dtype, shape: shape,
      sha256: digest)
  }

  private static func digest(_ text: String) -> String? {
    let lower = text.lowercased()
    return lower.utf8.count == 64 && Hex.decode(lower) != nil ? lower : nil
  }

  private static func bad(_ reason: String) -> CheckpointError {
    CheckpointError(.damaged, Place(), "is no manifest of hashes: \(reason)", hint: hint)
  }
}

/// How a checkpoint differs from a manifest.
public struct HashComparison: Sendable, Equatable {
  public struct Change: Sendable, Equatable {
    public var expected: ContentHash.Entry
    public var found: ContentHash.Entry
  }

  /// Whether all that the manifest states holds.
  public private(set) var isEqual: Bool
  /// Tensors of the same name with another content, type or shape.
  public private(set) var changed: [Change] = []
  /// The same content, type and shape under another name.
  public private(set) var renamed: [Change] = []
  /// Tensors of the manifest that are gone.
  public private(set) var missing: [ContentHash.Entry] = []
  /// Tensors that the manifest does not have.
  public private(set) var new: [ContentHash.Entry] = []

  public init(_ manifest: HashManifest, _ content: ContentHash) {
    isEqual = manifest.hash.map { $0 == content.hash } ?? true
    guard let expected = manifest.tensors else { return }
    let found = Dictionary(content.tensors.map { ($0.name, $0) }) { first, _ in first }
    let known = Set(expected.map(\.name))
    for entry in expected {
      guard let now = found[entry.name] else {
        missing.append(entry)
        continue
      }
      if now != entry { changed.append(Change(expected: entry, found: now)) }
    }
    new = content.tensors.filter { !known.contains($0.name) }
    var gone: [ContentHash.Entry] = []
    for entry in missing {
      let place = new.firstIndex {
        $0.sha256 == entry.sha256 && $0.dtype == entry.dtype && $0.shape == entry.shape
      }
      if let place {
        renamed.append(Change(expected: entry, found: new.remove(at: place)))
      } else {
        gone.append(entry)
      }
    }
    missing = gone
    isEqual =
      isEqual && changed.isEmpty && renamed.isEmpty && missing.isEmpty && new.isEmpty
  }
}
