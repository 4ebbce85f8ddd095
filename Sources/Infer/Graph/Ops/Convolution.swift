public import Checkpoint

/// An op with an activation of its own, which is `linear` until a pass puts the following one in.
protocol ActivatedOp: Op {
  var activation: Activation { get set }
}

/// A convolution over one to three axes, as the field has it: a correlation, with padding of zeros:
/// `(x [n, spatial…, c], kernel [k…, c / groups, filters], bias [filters]?) → [n, places…, filters]`.
///
/// `y[o] = act(Σ x[o · stride + k · dilation − before] · kernel[k] + bias)`, summed over the window
/// and the channels. With groups, channels and filters are cut into as many equal parts, and a part
/// of the filters sees its part of the channels; `groups == c` is a depthwise convolution. The
/// activation other than `linear` comes from a fusion pass.
public struct Convolution: ActivatedOp {
  public let strides: [Int]
  /// Zeros before and after each axis.
  public let before: [Int]
  public let after: [Int]
  public let dilation: [Int]
  public let groups: Int
  public var activation: Activation

  /// All arrays have an element for each spatial axis.
  public init(
    strides: [Int], before: [Int], after: [Int], dilation: [Int], groups: Int = 1,
    activation: Activation = .linear
  ) {
    self.strides = strides
    self.before = before
    self.after = after
    self.dilation = dilation
    self.groups = groups
    self.activation = activation
  }

  public var name: String { "convolution" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (2...3).contains(operands.count), (3...5).contains(operands[0].count),
      let kernel = operands[1].fixedExtents, kernel.count == operands[0].count
    else { throw ShapeMismatch("x [n, 1 to 3 axes, c], a kernel of as many axes, at most a bias") }
    let axes = kernel.count - 2
    let (filters, (channels, overflow)) = (
      kernel[axes + 1], kernel[axes].multipliedReportingOverflow(by: groups)
    )
    guard groups > 0, !overflow, operands[0][axes + 1] == .fixed(channels), filters % groups == 0,
      operands.count == 2 || operands[2] == [.fixed(filters)]
    else {
      throw ShapeMismatch(
        "a kernel [k…, c / \(groups), filters], filters in \(groups) equal groups, and a bias "
          + "[filters]")
    }
    return [operands[0][0]]
      + (try WindowAxis.places(
        operands[0][1...axes], size: Array(kernel[..<axes]), strides: strides, before: before,
        after: after, dilation: dilation)) + [.fixed(filters)]
  }
}

/// The transpose of a convolution, which maps its results' shape back to its operand's:
/// `(x [n, spatial…, c], kernel [k…, filters / groups, c], bias [filters]?) → [n, sizes…, filters]`.
///
/// `y[i · stride + k · dilation − before] += x[i] · kernel[k]ᵀ`: each element of `x` adds a multiple of
/// the kernel to the result, of which `before` elements are cut off at the start of an axis and what
/// lies beyond `sizes` at its end. Then come the bias and the activation.
public struct ConvolutionTranspose: ActivatedOp {
  public let strides: [Int]
  /// What is cut off at the start of each axis.
  public let before: [Int]
  public let dilation: [Int]
  public let groups: Int
  /// The result's spatial extents.
  public let sizes: [Int]
  public var activation: Activation

  /// All arrays have an element for each spatial axis.
  public init(
    strides: [Int], before: [Int], dilation: [Int], groups: Int = 1, sizes: [Int],
    activation: Activation = .linear
  ) {
    self.strides = strides
    self.before = before
    self.dilation = dilation
    self.groups = groups
    self.sizes = sizes
    self.activation = activation
  }

  public var name: String { "convolution_transpose" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (2...3).contains(operands.count), (3...5).contains(operands[0].count),
      let kernel = operands[1].fixedExtents, kernel.count == operands[0].count
    else { throw ShapeMismatch("x [n, 1 to 3 axes, c], a kernel of as many axes, at most a bias") }
    let axes = kernel.count - 2
    let (channels, (filters, overflow)) = (
      kernel[axes + 1], kernel[axes].multipliedReportingOverflow(by: groups)
    )
    guard groups > 0, !overflow, operands[0][axes + 1] == .fixed(channels), channels % groups == 0,
      operands.count == 2 || operands[2] == [.fixed(filters)]
    else {
      throw ShapeMismatch(
        "a kernel [k…, filters / \(groups), c], c in \(groups) equal groups, and a bias [filters]")
    }
    guard let spatial = Array(operands[0][1...axes]).fixedExtents,
      [strides, before, dilation, sizes].allSatisfy({ $0.count == axes }),
      (spatial + kernel[..<axes] + strides + dilation + sizes).allSatisfy({
        1..<WindowAxis.limit ~= $0
      }), before.allSatisfy({ 0..<WindowAxis.limit ~= $0 })
    else {
      throw ShapeMismatch(
        "a stride, dilation and size from 1 and a cut from 0 for each of \(axes) axes, below "
          + "\(WindowAxis.limit)")
    }
    return [operands[0][0]] + sizes.map { .fixed($0) } + [.fixed(filters)]
  }
}
