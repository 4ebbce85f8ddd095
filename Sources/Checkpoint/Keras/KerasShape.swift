/// The shape of a Keras tensor, the batch first; an extent that is only known when the model runs is `nil`.
public struct KerasShape: Sendable, Hashable {
  public var extents: [Int?]

  public init(_ extents: [Int?]) { self.extents = extents }

  public var rank: Int { extents.count }

  /// The extent of an axis, which may count from the end; `nil` also where there is no such axis.
  public subscript(axis: Int) -> Int? {
    let index = axis < 0 ? axis + extents.count : axis
    return extents.indices.contains(index) ? extents[index] : nil
  }

  /// The shape with another last extent.
  public func ending(in last: Int?) -> KerasShape { KerasShape(extents.dropLast() + [last]) }

  /// The product of the extents from an axis on; `nil` where one is not known, or too large.
  public func count(from axis: Int = 0) -> Int? {
    extents.dropFirst(axis).reduce(1) { product, extent in
      guard let product, let extent else { return nil }
      let (result, overflow) = product.multipliedReportingOverflow(by: extent)
      return overflow ? nil : result
    }
  }
}

extension KerasShape: CustomStringConvertible {
  /// As Keras writes it: `(None, 28, 28, 1)`.
  public var description: String {
    let texts = extents.map { $0.map(String.init) ?? "None" }
    return "(" + texts.joined(separator: ", ") + (texts.count == 1 ? ",)" : ")")
  }
}
