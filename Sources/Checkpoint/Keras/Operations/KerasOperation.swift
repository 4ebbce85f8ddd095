/// What an operation between layers does, whoever wrote it: TensorFlow's functions in `TFOpLambda` layers,
/// its graph nodes in `TensorFlowOpLayer`, `keras.ops` of Keras 3, or a named function of a Lambda layer.
///
/// Axes are as stated; negative ones count from the end. Truth values are 1 and 0.
public indirect enum KerasOperation: Sendable {
  case identity
  /// A function of every element, by the name of its op: `exp`, `negate`, `is_nan`.
  case unary(String)
  case activation(KerasActivation)
  /// A function of two operands that repeat by NumPy's rule, by the name of its op: `add`, `less_equal`.
  case binary(String)
  /// The sum of any number of operands.
  case sum
  /// `a / b`, 0 where `b` is 0.
  case divideNoNaN
  /// `log(exp(a) + exp(b))`.
  case logAddExp
  /// `√(a² + b²)`.
  case hypotenuse
  /// `a` where the condition is true, else `b`.
  case select
  case clip(min: Double, max: Double)
  /// A product with, or the sum with, a number.
  case scale(Double)
  case shift(Double)
  /// Towards 0 to whole numbers.
  case toInteger
  case toBoolean
  /// Another number for NaN, and for what is infinite.
  case replaceNaN(nan: Double, positive: Double, negative: Double)

  /// By the name of its op: `sum`, `log_sum_exp`; over all axes where none are given.
  case reduce(String, axes: [Int]?, keepsDimensions: Bool)
  case argument(isMaximum: Bool, axis: Int?, keepsDimensions: Bool)
  case accumulate(isProduct: Bool, axis: Int, isExclusive: Bool, isReversed: Bool)
  /// The length of vectors: order 1, 2 or infinite.
  case norm(order: Double, axes: [Int]?, keepsDimensions: Bool)
  /// Divided by the length of vectors, whose smallest value is `epsilon`.
  case normalize(order: Double, axes: [Int]?, epsilon: Double)
  case countNonzero(axes: [Int]?, keepsDimensions: Bool)
  case median(axis: Int, keepsDimensions: Bool)
  /// In ascending or descending order along an axis.
  case sort(axis: Int, isDescending: Bool)
  /// The largest ones of the last axis, and their indices.
  case top(Int)

  /// An extent is `nil` where it is known only when the model runs; one may be −1.
  case reshape([Int?])
  /// To the shape that is the second operand.
  case reshapeToOperand(rank: Int?)
  case transpose([Int]?)
  /// The axes at `from` come to stand at `to`.
  case moveAxes(from: [Int], to: [Int])
  case swapAxes(Int, Int)
  case expand([Int])
  case squeeze([Int]?)
  case concatenate(axis: Int)
  case stack(axis: Int)
  /// Into equal parts.
  case split(parts: Int, axis: Int)
  /// Into parts of these sizes, one of which may be −1.
  case splitSizes([Int], axis: Int)
  /// Before these indices.
  case splitAt([Int], axis: Int)
  case unstack(axis: Int)
  case tile([Int])
  case repeated(Int, axis: Int?)
  /// `[before, after]` of every axis.
  case pad([[Int]], mode: String, value: Double)
  case flip([Int]?)
  case roll([Int], axes: [Int])
  case broadcast([Int])
  case slice([KerasSlice])
  /// Starts and sizes of every axis; a size of −1 reaches to the end.
  case cut(starts: [Int], sizes: [Int])
  /// The matrix with zeros farther than so many places below or above the diagonal.
  case band(lower: Int?, upper: Int?)

  case matrixProduct(transposesA: Bool, transposesB: Bool)
  /// NumPy's `dot`: over the last axis of the first and the last but one of the second.
  case dot
  case tensorProduct(a: [Int], b: [Int])
  /// Over the last axes: `tensordot(a, b, axes=count)`.
  case tensorProductOf(count: Int)
  case outer
  case einsum(Einsum)

  case oneHot(depth: Int, axis: Int, on: Double, off: Double)
  /// Elements by the indices that are the second operand.
  case take(axis: Int?)
  /// The same number everywhere, in the operand's shape.
  case like(Double)
  case constant(KerasNumbers)
  case shape
  case size
  /// Ones at and below the diagonal, `[t, t]` for ids `[batch, t]`.
  case causalMask
  /// `[batch, t, t]` for segments `[batch, t]`: what stands in later segments than a place is left out.
  case prefixMask
  case resize([Int], method: String)
}

/// One place of what stands in square brackets: `x[..., 0, 1:5:2, None]`.
public enum KerasSlice: Sendable, Equatable {
  case index(Int)
  case range(start: Int?, stop: Int?, step: Int)
  case ellipsis
  case newAxis

  /// The first index, and how many elements there are of an axis with so many.
  public static func resolved(
    start: Int?, stop: Int?, step: Int, extent: Int
  ) -> (start: Int, count: Int) {
    func place(_ index: Int?, _ missing: Int, _ limits: ClosedRange<Int>) -> Int {
      guard let index else { return missing }
      let counted = index < 0 ? index + extent : index
      return min(max(counted, limits.lowerBound), limits.upperBound)
    }
    if step > 0 {
      let first = place(start, 0, 0...extent)
      let end = place(stop, extent, 0...extent)
      return (first, end > first ? (end - first - 1) / step + 1 : 0)
    }
    let first = place(start, extent - 1, -1...max(extent - 1, -1))
    let end = place(stop, -1, -1...max(extent - 1, -1))
    return (first, first > end ? (first - end - 1) / -step + 1 : 0)
  }

  /// One entry for each axis of a tensor, and for each new axis; `...` and what is not said filled in.
  ///
  /// - Throws: ``CheckpointError`` where there are more than axes.
  public static func expanded(
    _ slices: [KerasSlice], rank: Int
  ) throws(CheckpointError) -> [KerasSlice] {
    let taken = slices.count { $0 != .newAxis && $0 != .ellipsis }
    guard taken <= rank, slices.count(where: { $0 == .ellipsis }) <= 1 else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(taken) places of a tensor with \(rank) axes")
    }
    let all = KerasSlice.range(start: nil, stop: nil, step: 1)
    let rest = Array(repeating: all, count: rank - taken)
    guard let place = slices.firstIndex(of: .ellipsis) else { return slices + rest }
    return Array(slices[..<place]) + rest + Array(slices[(place + 1)...])
  }
}

/// An operand of an operation.
public enum KerasOperand: Sendable {
  /// A tensor by its place among those with which the layer is called.
  case tensor(Int)
  case numbers(KerasNumbers)
}
