/// An operation of a graph: a name, its shape rule, and what it computes.
///
/// An op is a value: its stored properties are its attributes. It is said three times, each in its
/// own place, and the compiler asks for all three: the shape rule in `Graph/Ops`, the reference in
/// `Reference/`, the kernel in `Runtime/Kernels`.
public protocol Op: Kernel {
  /// The field's name of the operation, lower case.
  var name: String { get }

  /// The shape of the result for operands of these shapes.
  ///
  /// - Throws: ``ShapeMismatch`` saying what the op expects.
  func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension]

  /// The result, computed by plain loops in the scalar's own precision.
  func reference<Scalar: ReferenceScalar>(
    _ operands: [NDArray<Scalar>], shape: [Int]
  ) -> NDArray<Scalar>
}

/// Operands that an op cannot take.
public struct ShapeMismatch: Error, Sendable {
  public var expected: String

  public init(_ expected: String) { self.expected = expected }
}
