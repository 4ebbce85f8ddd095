/// The largest or the mean element of each place of a window, channel by channel:
/// `x [n, 1 to 3 axes, c] → [n, places…, c]`.
///
/// Padding counts for neither: a mean divides by the elements that lie inside. A window without any
/// gives −∞ or no number.
public struct Pool: Op {
  public enum Kind: String, Sendable, CaseIterable {
    /// Not a number, where one of the elements is none.
    case max
    case average
  }

  public let kind: Kind
  public let window: [Int]
  public let strides: [Int]
  /// Padding before and after each axis.
  public let before: [Int]
  public let after: [Int]

  /// All arrays have an element for each spatial axis.
  public init(kind: Kind, window: [Int], strides: [Int], before: [Int], after: [Int]) {
    self.kind = kind
    self.window = window
    self.strides = strides
    self.before = before
    self.after = after
  }

  public var name: String { "\(kind.rawValue)_pool" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, (3...5).contains(operands[0].count) else {
      throw ShapeMismatch("x [n, 1 to 3 axes, c]")
    }
    let places = try WindowAxis.places(
      operands[0][1..<(operands[0].count - 1)], size: window, strides: strides, before: before,
      after: after, dilation: window.map { _ in 1 })
    return operands[0][..<1] + places + operands[0].suffix(1)
  }
}
