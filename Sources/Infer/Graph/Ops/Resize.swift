import Glibc

/// Images of other sizes: `[n, height, width, c] → [n, sizes[0], sizes[1], c]`, as Keras'
/// `UpSampling2D(interpolation:)` and `tf.image.resize` without antialiasing have it.
///
/// Pixel `i` of the result stands at `(i + ½) · old / new − ½` of the operand. Weights of pixels
/// outside are left out, and the others divided by their sum.
public struct Resize: Op {
  public enum Method: String, Sendable, Hashable, CaseIterable {
    case nearest
    case bilinear
    /// Keys' cubic with a = −½, tabulated at 1024 places as in TensorFlow.
    case bicubic
    /// The same as a function, as JAX has it.
    case cubic
    case lanczos3
    case lanczos5
    /// A normal distribution of σ = ½, cut at 1½.
    case gaussian
    /// Mitchell and Netravali's cubic.
    case mitchellCubic = "mitchellcubic"
  }

  public let sizes: [Int]
  public let method: Method

  public init(sizes: [Int], method: Method) {
    self.sizes = sizes
    self.method = method
  }

  public var name: String { "resize_" + method.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    let x = try only(operands)
    guard x.count == 4, let extents = x.fixed, sizes.count == 2, sizes.allSatisfy({ $0 >= 1 }),
      // Positions are computed in Float32, which is exact to 2²⁴.
      (sizes + extents[1...2]).allSatisfy({ 1...(1 << 24) ~= $0 })
    else { throw ShapeMismatch("one operand [n, height, width, c] and two sizes from 1") }
    return try fixed([extents[0]] + sizes + [extents[3]])
  }
}

extension Resize.Method {
  /// The elements along an axis that make up element `index` of the new one, with their weights.
  func taps(of index: Int, old: Int, new: Int) -> [(index: Int, weight: Double)] {
    let position = (Double(index) + 0.5) * Double(old) / Double(new)
    if self == .nearest { return [(min(Int(position), old - 1), 1)] }
    let centre = position - 0.5
    let reach = Int(radius.rounded(.up))
    let first = Int(centre.rounded(.down)) - reach + 1
    let near = (max(first, 0)..<max(min(first + 2 * reach, old), max(first, 0)))
    var taps = near.map { (index: $0, weight: weight(Double($0) - centre)) }
    let sum = taps.reduce(0) { $0 + $1.weight }
    for tap in taps.indices { taps[tap].weight /= sum }
    return taps
  }

  /// How far from the centre weights are other than 0.
  private var radius: Double {
    switch self {
    case .nearest, .bilinear: 1
    case .bicubic, .cubic, .mitchellCubic: 2
    case .lanczos3: 3
    case .lanczos5: 5
    case .gaussian: 1.5
    }
  }

  /// The weight of an element at this distance.
  private func weight(_ distance: Double) -> Double {
    let t = abs(distance)
    guard t < radius else { return 0 }
    switch self {
    case .nearest: return 1
    case .bilinear: return 1 - t
    // The place in TensorFlow's table.
    case .bicubic: return keys((t * 1024).rounded(.toNearestOrEven) / 1024)
    case .cubic: return keys(t)
    case .lanczos3: return lanczos(t, 3)
    case .lanczos5: return lanczos(t, 5)
    case .gaussian: return exp(-t * t / (2 * 0.5 * 0.5))
    case .mitchellCubic:
      return t < 1
        ? ((7 * t - 12) * t * t + 16 / 3) / 6
        : (((-7.0 / 3 * t + 12) * t - 20) * t + 32.0 / 3) / 6
    }
  }

  private func keys(_ t: Double) -> Double {
    t <= 1 ? (1.5 * t - 2.5) * t * t + 1 : t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0
  }

  private func lanczos(_ t: Double, _ a: Double) -> Double {
    t == 0 ? 1 : a * sin(.pi * t) * sin(.pi * t / a) / (.pi * .pi * t * t)
  }
}
