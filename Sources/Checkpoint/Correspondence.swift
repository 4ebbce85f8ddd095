/// How a transformed model relates to its source; verification obeys it.
public struct Correspondence: Sendable, Equatable {
  /// What was promised.
  public var contract: Contract
  /// The source's token id for each of the result, `nil` for a token that is new; or `nil` when all
  /// are the same.
  public var tokens: [Int?]?
  /// Values of the source that have another name in the result.
  public var renamed: [String: String]
  /// Values of the source that the result does not have.
  public var removed: Set<String>
  /// Weights that have other values by design, so that only what is computed with them counts.
  public var rewritten: Set<String>

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
    removed: Set<String> = [], rewritten: Set<String> = []
  ) {
    self.contract = contract
    self.tokens = tokens
    self.renamed = renamed
    self.removed = removed
    self.rewritten = rewritten
  }

  /// The relation of this step followed by another.
  public func followed(by next: Correspondence) -> Correspondence {
    var result = Correspondence(contract: max(contract, next.contract))
    switch (tokens, next.tokens) {
    case (let first?, let second?): result.tokens = second.map { $0.flatMap { first[$0] } }
    case (let first, let second): result.tokens = first ?? second
    }
    result.renamed = next.renamed
    for (old, new) in renamed { result.renamed[old] = next.renamed[new] ?? new }
    for new in renamed.values where !renamed.keys.contains(new) { result.renamed[new] = nil }
    result.removed = removed.union(
      next.removed.map { gone in renamed.first { $0.value == gone }?.key ?? gone })
    result.rewritten = rewritten.union(next.rewritten)
    return result
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
  public func name(of value: String) -> String? {
    removed.contains(value) ? nil : renamed[value] ?? value
  }
}
