/// One axis along which a window slides: `size` elements that lie `dilation` apart, moved by `stride`,
/// over an axis with `before` and `after` elements of padding.
struct WindowAxis {
  let size: Int
  let stride: Int
  let before: Int
  let after: Int
  let dilation: Int

  /// Extents and attributes stay below this, so that no index that is made of a few overflows.
  static let limit = 1 << 30

  /// The number of places that the window takes along an axis of this extent.
  ///
  /// A symbolic extent passes where the window keeps it.
  func places(along extent: Dimension) throws(ShapeMismatch) -> Dimension {
    guard [size, stride, dilation].allSatisfy({ 1..<WindowAxis.limit ~= $0 }),
      [before, after].allSatisfy({ 0..<WindowAxis.limit ~= $0 })
    else {
      throw ShapeMismatch(
        "windows, strides and dilations from 1 and padding from 0 to \(WindowAxis.limit - 1)")
    }
    let reach = (size - 1) * dilation
    guard case .fixed(let extent) = extent else {
      guard stride == 1, before + after == reach else {
        throw ShapeMismatch("a fixed extent, where the window does not keep \(extent)")
      }
      return extent
    }
    let room = extent + before + after - reach - 1
    guard 0..<WindowAxis.limit ~= extent, room >= 0 else {
      throw ShapeMismatch(
        "an axis that a window of \(reach + 1) fits into with \(before) + \(after) of padding")
    }
    return .fixed(room / stride + 1)
  }

  /// The places along all axes.
  static func places(
    _ axes: ArraySlice<Dimension>, size: [Int], strides: [Int], before: [Int], after: [Int],
    dilation: [Int]
  ) throws(ShapeMismatch) -> [Dimension] {
    guard [size, strides, before, after, dilation].allSatisfy({ $0.count == axes.count }) else {
      throw ShapeMismatch("a size, stride, padding and dilation for each of \(axes.count) axes")
    }
    var places: [Dimension] = []
    for (index, extent) in axes.enumerated() {
      let axis = WindowAxis(
        size: size[index], stride: strides[index], before: before[index], after: after[index],
        dilation: dilation[index])
      places.append(try axis.places(along: extent))
    }
    return places
  }
}

extension [Dimension] {
  /// The extents, when all of them are known and at least 1.
  var fixedExtents: [Int]? {
    var extents: [Int] = []
    for case .fixed(let extent) in self where extent > 0 { extents.append(extent) }
    return extents.count == count ? extents : nil
  }
}
