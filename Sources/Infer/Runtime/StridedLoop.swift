/// The places of a result in C order, and where the elements that belong to them lie in up to four
/// arrays: each array goes on by a stride of its own along each axis.
///
/// A stride of 0 repeats, a negative one goes backwards. Axes of 1 are left out, and axes that
/// continue each other in every array are one, so that equal shapes are a single run.
struct StridedLoop {
  /// What is left of the shape; not empty.
  private(set) var extents: [Int] = []
  /// For each of the axes the stride in each array.
  private(set) var strides: [SIMD4<Int>] = []
  let start: SIMD4<Int>
  let count: Int

  /// - Parameters:
  ///   - strides: for each array a stride per axis of `shape`; at most four.
  ///   - starts: where each array's element for the first place lies.
  init(_ shape: [Int], _ strides: [[Int]], starts: [Int] = []) {
    var start = SIMD4<Int>()
    for (array, value) in starts.enumerated() { start[array] = value }
    self.start = start
    count = shape.reduce(1, *)
    for axis in shape.indices.reversed() where shape[axis] != 1 {
      var stride = SIMD4<Int>()
      for (array, steps) in strides.enumerated() { stride[array] = steps[axis] }
      if let inner = self.strides.last, let extent = extents.last, inner &* extent == stride {
        extents[extents.count - 1] *= shape[axis]
      } else {
        extents.append(shape[axis])
        self.strides.append(stride)
      }
    }
    extents.reverse()
    self.strides.reverse()
    if extents.isEmpty {
      extents = [1]
      self.strides = [SIMD4(repeating: 1)]
    }
  }

  var width: Int { extents[extents.count - 1] }
  /// The strides along the last axis.
  var step: SIMD4<Int> { strides[strides.count - 1] }

  /// Where the elements of the place with this index lie.
  func offsets(of index: Int) -> SIMD4<Int> {
    var (rest, offsets) = (index, start)
    for axis in extents.indices.reversed() {
      let place = rest % extents[axis]
      rest /= extents[axis]
      offsets &+= strides[axis] &* place
    }
    return offsets
  }

  /// Calls `body` for the runs along the last axis that together are these places: with the index
  /// of the first one, where its elements lie, and how many follow each other by ``step``.
  @inline(__always)
  func forEachRun(
    in range: Range<Int>, _ body: (_ index: Int, _ offsets: SIMD4<Int>, _ count: Int) -> Void
  ) {
    guard !range.isEmpty else { return }
    let last = extents.count - 1
    let width = extents[last]
    var offsets = offsets(of: range.lowerBound)
    var place: [Int] = []
    var rest = range.lowerBound
    for extent in extents.reversed() {
      place.insert(rest % extent, at: 0)
      rest /= extent
    }
    var index = range.lowerBound
    while index < range.upperBound {
      let count = min(width - place[last], range.upperBound - index)
      body(index, offsets, count)
      index += count
      offsets &-= strides[last] &* place[last]
      place[last] = 0
      var axis = last - 1
      while axis >= 0 {
        place[axis] += 1
        offsets &+= strides[axis]
        if place[axis] < extents[axis] { break }
        offsets &-= strides[axis] &* extents[axis]
        place[axis] = 0
        axis -= 1
      }
    }
  }

  /// The strides of an array in C order.
  static func strides(of shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }

  /// The strides of an array in C order that repeats to a larger shape by NumPy's rule.
  static func strides(of shape: [Int], repeatedTo larger: [Int]) -> [Int] {
    let own = zip(shape, strides(of: shape)).map { $0 == 1 ? 0 : $1 }
    return [Int](repeating: 0, count: larger.count - shape.count) + own
  }
}
