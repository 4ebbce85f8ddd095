// A linear chain of labels by energies, of which less is better, as keras_contrib's CRF computes it
// (`keras_contrib/layers/crf.py`): where it departs from the textbook, so do these.

/// The labels of the path with the least energy:
/// `(energies [batch, length, labels], chain [labels, labels] from → to, mask [batch, length]?)
/// → [batch, length]`.
///
/// With a mask, energies of masked positions and of their neighbours count as 0. Without one the last
/// position is followed by another, whose label is first 0 and then the one that is best before 0.
/// Of equal energies the smaller label counts.
public struct ChainPath: Op {
  public init() {}
  public var name: String { "chain_path" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try chain(operands).dropLast()
  }
}

/// What the positions before each one say about it:
/// `result[t, j] = log Σᵢ exp(result[t − 1, i] − energy[t, i] · m[t] − chain[i, j] · m[t] · m[t + 1])`
/// with 0 before the first and `m` 0 after the last; operands and shape as ``ChainPath``'s energies.
///
/// Reversed, it begins at the end; `chain` stays as it is.
public struct ChainMessages: Op {
  public let isReversed: Bool

  public init(isReversed: Bool) { self.isReversed = isReversed }
  public var name: String { "chain_messages" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try chain(operands)
  }
}

extension Op {
  /// The shape of the energies of a chain.
  fileprivate func chain(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard 2...3 ~= operands.count, operands[0].count == 3,
      operands[1] == [operands[0][2], operands[0][2]], operands[0][2] != .fixed(0),
      operands.count == 2 || operands[2] == Array(operands[0].dropLast())
    else {
      throw ShapeMismatch(
        "energies [batch, length, labels], a chain [labels, labels] and a mask [batch, length]")
    }
    return operands[0]
  }
}
