/// A value that the graph itself states: no operands.
public struct Constant: Op {
  public let array: NDArray<Double>

  public init(_ array: NDArray<Double>) { self.array = array }

  /// A number without axes.
  public init(_ value: Double) { array = NDArray(shape: [], values: [value]) }

  public var name: String { "constant" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.isEmpty else { throw ShapeMismatch("no operands") }
    return array.shape.map { .fixed($0) }
  }
}
