/// The bytes of a dataset that do not lie in the file as they are wanted.
///
/// It is chunked, packed, compact, big-endian or was never written; a child reads and converts it.
struct HDF5Payload: Payload {
  let image: HDF5Image
  let path: String
  /// The code of the type that the child converts to.
  let code: Int32
  let byteCount: Int
  let storage: String

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    do throws(CheckpointError) {
      var child = try HDF5Child(
        reading: path, as: code, size: byteCount, offset: offset, count: buffer.byteCount,
        of: image)
      try child.fill(&buffer)
    } catch {
      throw error.at(Place(file: image.path, tensor: path))
    }
  }
}
