import Synchronization

/// The bytes of a dataset that do not lie in the file as they are wanted.
///
/// It is chunked, packed, compact or was never written; a child reads and converts it. Windows that
/// follow each other come from one child, so that every chunk is unpacked once.
struct HDF5Payload: Payload {
  let image: HDF5Image
  let path: String
  /// The code of the type that the child converts to.
  let code: Int32
  let byteCount: Int
  let storage: String
  let filters: [String]
  private let stream = HDF5Stream()

  init(
    image: HDF5Image, path: String, code: Int32, byteCount: Int, storage: String,
    filters: [String]
  ) {
    self.image = image
    self.path = path
    self.code = code
    self.byteCount = byteCount
    self.storage = storage
    self.filters = filters
  }

  /// Bytes up to which a dataset is read as a whole, so that views of it unpack it once.
  private static let whole = 16 << 20

  var isWindowed: Bool { byteCount > HDF5Payload.whole }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    do throws(CheckpointError) {
      if try stream.read(self, at: offset, into: &buffer) { return }
      var child = try child(from: offset, count: buffer.byteCount)
      try child.fill(&buffer)
      try child.end()
    } catch {
      throw error.at(Place(file: image.path, tensor: path))
    }
  }

  /// A child that sends bytes `offset..<offset + count`.
  fileprivate func child(from offset: Int, count: Int) throws(CheckpointError) -> HDF5Child {
    try HDF5Child(
      reading: path, as: code, size: byteCount, offset: offset, count: count, of: image)
  }
}

/// The child that has sent the beginning of a dataset and goes on when more is asked for.
private final class HDF5Stream: Sendable {
  private struct State: ~Copyable {
    var child: HDF5Child
    /// Where the next byte that it sends stands in the dataset.
    var position: Int
    let place: WaitingPlace
  }

  private let state = Mutex<State?>(nil)

  /// Fills `buffer` if its bytes are the first ones, or those that follow what was read last.
  ///
  /// - Returns: whether it did.
  func read(
    _ payload: HDF5Payload, at offset: Int, into buffer: inout MutableRawSpan
  ) throws(CheckpointError) -> Bool {
    let end = offset + buffer.byteCount
    if offset == 0, end == payload.byteCount { return false }
    return try state.withLock { (state) throws(CheckpointError) in
      if state?.position != offset {
        guard offset == 0 else { return false }
        state = nil
        guard let place = WaitingPlace() else { return false }
        state = State(
          child: try payload.child(from: 0, count: payload.byteCount), position: 0, place: place)
      }
      do throws(CheckpointError) {
        try state?.child.fill(&buffer)
        state?.position = end
        if end == payload.byteCount {
          try state?.child.end()
          state = nil
        }
      } catch {
        state = nil
        throw error
      }
      return true
    }
  }
}

/// The right to let a child wait; the whole process has a few, so that it never keeps many children.
private struct WaitingPlace: ~Copyable {
  private static let taken = Atomic<Int>(0)
  private static let most = 8

  init?() {
    guard WaitingPlace.taken.add(1, ordering: .relaxed).newValue <= WaitingPlace.most else {
      WaitingPlace.taken.subtract(1, ordering: .relaxed)
      return nil
    }
  }

  deinit { WaitingPlace.taken.subtract(1, ordering: .relaxed) }
}
