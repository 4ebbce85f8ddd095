/// Partners by shape and content for tensors that have none.
struct DifferenceGuess {
  var pairs: [CheckpointDifference.Pair] = []
  /// Names of tensors that found a partner.
  var firstNames: Set<String> = []
  var secondNames: Set<String> = []
  /// What a tensor without partner is a copy of.
  var firstCopies: [String: String] = [:]
  var secondCopies: [String: String] = [:]

  init() {}

  init(
    _ first: [Member], _ second: [Member], matched: [MemberPair],
    options: CheckpointDifference.Options, progress: (@Sendable (Int) -> Void)?
  ) throws(CheckpointError) {}
}
