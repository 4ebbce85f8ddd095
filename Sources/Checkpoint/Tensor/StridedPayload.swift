/// Elements that lie in another order than the canonical one: transposed, in Fortran order, a view
/// of a larger storage, or with their bytes swapped.
///
/// Parts are gathered when they are asked for, so a tensor of any size passes through a small
/// buffer.
struct StridedPayload: Payload {
  /// The bytes as they lie.
  let stored: any Payload
  let shape: Shape
  /// Steps of each axis, and the place of the first element, in elements of `stored`.
  let strides: [Int]
  let origin: Int
  /// Bytes of one element.
  let size: Int
  /// Bytes of a number whose order is turned round; 1 when the order is right.
  let swapped: Int

  var storage: String {
    let kind = strides == shape.fortranStrides ? "Fortran order" : "strided"
    let order = strides == shape.strides ? [] : [kind]
    return ([stored.storage] + order + (swapped > 1 ? ["big-endian"] : []))
      .joined(separator: ", ")
  }

  var filters: [String] { stored.filters }
  var byteCount: Int { shape.count * size }
  var isWindowed: Bool { stored.isWindowed }
  var workingBytes: Int {
    stored.workingBytes
      + (isWindowed
        ? Window.gathered + min(stored.byteCount, StridedPayload.gathered)
        : stored.byteCount + byteCount)
  }

  /// Bytes of `stored` that are held at once.
  private static let gathered = 8 << 20
  /// Bytes in a row from which a read of their own is worth it.
  private static let longRun = 512

  /// - Parameters:
  ///   - strides: at least 0 each; one for each axis.
  ///   - swapped: bytes of a number (half an element for complex ones) when it is big-endian.
  /// - Throws: ``CheckpointError`` when an element lies outside `stored`.
  init(
    stored: any Payload, shape: Shape, strides: [Int], origin: Int = 0, size: Int, swapped: Int = 1
  ) throws(CheckpointError) {
    self.init(stored, shape, strides, origin, size, swapped)
    var last = origin
    var fits = strides.count == shape.rank && origin >= 0 && strides.allSatisfy { $0 >= 0 }
    for (extent, stride) in zip(shape.extents, strides) where extent > 1 {
      let (step, overflow) = stride.multipliedReportingOverflow(by: extent - 1)
      let (sum, carry) = last.addingReportingOverflow(step)
      fits = fits && !overflow && !carry
      last = sum
    }
    guard shape.count == 0 || (fits && last < stored.byteCount / size) else {
      throw CheckpointError(
        .damaged, Place(),
        "a view of shape \(shape) with strides \(strides) from element \(origin) on leaves its "
          + "storage of \(stored.byteCount / size) elements")
    }
  }

  private init(
    _ stored: any Payload, _ shape: Shape, _ strides: [Int], _ origin: Int, _ size: Int,
    _ swapped: Int
  ) {
    self.stored = stored
    self.shape = shape
    self.strides = strides
    self.origin = origin
    self.size = size
    self.swapped = swapped
  }

  /// The matrix of `payload` turned round; twice gives the stored bytes again.
  static func transposing(_ payload: any Payload, shape: Shape, size: Int) -> any Payload {
    let turned: Shape = [shape[1], shape[0]]
    // A view that was given another shape since is not turned by its own strides.
    guard let view = payload as? StridedPayload, view.shape == shape else {
      return StridedPayload(payload, turned, [1, shape[1]], 0, size, 1)
    }
    let strides = [view.strides[1], view.strides[0]]
    if view.swapped == 1, view.origin == 0, strides == turned.strides,
      view.stored.byteCount == view.byteCount
    {
      return view.stored
    }
    return StridedPayload(view.stored, turned, strides, view.origin, size, view.swapped)
  }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    // Whole elements around the window.
    let first = offset / size
    let last = (offset + buffer.byteCount + size - 1) / size
    var bytes: [UInt8] = []
    bytes.reserveCapacity((last - first) * size)
    try gather(first..<last, axis: 0, at: origin, into: &bytes)
    if swapped > 1 { swap(&bytes) }
    try BytesPayload(bytes).read(at: offset - first * size, into: &buffer)
  }

  /// Adds the elements `range` (in C order) of the axes from `axis` on.
  private func gather(
    _ range: Range<Int>, axis: Int, at start: Int, into bytes: inout [UInt8]
  ) throws(CheckpointError) {
    guard axis < shape.rank else {
      return try gather(extents: [], strides: [], at: start, into: &bytes)
    }
    let inner = shape.extents[(axis + 1)...].reduce(1, *)
    var position = range.lowerBound
    while position < range.upperBound {
      let index = position / inner
      let end = min(range.upperBound, (index + 1) * inner)
      if position == index * inner, end == position + inner {
        // Whole indices of this axis in a row.
        let count = (range.upperBound - position) / inner
        try gather(
          extents: [count] + shape.extents[(axis + 1)...], strides: Array(strides[axis...]),
          at: start + index * strides[axis], into: &bytes)
        position += count * inner
      } else {
        try gather(
          (position - index * inner)..<(end - index * inner), axis: axis + 1,
          at: start + index * strides[axis], into: &bytes)
        position = end
      }
    }
  }

  /// Adds a box of elements.
  private func gather(
    extents: [Int], strides: [Int], at start: Int, into bytes: inout [UInt8]
  ) throws(CheckpointError) {
    let span = zip(extents, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
    let count = extents.reduce(1, *)
    // Read what the box spans, unless it is mostly gaps and its parts can be read alone.
    if span * size <= StridedPayload.gathered || !stored.isWindowed || extents.isEmpty {
      // A payload that is made as a whole is made once.
      let whole = !stored.isWindowed
      let source =
        whole
        ? try read(0, stored.byteCount / size) : try read(start, span)
      let base = whole ? start : 0
      if extents.count == 2, strides[0] == 1, strides[1] >= extents[0] {
        Elements.transpose(
          source, from: base, rows: extents[1], columns: extents[0], stride: strides[1], size: size,
          into: &bytes)
      } else {
        pick(from: source, base, extents, strides, into: &bytes)
      }
      return
    }
    if let axis = strides.firstIndex(of: 1), extents[axis] * size >= StridedPayload.longRun,
      span / 4 > count
    {
      return try gatherRuns(
        along: axis, extents: extents, strides: strides, at: start, into: &bytes)
    }
    // Split the longest step's axis, so that each part spans less.
    let axis = strides.indices.filter { extents[$0] > 1 }.max { strides[$0] < strides[$1] } ?? 0
    if axis == 0 {
      let half = extents[0] / 2
      var (low, high) = (extents, extents)
      low[0] = half
      high[0] -= half
      try gather(extents: low, strides: strides, at: start, into: &bytes)
      try gather(extents: high, strides: strides, at: start + half * strides[0], into: &bytes)
      return
    }
    // Parts of an inner axis interleave: gather each, then weave.
    let half = extents[axis] / 2
    var (low, high) = (extents, extents)
    low[axis] = half
    high[axis] -= half
    var (first, second): ([UInt8], [UInt8]) = ([], [])
    try gather(extents: low, strides: strides, at: start, into: &first)
    try gather(extents: high, strides: strides, at: start + half * strides[axis], into: &second)
    let run = extents[(axis + 1)...].reduce(size, *)
    let (left, right) = (half * run, (extents[axis] - half) * run)
    for row in 0..<extents[..<axis].reduce(1, *) {
      bytes += first[(row * left)..<((row + 1) * left)]
      bytes += second[(row * right)..<((row + 1) * right)]
    }
  }

  /// Adds a box whose elements lie in rows along `axis`, with large gaps between the rows.
  private func gatherRuns(
    along axis: Int, extents: [Int], strides: [Int], at start: Int, into bytes: inout [UInt8]
  ) throws(CheckpointError) {
    let base = bytes.count
    let steps = Shape(extents).strides
    let count = extents.reduce(1, *)
    bytes += [UInt8](repeating: 0, count: count * size)
    let run = extents[axis]
    for row in 0..<(count / run) {
      // The row's index in all other axes gives where it lies and where it goes.
      var (rest, source, target) = (row, start, 0)
      for other in extents.indices.reversed() where other != axis {
        let index = rest % extents[other]
        rest /= extents[other]
        source += index * strides[other]
        target += index * steps[other]
      }
      let part = try read(source, run)
      for element in 0..<run {
        let to = base + (target + element * steps[axis]) * size
        for byte in 0..<size { bytes[to + byte] = part[element * size + byte] }
      }
    }
  }

  private func read(_ start: Int, _ count: Int) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count * size)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try stored.read(at: start * size, into: &raw)
    return bytes
  }

  /// Adds the elements of a box in `source`, whose first one is element `base`.
  private func pick(
    from source: [UInt8], _ base: Int, _ extents: [Int], _ strides: [Int], into bytes: inout [UInt8]
  ) {
    guard extents.allSatisfy({ $0 > 0 }) else { return }
    // The innermost axes that lie in a row are copied together.
    var run = 1
    var outer = extents.count
    while outer > 0, strides[outer - 1] == run || extents[outer - 1] == 1 {
      run *= extents[outer - 1]
      outer -= 1
    }
    var index = [Int](repeating: 0, count: outer)
    var position = base
    // Every run lies inside `source`: whoever calls has read what the box spans.
    unsafe source.withUnsafeBytes { source in
      while true {
        unsafe bytes += UnsafeRawBufferPointer(
          rebasing: source[(position * size)..<((position + run) * size)])
        var axis = outer - 1
        while axis >= 0 {
          index[axis] += 1
          position += strides[axis]
          if index[axis] < extents[axis] { break }
          position -= strides[axis] * extents[axis]
          index[axis] = 0
          axis -= 1
        }
        if axis < 0 { return }
      }
    }
  }

  private func swap(_ bytes: inout [UInt8]) {
    for start in stride(from: 0, to: bytes.count, by: swapped) {
      for index in 0..<(swapped / 2) {
        bytes.swapAt(start + index, start + swapped - 1 - index)
      }
    }
  }
}
