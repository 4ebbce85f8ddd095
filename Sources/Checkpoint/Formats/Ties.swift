/// Tensors that lie at the same place: one of them is kept, the others are its twins.
struct Ties {
  /// Tensors without the twins, in order.
  private(set) var kept: [Tensor] = []
  /// Twins, and the names of the tensors whose bytes they share.
  private(set) var twins: [(name: String, kept: String)] = []

  /// A run of bytes and what it is read as.
  private struct Key: Hashable {
    var file: File.Identity
    var offset: Int
    var length: Int
    var dtype: DType
    var shape: Shape
  }

  /// - Parameter looking: whether there may be twins at all.
  init(_ tensors: [Tensor], looking: Bool) {
    guard looking else {
      kept = tensors
      return
    }
    var first: [Key: String] = [:]
    for tensor in tensors {
      guard let slice = tensor.payload.slice, slice.length > 0 else {
        kept.append(tensor)
        continue
      }
      let key = Key(
        file: slice.file.identity, offset: slice.offset, length: slice.length,
        dtype: tensor.dtype, shape: tensor.shape)
      if let name = first[key] {
        twins.append((tensor.name, name))
      } else {
        first[key] = tensor.name
        kept.append(tensor)
      }
    }
  }
}
