extension Tensor {
  /// `count` equal pieces along an axis, each a view of this tensor.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` when they would not be equal.
  func split(_ count: Int, axis: Int) throws(CheckpointError) -> [Tensor] {
    guard shape.rank > axis, count > 0, shape[axis] % count == 0, !dtype.isPacked else {
      throw CheckpointError(
        .mismatch, .tensor(name), "has shape \(shape); it holds \(count) equal parts side by side")
    }
    var extents = shape.extents
    extents[axis] /= count
    let (piece, strides) = (Shape(extents), shape.strides)
    var pieces: [Tensor] = []
    for index in 0..<count {
      pieces.append(
        Tensor(
          name: name, dtype: dtype, shape: piece,
          payload: try StridedPayload(
            stored: payload, shape: piece, strides: strides,
            origin: index * extents[axis] * strides[axis], size: dtype.size)))
    }
    return pieces
  }

  /// Tensors side by side along an axis.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` when the other axes or the types differ.
  static func joined(
    _ name: String, _ parts: [Tensor], axis: Int
  ) throws(CheckpointError) -> Tensor {
    guard let first = parts.first, first.shape.rank > axis else {
      throw CheckpointError(.mismatch, .tensor(name), "is made of nothing")
    }
    var extents = first.shape.extents
    extents[axis] = 0
    var pieces: [PartitionedPayload.Part] = []
    for part in parts {
      var start = [Int](repeating: 0, count: extents.count)
      start[axis] = extents[axis]
      pieces.append(
        .init(box: Box(start: start, extents: part.shape.extents), payload: part.payload))
      guard part.dtype == first.dtype, part.shape.rank == first.shape.rank,
        (0..<extents.count).allSatisfy({ $0 == axis || part.shape[$0] == extents[$0] })
      else {
        throw CheckpointError(
          .mismatch, .tensor(name),
          "cannot be made of \(part.name) (\(part.dtype.rawValue) \(part.shape)) beside "
            + "\(first.name) (\(first.dtype.rawValue) \(first.shape))")
      }
      extents[axis] += part.shape[axis]
    }
    let shape = Shape(extents)
    return Tensor(
      name: name, dtype: first.dtype, shape: shape,
      payload: try PartitionedPayload(shape: shape, size: first.dtype.size, parts: pieces))
  }

  /// The same elements, in the same order, in another shape.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` when the counts differ.
  func reshaped(to shape: Shape) throws(CheckpointError) -> Tensor {
    guard shape.count == self.shape.count else {
      throw CheckpointError(.mismatch, .tensor(name), "has shape \(self.shape), not \(shape)")
    }
    return Tensor(name: name, aliases: aliases, dtype: dtype, shape: shape, payload: payload)
  }
}
