/// How a transformed model relates to its source; verification obeys it.
public struct Correspondence: Sendable, Equatable {
  /// What was promised.
  public var contract: Contract
  /// The source's token id for each of the result, `nil` for a token that is new; or `nil` when all
  /// are the same.
  public var tokens: [Int?]?
  /// Values of the source that have another name in the result; a name stands for all that begin with
  /// it and a dot, so `layers.5` → `layers.3` renames a block.
  public var renamed: [String: String]
  /// Values of the source that the result does not have, or not in the same shape; a name stands for
  /// all that begin with it and a dot.
  public var removed: Set<String>
  /// Weights that have other values by design, so that only what is computed with them counts.
  public var rewritten: Set<String>
  /// What a single step says of itself beyond its contract; a chain of steps has none.
  public var claims: [Claim]

  /// What a step did, said so plainly that the judge can do it to the source with means of its own.
  public enum Claim: Sendable, Equatable {
    /// The source computes the same once these heads write nothing, by stored attention.
    case silenced([String: Set<Int>])
    /// The source computes the same once each block has the mean of all that share one in the result.
    case averaged
    /// ‖M − M′‖ / ‖M‖ for every head of a stored attention, M = W̃q·W̃kᵀ with the scale of its scores.
    case approximated([String: [Double]])
    /// Every weight is the source's, rounded to a type; some are not yet, but when they are written.
    case cast(DType, Overflow, later: Set<String>)
    /// New tokens, each with the shares that the source's have in it.
    case mixed([Int: [Int: Double]])
    /// The positions behind the source's are what it decomposes with α; `first` rows come before them.
    case decomposed(alpha: Double, first: Int)
    /// The weights of these names are the source's with noise of a standard deviation.
    case disturbed(Set<String>, Double)
  }

  /// What a transform promises of the outputs.
  public enum Contract: String, Sendable, Comparable {
    /// The same bits in the same operations.
    case exact
    /// The same function, up to floating-point rounding.
    case rounding
    /// Another function; the error is measured and reported.
    case lossy

    public static func < (a: Contract, b: Contract) -> Bool { a.rank < b.rank }

    private var rank: Int {
      switch self {
      case .exact: 0
      case .rounding: 1
      case .lossy: 2
      }
    }
  }

  public init(
    contract: Contract = .exact, tokens: [Int?]? = nil, renamed: [String: String] = [:],
    removed: Set<String> = [], rewritten: Set<String> = [], claims: [Claim] = []
  ) {
    self.contract = contract
    self.tokens = tokens
    self.renamed = renamed
    self.removed = removed
    self.rewritten = rewritten
    self.claims = claims
  }

  /// The relation of this step followed by another.
  public func followed(by next: Correspondence) -> Correspondence {
    var result = Correspondence(contract: max(contract, next.contract))
    switch (tokens, next.tokens) {
    case (let first?, let second?): result.tokens = second.map { $0.flatMap { first[$0] } }
    case (let first, let second): result.tokens = first ?? second
    }
    // Both steps are asked about every name of the source at which one of them does something.
    let later = Set(next.renamed.keys).union(next.removed)
    for value in Set(renamed.keys).union(removed).union(later.flatMap(sources)) {
      if let new = name(of: value).flatMap(next.name) {
        result.renamed[value] = new
      } else {
        result.removed.insert(value)
      }
    }
    result.rewritten = rewritten.union(next.rewritten).union(next.rewritten.flatMap(sources))
    return result
  }

  /// What is called `name` in the result, as the source calls it: more than one where a value that was
  /// removed had the name before.
  private func sources(of name: String) -> [String] {
    let old = renamed.compactMap { old, new in name.replacing(prefix: new, by: old) }
    return old.isEmpty ? [name] : old
  }

  /// The result's token id by the source's, or `nil` when all are the same.
  public var newTokens: [Int: Int]? {
    tokens.map { tokens in
      Dictionary(
        tokens.enumerated().compactMap { number, source in source.map { ($0, number) } }
      ) { first, _ in first }
    }
  }

  /// The result's name of a source's value, or `nil` when it is gone.
  ///
  /// What is said of the longest beginning of the name holds.
  public func name(of value: String) -> String? {
    guard !renamed.isEmpty || !removed.isEmpty else { return value }
    var beginning = value[...]
    while true {
      if removed.contains(String(beginning)) { return nil }
      if let new = renamed[String(beginning)] { return new + value[beginning.endIndex...] }
      guard let dot = beginning.lastIndex(of: ".") else { return value }
      beginning = value[..<dot]
    }
  }

  /// Where a weight of the source is used in the result, by the values' names; `nil` when another's
  /// place has that name, or its own is gone with its block.
  public func place(of weight: String) -> String? {
    if let name = name(of: weight) { return name }
    return renamed.values.contains { weight.replacing(prefix: $0, by: "") != nil } ? nil : weight
  }
}

extension String {
  /// The name with another beginning, or `nil` where it does not begin so.
  fileprivate func replacing(prefix old: String, by new: String) -> String? {
    guard hasPrefix(old) else { return nil }
    let rest = dropFirst(old.count)
    return rest.isEmpty || rest.first == "." ? new + rest : nil
  }
}
