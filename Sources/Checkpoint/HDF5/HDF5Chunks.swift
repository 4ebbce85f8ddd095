/// How the elements of a dataset are cut into chunks: runs of elements in C order, so that a chunk
/// is filled from one window and unpacked for one.
struct HDF5Chunks {
  let shape: Shape
  /// Extents of a chunk: 1 on the outer axes, whole inner axes.
  let extents: [Int]
  /// The axis that is cut.
  private let axis: Int

  /// Bytes that a chunk has at most, unless one element has more; libhdf5 keeps as many in memory.
  static let largest = 1 << 20

  /// - Parameter size: bytes of an element.
  init(shape: Shape, size: Int) {
    self.shape = shape
    var extents = [Int](repeating: 1, count: shape.rank)
    var axis = max(shape.rank - 1, 0)
    var inner = 1
    while axis > 0, inner * shape[axis] * size <= HDF5Chunks.largest {
      extents[axis] = shape[axis]
      inner *= shape[axis]
      axis -= 1
    }
    if shape.rank > 0 {
      extents[axis] = min(shape[axis], max(1, HDF5Chunks.largest / (inner * size)))
    }
    self.extents = extents
    self.axis = axis
  }

  /// A chunk's place and extents; the last one along an axis may be shorter.
  struct Chunk: Equatable {
    var start: [Int]
    var extents: [Int]
    var count: Int { extents.reduce(1, *) }
  }

  /// The chunk that begins with element `position` in C order.
  func chunk(at position: Int) -> Chunk {
    let start = shape.coordinates(of: position)
    var own = extents
    if shape.rank > 0 { own[axis] = min(own[axis], shape[axis] - start[axis]) }
    return Chunk(start: start, extents: own)
  }
}
