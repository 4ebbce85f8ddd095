/// What keeps text from becoming token ids.
public enum TextError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The vocabulary lacks a token that every text needs.
  case missingToken(String)
  /// The special tokens alone are longer than the limit.
  case limitTooSmall(Int, least: Int)

  public var description: String {
    switch self {
    case .missingToken(let token):
      "the vocabulary has no \(token), which every text needs; is it this model's vocabulary?"
    case .limitTooSmall(let limit, let least):
      "a limit of \(limit) tokens has no room for the special tokens: at least \(least) are needed"
    }
  }
}
