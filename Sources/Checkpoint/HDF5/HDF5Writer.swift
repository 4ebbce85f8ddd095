import CHDF5
import CHDF5Reader

/// Writes the structure of an HDF5 file; payload is written by others, into the room it reserves.
///
/// Output is deterministic and of the oldest format that can hold it: no times, symbol-table
/// groups, contiguous datasets. All calls of libhdf5 are made under the lock of the gate, and into
/// memory: libhdf5 crashes when the process ends after a disk was full.
public struct HDF5Writer: ~Copyable {
  private let file: OutputFile
  private let memory: HDF5Memory
  private var id: hid_t
  /// Groups that exist; the root's path is empty.
  private var groups: Set<String> = [""]

  /// Starts the file.
  ///
  /// - Parameter largeAttributes: whether an attribute exceeds 64 KB, which the oldest format cannot
  ///   hold; the file is then of the format of HDF5 1.8.
  public init(_ file: OutputFile, largeAttributes: Bool = false) throws(CheckpointError) {
    let memory = try HDF5Memory(for: file)
    id = try HDF5Writer.start(file, in: memory, largeAttributes: largeAttributes)
    self.memory = memory
    self.file = file
  }

  private static func start(
    _ file: OutputFile, in memory: borrowing HDF5Memory, largeAttributes: Bool
  ) throws(CheckpointError) -> hid_t {
    try HDF5.locked { () throws(CheckpointError) in
      let access = try HDF5Handle(
        H5Pcreate(ckpt_h5p_file_access()), H5Pclose, "the file cannot be described", file)
      let creation = try HDF5Handle(
        H5Pcreate(ckpt_h5p_file_create()), H5Pclose, "the file cannot be described", file)
      try check(
        H5Pset_libver_bounds(
          access.id, largeAttributes ? H5F_LIBVER_V18 : H5F_LIBVER_EARLIEST, H5F_LIBVER_V110),
        "the format version cannot be set", file)
      try check(H5Pset_obj_track_times(creation.id, false), "times stay on", file)
      return try check(memory.create(creation.id, access.id), "the file cannot be made", file)
    }
  }

  deinit {
    guard id >= 0 else { return }
    let id = id
    HDF5.locked {
      _ = H5Fclose(id)
      HDF5.clearErrors()
    }
  }

  /// Makes a group and the groups on the way to it, unless they exist.
  public mutating func makeGroup(_ path: String) throws(CheckpointError) {
    if groups.contains(path) { return }
    try makeGroup(HDF5Index.parent(of: path))
    let (id, file) = (id, file)
    try HDF5.locked { () throws(CheckpointError) in
      let creation = try HDF5Handle(
        H5Pcreate(ckpt_h5p_group_create()), H5Pclose, "the group cannot be described", file, path)
      try check(H5Pset_obj_track_times(creation.id, false), "times stay on", file, path)
      _ = try HDF5Handle(
        unsafe H5Gcreate2(id, path, hid_t(H5P_DEFAULT), creation.id, hid_t(H5P_DEFAULT)), H5Gclose,
        "the group cannot be made", file, path)
    }
    groups.insert(path)
  }

  /// Makes a contiguous dataset and reserves its room.
  ///
  /// - Returns: where its canonical bytes go once the file is closed, in bytes from the start of
  ///   the file; `nil` when it has none.
  public mutating func makeDataset(
    _ path: String, dtype: DType, shape: Shape
  ) throws(CheckpointError) -> Int? {
    try makeGroup(HDF5Index.parent(of: path))
    let (id, file) = (id, file)
    return try HDF5.locked { () throws(CheckpointError) in
      let code = dtype == .bf16 ? Int32(CKPT_HDF5_OPAQUE2.rawValue) : dtype.hdf5Code
      let type = try HDF5Handle(
        ckpt_hdf5_type(code), H5Tclose, "its type cannot be made", file, path)
      let space = try HDF5.space(shape.extents, file, path)
      let creation = try HDF5Handle(
        H5Pcreate(ckpt_h5p_dataset_create()), H5Pclose, "it cannot be described", file, path)
      // The room is reserved now and filled by nobody but us.
      try check(H5Pset_obj_track_times(creation.id, false), "times stay on", file, path)
      try check(H5Pset_layout(creation.id, H5D_CONTIGUOUS), "layout", file, path)
      try check(H5Pset_alloc_time(creation.id, H5D_ALLOC_TIME_EARLY), "allocation", file, path)
      try check(H5Pset_fill_time(creation.id, H5D_FILL_TIME_NEVER), "fill time", file, path)
      let dataset = try HDF5Handle(
        unsafe H5Dcreate2(
          id, path, type.id, space.id, hid_t(H5P_DEFAULT), creation.id, hid_t(H5P_DEFAULT)),
        H5Dclose, "the dataset cannot be made", file, path)
      guard shape.count > 0 else { return nil }
      let offset = H5Dget_offset(dataset.id)
      guard offset != ckpt_h5_no_address(), let position = Int(exactly: offset) else {
        throw CheckpointError(
          .cannotWrite, Place(file: file.target, tensor: path), "libhdf5 reserves no room for it")
      }
      return position
    }
  }

  /// Makes a dataset of chunks, each shuffled and packed with gzip, and writes its elements.
  ///
  /// - Parameter level: of zlib, 1 to 9.
  public mutating func makePackedDataset(
    _ path: String, of tensor: Tensor, level: Int
  ) throws(CheckpointError) {
    try makeGroup(HDF5Index.parent(of: path))
    let chunks = HDF5Chunks(shape: tensor.shape, size: tensor.dtype.size)
    let (id, file) = (id, file)
    let code = tensor.dtype == .bf16 ? Int32(CKPT_HDF5_OPAQUE2.rawValue) : tensor.dtype.hdf5Code
    // Identifiers stay open while the elements are read, which may need the lock for a child.
    let type = try HDF5.locked { () throws(CheckpointError) in
      try check(ckpt_hdf5_type(code), "its type cannot be made", file, path)
    }
    defer { HDF5.locked { _ = H5Tclose(type) } }
    let dataset = try HDF5.locked { () throws(CheckpointError) in
      let space = try HDF5.space(tensor.shape.extents, file, path)
      let creation = try HDF5Handle(
        H5Pcreate(ckpt_h5p_dataset_create()), H5Pclose, "it cannot be described", file, path)
      let extents = chunks.extents.map { hsize_t($0) }
      try check(H5Pset_obj_track_times(creation.id, false), "times stay on", file, path)
      try check(
        unsafe H5Pset_chunk(creation.id, Int32(extents.count), extents), "chunks", file, path)
      try check(H5Pset_fill_time(creation.id, H5D_FILL_TIME_NEVER), "fill time", file, path)
      if tensor.dtype.size > 1 { try check(H5Pset_shuffle(creation.id), "shuffle", file, path) }
      try check(H5Pset_deflate(creation.id, UInt32(level)), "gzip", file, path)
      return try check(
        unsafe H5Dcreate2(
          id, path, type, space.id, hid_t(H5P_DEFAULT), creation.id, hid_t(H5P_DEFAULT)),
        "the dataset cannot be made", file, path)
    }
    defer { HDF5.locked { _ = H5Dclose(dataset) } }
    var pending: [UInt8] = []
    var position = 0
    try tensor.readWindows { (window) throws(CheckpointError) in
      // The window's bytes are copied inside the closure.
      unsafe window.withUnsafeBytes { unsafe pending.append(contentsOf: $0) }
      var used = 0
      while position < tensor.shape.count {
        let chunk = chunks.chunk(at: position)
        let length = chunk.count * tensor.dtype.size
        guard pending.count - used >= length else { break }
        let bytes = Array(pending[used..<(used + length)])
        try HDF5.locked { () throws(CheckpointError) in
          try HDF5Writer.write(bytes, chunk, to: dataset, type, file, path)
        }
        try memory.checkChunks(file)
        used += length
        position += chunk.count
      }
      pending.removeFirst(used)
    }
    try HDF5.locked { () throws(CheckpointError) in
      _ = try check(H5Dflush(dataset), "its chunks cannot be written", file, path)
    }
    try memory.checkChunks(file)
  }

  /// Writes one chunk; the lock must be held.
  private static func write(
    _ bytes: [UInt8], _ chunk: HDF5Chunks.Chunk, to dataset: hid_t, _ type: hid_t,
    _ file: OutputFile, _ path: String
  ) throws(CheckpointError) {
    let space = try HDF5Handle(
      H5Dget_space(dataset), H5Sclose, "its shape cannot be read", file, path)
    let source = try HDF5.space(chunk.extents, file, path)
    let (start, count) = (chunk.start.map { hsize_t($0) }, chunk.extents.map { hsize_t($0) })
    try check(
      unsafe H5Sselect_hyperslab(space.id, H5S_SELECT_SET, start, nil, count, nil),
      "a chunk cannot be selected", file, path)
    try check(
      unsafe H5Dwrite(dataset, type, source.id, space.id, hid_t(H5P_DEFAULT), bytes),
      "a chunk cannot be written", file, path)
  }

  /// Adds an attribute to the group or dataset at `path`.
  public func add(_ attribute: Attribute, to path: String) throws(CheckpointError) {
    let (id, file) = (id, file)
    try HDF5.locked { () throws(CheckpointError) in
      let owner = try HDF5Handle(
        unsafe H5Oopen(id, path.isEmpty ? "/" : path, hid_t(H5P_DEFAULT)), H5Oclose,
        "the object cannot be opened", file, path)
      try HDF5.write(attribute, to: owner.id, file, path)
    }
  }

  /// Ends the file and writes its structure.
  ///
  /// - Returns: the file's size, in bytes.
  @discardableResult
  public mutating func close() throws(CheckpointError) -> Int {
    let (id, file) = (id, file)
    self.id = -1
    try HDF5.locked { () throws(CheckpointError) in
      _ = try check(H5Fclose(id), "the file cannot be completed", file)
    }
    return try memory.write(to: file)
  }
}
