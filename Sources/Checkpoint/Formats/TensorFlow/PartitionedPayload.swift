/// A tensor whose elements lie in several parts, each a box of it.
///
/// A part keeps its own elements in C order, so the elements of any window of the whole are one run
/// of each part.
struct PartitionedPayload: Payload {
  struct Part: Sendable {
    let box: Box
    let payload: any Payload
  }

  let shape: Shape
  /// Bytes of one element.
  let size: Int
  let parts: [Part]

  var byteCount: Int { shape.count * size }
  var storage: String {
    "\(parts.count) parts" + (parts.first.map { ", \($0.payload.storage)" } ?? "")
  }
  var isWindowed: Bool { parts.allSatisfy(\.payload.isWindowed) }

  /// Parts that are compared with each other, where they are not simply one behind the other.
  private static let largestCount = 4096

  /// - Throws: ``CheckpointError`` unless the parts are the whole, each element once.
  init(shape: Shape, size: Int, parts: [Part]) throws(CheckpointError) {
    self.shape = shape
    self.size = size
    self.parts = parts.filter { !$0.box.extents.contains(0) }
    let boxes = self.parts.map(\.box)
    var count = 0
    for box in boxes {
      let (sum, overflow) = count.addingReportingOverflow(box.extents.reduce(1, *))
      count = overflow ? -1 : sum
      guard !overflow, count <= shape.count else {
        throw CheckpointError(.damaged, Place(), "its parts overlap")
      }
    }
    guard count == shape.count else {
      throw CheckpointError(
        .damaged, Place(), "its parts hold \(count) of \(shape.count) elements")
    }
    guard !PartitionedPayload.isRow(boxes) else { return }
    guard boxes.count <= PartitionedPayload.largestCount else {
      throw CheckpointError(.unsupported, Place(), "it has \(boxes.count) parts")
    }
    for (index, box) in boxes.enumerated() {
      guard !boxes[..<index].contains(where: box.overlaps) else {
        throw CheckpointError(.damaged, Place(), "its parts overlap")
      }
    }
  }

  /// Whether each part is right behind the one before, along one axis.
  private static func isRow(_ boxes: [Box]) -> Bool {
    guard let first = boxes.first else { return true }
    return first.start.indices.contains { axis in
      zip(boxes, boxes.dropFirst()).allSatisfy { before, after in
        before.start.indices.allSatisfy { other in
          other == axis
            ? after.start[other] == before.start[other] + before.extents[other]
            : after.start[other] == before.start[other]
              && after.extents[other] == before.extents[other]
        }
      }
    }
  }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    // Whole elements around the window.
    let first = offset / size
    let last = (offset + buffer.byteCount + size - 1) / size
    var bytes = [UInt8](repeating: 0, count: (last - first) * size)
    for part in parts {
      try copy(part, from: first, to: last, into: &bytes)
    }
    let start = offset - first * size
    try BytesPayload(bytes).read(at: start, into: &buffer)
  }

  /// Puts a part's elements between two elements of the whole into their places.
  private func copy(
    _ part: Part, from first: Int, to last: Int, into bytes: inout [UInt8]
  ) throws(CheckpointError) {
    let low = rank(of: first, in: part.box)
    let high = rank(of: last, in: part.box)
    guard low < high else { return }
    var source = [UInt8](repeating: 0, count: (high - low) * size)
    var span = source.mutableSpan
    var raw = unsafe span.mutableBytes
    try part.payload.read(at: low * size, into: &raw)
    // Elements that lie in a row in the part and in the whole: the last axes that are whole, and
    // the one before them.
    var run = 1
    for axis in shape.extents.indices.reversed() {
      run *= part.box.extents[axis]
      if part.box.extents[axis] != shape.extents[axis] { break }
    }
    var element = low
    while element < high {
      let end = min(high, (element / run + 1) * run)
      let target = (place(of: element, in: part.box) - first) * size
      let from = (element - low) * size
      let count = (end - element) * size
      bytes.replaceSubrange(target..<(target + count), with: source[from..<(from + count)])
      element = end
    }
  }

  /// How many of the box's elements stand before an element of the whole.
  private func rank(of element: Int, in box: Box) -> Int {
    if element >= shape.count { return box.extents.reduce(1, *) }
    var rest = element
    var step = shape.count
    var inner = box.extents.reduce(1, *)
    var rank = 0
    for axis in shape.extents.indices {
      step /= shape[axis]
      inner /= box.extents[axis]
      let index = rest / step
      rest %= step
      let inside = index - box.start[axis]
      if inside < 0 { return rank }
      if inside >= box.extents[axis] { return rank + box.extents[axis] * inner }
      rank += inside * inner
    }
    return rank
  }

  /// The place in the whole of an element of the box.
  private func place(of element: Int, in box: Box) -> Int {
    var rest = element
    var place = 0
    var step = 1
    for axis in shape.extents.indices.reversed() {
      place += (box.start[axis] + rest % box.extents[axis]) * step
      rest /= box.extents[axis]
      step *= shape[axis]
    }
    return place
  }
}

/// A payload whose stored bytes are checked before its first ones are read.
///
/// For bytes that are not delivered as they are stored, so that no checksum of theirs is at hand.
struct CheckedPayload: Payload {
  let payload: any Payload
  let stored: [(slice: FileSlice, checksum: Checksum)]

  var byteCount: Int { payload.byteCount }
  var storage: String { payload.storage }
  var isWindowed: Bool { payload.isWindowed }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    if offset == 0 {
      for (slice, checksum) in stored {
        var state = ChecksumState(checksum.kind)
        for start in stride(from: 0, to: slice.length, by: Window.copied) {
          let count = min(Window.copied, slice.length - start)
          state.update(try slice.file.bytes(at: slice.offset + start, count: count))
        }
        do throws(CheckpointError) {
          try state.check(checksum)
        } catch {
          throw error.at(Place(file: slice.file.path, offset: slice.offset))
        }
      }
    }
    try payload.read(at: offset, into: &buffer)
  }
}
