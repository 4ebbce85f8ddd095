/// Releases of bert4keras, as far as they compute differently with the same weights.
///
/// A file does not say which release wrote it. Names narrow it down; what remains is the default
/// epsilon of LayerNorm, which changed twice. Source: docs/bert4keras-versions.md.
struct Bert4kerasVersion: Comparable, CustomStringConvertible {
  let numbers: [Int]

  init(_ numbers: Int...) { self.numbers = numbers }

  /// `0.11.3`.
  init?(_ text: String) {
    let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
    let known = numbers.compactMap(\.self)
    guard (1...3).contains(numbers.count), known.count == numbers.count,
      known.allSatisfy({ $0 >= 0 })
    else { return nil }
    self.numbers = known + [Int](repeating: 0, count: 3 - known.count)
  }

  var description: String { numbers.map(String.init).joined(separator: ".") }

  static func < (a: Bert4kerasVersion, b: Bert4kerasVersion) -> Bool {
    a.numbers.lexicographicallyPrecedes(b.numbers)
  }

  static let newest = Bert4kerasVersion(0, 11, 5)
  /// The name for `--set`.
  static let setting = "bert4keras_version"

  // MARK: Epsilons

  /// The default epsilon of LayerNorm.
  var defaultEpsilon: Double {
    if self < Bert4kerasVersion(0, 6, 0) { return 1e-14 }
    return self < Bert4kerasVersion(0, 11, 4) ? 1e-12 : 1e-7
  }

  /// The epsilons of the embeddings' norm, the blocks', and the MLM head's.
  ///
  /// BERT states 1e-12 since the default is another; so do the embeddings and the head of those that
  /// inherit from it.
  func epsilons(_ family: String, isShared: Bool) -> [Double] {
    let own = min(defaultEpsilon, 1e-12)
    switch family {
    case "gpt2", "gpt2_ml": return [1e-5, 1e-5, 1e-5]
    case "t5", "mt5": return [1e-6, 1e-6, 1e-6]
    case "nezha", "roformer", "roformer_v2", "gau_alpha":
      return [defaultEpsilon, defaultEpsilon, own]
    default: return [own, isShared ? defaultEpsilon : own, own]
    }
  }

  /// One release of each time in which epsilons were the same, the oldest first.
  private static let times = [
    Bert4kerasVersion(0, 5, 9), Bert4kerasVersion(0, 11, 3), newest,
  ]

  // MARK: What names tell

  /// The releases that may have written a file: the first, the one before which it was, and why.
  struct Window {
    var from: Bert4kerasVersion?
    var before: Bert4kerasVersion?
    private var fromReason = ""
    private var beforeReason = ""

    init(_ family: String, _ binding: Binding, _ layers: [Group]) {
      func source(_ canonical: String, _ part: String) -> Bool {
        binding.weights.contains { $0.name == canonical && $0.tensor.name.contains(part) }
      }
      func layer(_ name: String) -> Bool { layers.contains { $0.name == name } }
      if source("embeddings.factor.kernel", "") { note(before: (0, 2, 4), "project_kernel") }
      if layer("Encoder-1-FeedForward") { note(before: (0, 5, 2), "Encoder-1") }
      if layer("Transformer-0-FeedForward") { note(from: (0, 5, 2), "Transformer-0") }
      if layer("Transformer-1-FeedForward"), !layer("Transformer-0-FeedForward") {
        note(from: (0, 5, 2), "Transformer-1")
        note(before: (0, 5, 7), "Transformer-1")
      }
      if layer("Transformer-FeedForward") { note(from: (0, 5, 8), "Transformer-FeedForward") }
      switch Window.order(layers) {
      case ["gamma", "beta"]: note(before: (0, 5, 7), "gamma before beta")
      case ["beta", "gamma"]: note(from: (0, 5, 7), "beta before gamma")
      default: break
      }
      if source("embeddings.relative_position", "relative_embeddings") {
        note(before: (0, 5, 9), "relative_embeddings")
      }
      if source("mlm.bias", "MLM-Proba") { note(before: (0, 7, 3), "MLM-Proba/bias") }
      if source("mlm.bias", "MLM-Bias"), source("mlm.bias", "/bias") {
        note(from: (0, 7, 3), "MLM-Bias/bias")
        note(before: (0, 11, 0), "MLM-Bias/bias")
      }
      if source("mlm.bias", "MLM-Bias"), source("mlm.bias", "/beta") {
        note(from: (0, 11, 0), "MLM-Bias/beta")
      }
      if ["roformer_v2", "gau_alpha"].contains(family) { note(from: (0, 11, 0), family) }
    }

    private mutating func note(from version: (Int, Int, Int), _ reason: String) {
      let version = Bert4kerasVersion(version.0, version.1, version.2)
      if let from, from >= version { return }
      (from, fromReason) = (version, reason)
    }

    private mutating func note(before version: (Int, Int, Int), _ reason: String) {
      let version = Bert4kerasVersion(version.0, version.1, version.2)
      if let before, before <= version { return }
      (before, beforeReason) = (version, reason)
    }

    /// The order of a plain norm's weights, where the file keeps it.
    private static func order(_ layers: [Group]) -> [String] {
      let norm = layers.first { $0.name.hasSuffix("-Norm") && $0.tensors.count == 2 }
      return norm?.tensors.map { LayerTable.leaf($0) } ?? []
    }

    func contains(_ version: Bert4kerasVersion) -> Bool {
      (from.map { $0 <= version } ?? true) && (before.map { version < $0 } ?? true)
    }

    var description: String {
      switch (from, before) {
      case (let from?, let before?) where fromReason == beforeReason:
        "from \(from) to before \(before) (\(fromReason))"
      case (let from?, let before?):
        "from \(from) to before \(before) (\(fromReason), \(beforeReason))"
      case (let from?, nil): "\(from) or later (\(fromReason))"
      case (nil, let before?): "before \(before) (\(beforeReason))"
      case (nil, nil): "of any version"
      }
    }

    /// A release of each time in which one may have written the file.
    var candidates: [Bert4kerasVersion] {
      var begin = Bert4kerasVersion(0, 0, 0)
      var found: [Bert4kerasVersion] = []
      for last in Bert4kerasVersion.times {
        // The time is from `begin` to `last`.
        if from.map({ $0 <= last }) ?? true, before.map({ begin < $0 }) ?? true {
          found.append(last)
        }
        begin = last
      }
      return found
    }
  }

  /// The release that is assumed, and a remark where another would compute something else.
  static func assumed(
    _ family: String, isShared: Bool, _ window: Window, said: String?
  ) throws(CheckpointError) -> (version: Bert4kerasVersion, remark: String?) {
    if let said {
      guard let version = Bert4kerasVersion(said) else {
        throw CheckpointError(
          .usage, Place(member: "--set \(setting)=\(said)"), "is no version such as 0.11.3")
      }
      let remark =
        "names show a file written by bert4keras \(window.description), not by \(version)"
      return (version, window.contains(version) ? nil : remark)
    }
    let candidates = window.candidates
    let last = candidates.last ?? newest
    let epsilons = last.epsilons(family, isShared: isShared)
    // What is at most 1e-12 makes no difference in float32.
    let other = candidates.last { candidate in
      zip(candidate.epsilons(family, isShared: isShared), epsilons)
        .contains { $0 != $1 && max($0, $1) > 1e-12 }
    }
    guard let other else { return (last, nil) }
    return (
      last,
      "written by bert4keras \(window.description); epsilons of 0.11.4 and later are assumed: "
        + "--set \(setting)=\(other) for older"
    )
  }
}
