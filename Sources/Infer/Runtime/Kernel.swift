/// What an op needs in order to run fast.
///
/// The third description of every op, beside its shape rule and its reference; conformances stand
/// in `Runtime/Kernels`.
public protocol Kernel: Sendable {
  /// How the kernel wants operand `index` laid out when that is a weight.
  func layout(ofWeight index: Int) -> WeightLayout

  /// Floats of scratch memory that one worker needs for operands of these shapes.
  func scratch(_ operands: [[Int]]) -> Int

  /// Fills `result`, whose shape follows the op's rule.
  ///
  /// `result` overlaps no operand. What it held before is arbitrary.
  /// - Throws: ``InferError`` when values of an operand index beyond another (ids that the graph
  ///   computes itself); shapes were checked before.
  func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError)
}

extension Kernel {
  public func layout(ofWeight index: Int) -> WeightLayout { .plain }
  public func scratch(_ operands: [[Int]]) -> Int { 0 }
}

/// How the values of a weight lie in the session's memory.
public enum WeightLayout: Sendable, Hashable {
  /// C order.
  case plain
  /// A matrix as the panels of ``MatMul``; `transposed` when it is stored as `[out, in]`. A weight of
  /// more axes is a matrix whose rows are all axes but the last, as a convolution's kernel is.
  case panels(transposed: Bool)
}

/// A value while a graph runs: its shape, and its floats in memory that the session owns.
///
/// Kernels work on pointers because they hand them to C; the plan guarantees that `count` floats
/// are there and that a result overlaps nothing.
public struct View {
  public let shape: [Int]
  /// The product of `shape`.
  public let count: Int
  public let data: UnsafeMutablePointer<Float>
  public let layout: WeightLayout

  init(shape: [Int], data: UnsafeMutablePointer<Float>, layout: WeightLayout = .plain) {
    self.shape = shape
    self.data = data
    self.layout = layout
    count = shape.reduce(1, *)
  }

  /// The last axis; 1 for a scalar.
  var width: Int { shape.last ?? 1 }
  /// How many times the last axis repeats.
  var rows: Int { shape.dropLast().reduce(1, *) }
}
