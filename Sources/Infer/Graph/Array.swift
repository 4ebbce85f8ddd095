/// A dense array in C order: what goes into a graph and comes out of it.
///
/// Token and segment ids are arrays too; their values are whole numbers.
public struct NDArray<Scalar: BinaryFloatingPoint & Sendable>: Sendable, Equatable {
  public var shape: [Int]
  public var values: [Scalar]

  /// - Precondition: `values` holds the product of `shape`.
  public init(shape: [Int], values: [Scalar]) {
    precondition(values.count == shape.reduce(1, *), "an array's values fit its shape")
    self.shape = shape
    self.values = values
  }

  public init(zeros shape: [Int]) {
    self.shape = shape
    values = [Scalar](repeating: 0, count: shape.reduce(1, *))
  }

  /// The last axis at a place of the others: `logits.vector(row, position)`.
  ///
  /// - Precondition: the place is inside, an index for each axis but the last.
  func vector(_ place: Int...) -> ArraySlice<Scalar> {
    let index = zip(place, shape).reduce(0) { $0 * $1.1 + $1.0 }
    let width = shape.last ?? 1
    return values[(index * width)..<((index + 1) * width)]
  }

  /// The same numbers in another precision.
  public func converted<Other>(to _: Other.Type) -> NDArray<Other> {
    NDArray<Other>(shape: shape, values: values.map { Other($0) })
  }
}
