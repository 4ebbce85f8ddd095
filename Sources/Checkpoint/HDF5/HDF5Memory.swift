import CHDF5Reader

/// The pages that libhdf5 writes into, freed when it goes out of scope.
@safe struct HDF5Memory: ~Copyable {
  private let pages: OpaquePointer

  init(for file: OutputFile) throws(CheckpointError) {
    guard
      let pages = unsafe ckpt_hdf5_memory_new(
        file.descriptor, UInt64(file.base))
    else {
      throw CheckpointError(.cannotWrite, .file(file.target), "there is no memory left")
    }
    unsafe self.pages = pages
  }

  deinit { unsafe ckpt_hdf5_memory_free(pages) }

  /// Makes an HDF5 file that must be closed before the memory goes; the lock must be held.
  func create(_ creation: Int64, _ access: Int64) -> Int64 {
    unsafe ckpt_hdf5_memory_create(pages, creation, access)
  }

  /// Checks that the chunks so far are in the file.
  func checkChunks(_ file: OutputFile) throws(CheckpointError) {
    let code = unsafe ckpt_hdf5_memory_failure(pages)
    guard code == 0 else { throw Output.cannotWrite(file.target, code) }
  }

  /// Writes the pages of the closed file and gives `file` its size; room between is left as a hole.
  ///
  /// - Returns: the size, in bytes.
  @discardableResult
  func write(to file: OutputFile) throws(CheckpointError) -> Int {
    var count = 0
    let size = Int(unsafe ckpt_hdf5_memory_finish(pages, &count))
    try file.reserve(size)
    // Room at the end that nothing is written to belongs to the file too.
    try file.setSize(size)
    var run: [UInt8] = []
    var start = 0
    for index in 0..<count {
      var offset: UInt64 = 0
      // A page is valid as long as the memory, for exactly its fixed number of bytes.
      let page = unsafe UnsafeBufferPointer(
        start: ckpt_hdf5_memory_page(pages, index, &offset), count: Int(CKPT_HDF5_PAGE))
      if Int(offset) != start + run.count || run.count >= 4 << 20 {
        try file.write(run, at: start)
        run.removeAll(keepingCapacity: true)
        start = Int(offset)
      }
      unsafe run.append(contentsOf: page.prefix(max(size - Int(offset), 0)))
    }
    try file.write(run, at: start)
    return size
  }
}
