import Checkpoint
import Transforms

/// A conversion's flags in a YAML file, by the same words.
///
/// ```yaml
/// to: bert4keras
/// apply:
///   - untie
///   - widen-key-size: 128
///   - prune-heads: {value: auto, keep: 8}
/// allow-drop: [pooler.*]
/// ```
///
/// Its words stand before those of the command line, so that the latter win, and further steps follow
/// the recipe's chain. Paths in it are seen from its own folder.
struct Recipe {
  /// The words, as the command line would have them.
  let arguments: [String]

  private static let values = [
    "to", "to-family", "format", "from-format", "dialect", "from-dialect", "family", "dtype",
    "max-shard-size", "compress", "atol", "rtol",
  ]
  private static let paths = ["config", "vocab"]
  private static let flags = ["no-verify", "overwrite", "durable", "dry-run"]

  init(contentsOf path: String) throws(CheckpointError) {
    let folder = Paths.folder(of: path)
    do throws(CheckpointError) {
      let document = try YAML.parse(try File.contents(of: path, limit: 1 << 20))
      guard let members = document.members else {
        throw CheckpointError(
          .usage, Place(), "a recipe is a mapping of flags",
          hint: "apply: [untie, widen-key-size: 128]")
      }
      var arguments: [String] = []
      for member in members { arguments += try Recipe.words(member, folder) }
      self.arguments = arguments
    } catch {
      throw error.at(.file(path))
    }
  }

  /// The command line's words with those of each recipe that it names in front.
  static func expanded(_ words: [String]) throws(CheckpointError) -> [String] {
    guard words.first == "convert" else { return words }
    var recipes: [String] = []
    for (index, word) in words.enumerated() {
      if word == "--" { break }
      if word == "--recipe", index + 1 < words.count { recipes.append(words[index + 1]) }
      if word.hasPrefix("--recipe=") { recipes.append(String(word.dropFirst("--recipe=".count))) }
    }
    var result = ["convert"]
    for path in recipes { result += try Recipe(contentsOf: path).arguments }
    return result + words.dropFirst()
  }

  private static func words(
    _ member: JSON.Member, _ folder: String
  ) throws(CheckpointError) -> [String] {
    let key = member.key
    switch key {
    case "apply":
      return try list(member.value).map { (step) throws(CheckpointError) in
        "--apply=\(try self.step(step, folder))"
      }
    case "allow-drop":
      return try list(member.value).map { (glob) throws(CheckpointError) in
        "--allow-drop=\(try text(glob, key))"
      }
    case "set":
      guard let members = member.value.members else {
        return try list(member.value).map { (pair) throws(CheckpointError) in
          "--set=\(try text(pair, key))"
        }
      }
      return try members.map { (pair) throws(CheckpointError) in
        "--set=\(pair.key)=\(try text(pair.value, key))"
      }
    case _ where values.contains(key):
      return ["--\(key)=\(try text(member.value, key))"]
    case _ where paths.contains(key):
      return ["--\(key)=\(seen(try text(member.value, key), folder))"]
    case _ where flags.contains(key):
      guard let isOn = member.value.bool else {
        throw CheckpointError(.usage, Place(member: key), "is true or false")
      }
      return isOn ? ["--\(key)"] : []
    default:
      let known = ["apply", "allow-drop", "set"] + values + paths + flags
      throw CheckpointError(
        .usage, Place(member: key), "is no flag that a recipe takes",
        hint: "it takes \(known.joined(separator: ", "))")
    }
  }

  /// `untie`, `widen-key-size=128`, `{widen-key-size: 128}` or `{widen-key-size: {value: 128, …}}`, as
  /// the flag is written.
  private static func step(_ value: JSON, _ folder: String) throws(CheckpointError) -> String {
    guard let members = value.members else {
      let text = try text(value, "apply")
      let name = String(text.prefix { $0 != "=" })
      guard case .file = try TransformRegistry.named(name).value, text != name else { return text }
      return "\(name)=\(seen(String(text.dropFirst(name.count + 1)), folder))"
    }
    guard members.count == 1, let step = members.first else {
      throw CheckpointError(
        .usage, Place(member: "apply"), "each step is one name, not \(members.count)",
        hint: "begin each step with \"- \"")
    }
    let options = step.value.members ?? [.init("value", step.value)]
    var words = step.key
    if let value = options.first(where: { $0.key == "value" })?.value, value != .null {
      var text = try text(value, step.key)
      if case .file = try TransformRegistry.named(step.key).value { text = seen(text, folder) }
      words += "=\(text)"
    }
    for option in options where option.key != "value" {
      words += ":\(option.key)=\(try text(option.value, step.key))"
    }
    return words
  }

  private static func seen(_ path: String, _ folder: String) -> String {
    path.hasPrefix("/") ? path : Paths.join(folder, path)
  }

  private static func list(_ value: JSON) -> [JSON] {
    value == .null ? [] : value.array ?? [value]
  }

  /// A scalar as it is written, or several with commas between.
  private static func text(_ value: JSON, _ key: String) throws(CheckpointError) -> String {
    switch value {
    case .string(let text), .literal(let text): return text
    case .bool(let value): return "\(value)"
    case .array(let values):
      return try values.map { (value) throws(CheckpointError) in try text(value, key) }
        .joined(separator: ",")
    case .null, .object:
      throw CheckpointError(.usage, Place(member: key), "needs a value")
    }
  }
}
