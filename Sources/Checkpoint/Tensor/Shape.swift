/// The extents of a tensor, outermost first; empty for a scalar.
public struct Shape: Sendable, Hashable, ExpressibleByArrayLiteral, CustomStringConvertible {
  public let extents: [Int]
  /// The number of elements.
  public let count: Int

  /// Checks that extents are not negative and that their product, times 16 bytes, fits an `Int`.
  public init(checking extents: [Int]) throws(CheckpointError) {
    guard let count = Shape.product(extents) else {
      throw CheckpointError(.damaged, Place(), "shape \(extents) is negative or overflows")
    }
    self.extents = extents
    self.count = count
  }

  /// A shape that is known to be small; an overflowing one becomes empty of elements.
  public init(_ extents: [Int]) {
    self.extents = extents
    self.count = Shape.product(extents) ?? 0
  }

  public init(arrayLiteral elements: Int...) { self.init(elements) }

  public var rank: Int { extents.count }
  public subscript(axis: Int) -> Int { extents[axis] }

  /// As NumPy writes it: `(97, 48)`, `(48,)`, `()`.
  public var description: String {
    extents.count == 1
      ? "(\(extents[0]),)" : "(\(extents.map(String.init).joined(separator: ", ")))"
  }

  /// Row-major strides in elements.
  public var strides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    for axis in stride(from: rank - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * extents[axis + 1]
    }
    return strides
  }

  /// The index of the element at a place in C order.
  public func coordinates(of place: Int) -> [Int] {
    var rest = place
    return strides.map { stride in
      defer { rest %= max(1, stride) }
      return rest / max(1, stride)
    }
  }

  /// Column-major strides in elements, as Fortran keeps arrays.
  public var fortranStrides: [Int] {
    var step = 1
    return extents.map { extent in
      defer { step *= extent }
      return step
    }
  }

  /// `nil` when an extent is negative or the non-zero extents' product, in 16-byte elements, overflows.
  private static func product(_ extents: [Int]) -> Int? {
    var count = 16
    for extent in extents where extent != 0 {
      guard extent > 0 else { return nil }
      let (value, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
      count = value
    }
    return extents.contains(0) ? 0 : count / 16
  }
}
