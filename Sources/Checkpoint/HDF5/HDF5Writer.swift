import CHDF5
import CHDF5Reader

/// Writes the structure of an HDF5 file; payload is written by others, into the room it reserves.
///
/// Output is deterministic and of the oldest format that can hold it: no times, symbol-table
/// groups, contiguous datasets. All calls of libhdf5 are made under the lock of the gate.
public struct HDF5Writer: ~Copyable {
  private let file: OutputFile
  private var id: hid_t
  /// Groups that exist; the root's path is empty.
  private var groups: Set<String> = [""]

  /// Starts the file.
  ///
  /// - Parameter largeAttributes: whether an attribute exceeds 64 KB, which the oldest format cannot
  ///   hold; the file is then of the format of HDF5 1.8.
  public init(_ file: OutputFile, largeAttributes: Bool = false) throws(CheckpointError) {
    self.file = file
    id = try HDF5.locked { () throws(CheckpointError) in
      let access = try HDF5Handle(
        H5Pcreate(ckpt_h5p_file_access()), H5Pclose, "the file cannot be described", file)
      let creation = try HDF5Handle(
        H5Pcreate(ckpt_h5p_file_create()), H5Pclose, "the file cannot be described", file)
      // A lock would fail on network folders; the temporary has its own lock.
      try check(H5Pset_file_locking(access.id, false, true), "locking stays on", file)
      try check(
        H5Pset_libver_bounds(
          access.id, largeAttributes ? H5F_LIBVER_V18 : H5F_LIBVER_EARLIEST, H5F_LIBVER_V110),
        "the format version cannot be set", file)
      try check(H5Pset_obj_track_times(creation.id, false), "times stay on", file)
      return try check(
        unsafe H5Fcreate(file.path, ckpt_h5f_truncate(), creation.id, access.id),
        "the file cannot be made", file)
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

  /// Ends the file; its structure is complete then.
  public mutating func close() throws(CheckpointError) {
    let (id, file) = (id, file)
    self.id = -1
    try HDF5.locked { () throws(CheckpointError) in
      _ = try check(H5Fclose(id), "the file cannot be completed", file)
    }
  }
}

extension HDF5 {
  /// Runs `body` as the only user of libhdf5 in this process, with its messages switched off.
  @discardableResult
  static func locked<T>(
    _ body: () throws(CheckpointError) -> T
  ) throws(CheckpointError) -> T {
    ckpt_hdf5_lock()
    defer { ckpt_hdf5_unlock() }
    H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil)  // per thread, so every time
    return try body()
  }

  static func locked(_ body: () -> Void) {
    ckpt_hdf5_lock()
    defer { ckpt_hdf5_unlock() }
    H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil)
    body()
  }

  /// An error stack that is left behind makes libhdf5 complain when the process ends.
  static func clearErrors() { H5Eclear2(hid_t(H5E_DEFAULT)) }

  fileprivate static func space(
    _ extents: [Int], _ file: OutputFile, _ path: String
  ) throws(CheckpointError) -> HDF5Handle {
    let dims = extents.map { hsize_t($0) }
    return try HDF5Handle(
      dims.isEmpty
        ? H5Screate(H5S_SCALAR) : unsafe H5Screate_simple(Int32(dims.count), dims, nil),
      H5Sclose, "its shape cannot be made", file, path)
  }

  fileprivate static func write(
    _ attribute: Attribute, to owner: hid_t, _ file: OutputFile, _ path: String
  ) throws(CheckpointError) {
    let name = attribute.name
    switch attribute.value {
    case .numbers(let dtype, let extents, let bytes):
      let type = try HDF5Handle(
        ckpt_hdf5_type(dtype.hdf5Code), H5Tclose, "attribute \(name)", file, path)
      let id = try create(name, type.id, extents, on: owner, file, path)
      guard bytes.count == Shape(extents).count * dtype.size else {
        throw bad(name, "has \(bytes.count) bytes, which is not what its shape needs", file, path)
      }
      guard !bytes.isEmpty else { return }
      try check(unsafe H5Awrite(id.id, type.id, bytes), "attribute \(name)", file, path)
    case .text(let texts, let extents, let kind):
      let type = try HDF5Handle(H5Tcopy(ckpt_h5t_c_s1()), H5Tclose, "a text type", file, path)
      guard texts.count == Shape(extents).count else {
        throw bad(name, "has \(texts.count) texts, which is not what its shape needs", file, path)
      }
      let longest = texts.map(\.utf8.count).max() ?? 0
      let size = kind.size.map { max($0, longest, 1) }
      let padding =
        switch kind.padding {
        case .nullTerminated: H5T_STR_NULLTERM
        case .nullPadded: H5T_STR_NULLPAD
        case .spacePadded: H5T_STR_SPACEPAD
        }
      try check(H5Tset_size(type.id, size ?? ckpt_h5t_variable()), "text size", file, path)
      try check(H5Tset_strpad(type.id, padding), "text padding", file, path)
      try check(
        H5Tset_cset(type.id, kind.utf8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII), "charset", file, path)
      let id = try create(name, type.id, extents, on: owner, file, path)
      guard !texts.isEmpty else { return }
      if let size {
        let fill: UInt8 = kind.padding == .spacePadded ? 0x20 : 0
        let bytes = texts.flatMap { text in
          Array(text.utf8) + [UInt8](repeating: fill, count: size - text.utf8.count)
        }
        try check(unsafe H5Awrite(id.id, type.id, bytes), "attribute \(name)", file, path)
      } else {
        guard !texts.contains(where: { $0.utf8.contains(0) }) else {
          throw bad(name, "holds a zero byte, which a text of varying length cannot", file, path)
        }
        try writeVariable(texts, to: id.id, type.id, name, file, path)
      }
    }
  }

  /// Writes texts of varying length: an array of pointers to terminated strings.
  private static func writeVariable(
    _ texts: [String], to id: hid_t, _ type: hid_t, _ name: String, _ file: OutputFile,
    _ path: String
  ) throws(CheckpointError) {
    var bytes: [UInt8] = []
    var starts: [Int] = []
    for text in texts {
      starts.append(bytes.count)
      bytes.append(contentsOf: text.utf8)
      bytes.append(0)
    }
    // The pointers lead into `bytes`, which lives through the call; every text ends with a zero.
    let code = unsafe bytes.withUnsafeBufferPointer { buffer in
      let pointers = unsafe starts.map { unsafe buffer.baseAddress?.advanced(by: $0) }
      return unsafe H5Awrite(id, type, pointers)
    }
    try check(code, "attribute \(name)", file, path)
  }

  private static func create(
    _ name: String, _ type: hid_t, _ extents: [Int], on owner: hid_t, _ file: OutputFile,
    _ path: String
  ) throws(CheckpointError) -> HDF5Handle {
    let space = try space(extents, file, path)
    return try HDF5Handle(
      unsafe H5Acreate2(owner, name, type, space.id, hid_t(H5P_DEFAULT), hid_t(H5P_DEFAULT)),
      H5Aclose, "attribute \(name) cannot be made", file, path)
  }

  private static func bad(
    _ name: String, _ reason: String, _ file: OutputFile, _ path: String
  ) -> CheckpointError {
    CheckpointError(
      .unsupported, Place(file: file.target, member: path.isEmpty ? nil : path),
      "attribute \(name) \(reason)")
  }
}

/// An identifier of libhdf5 that is closed when it goes out of scope, which is under the lock.
private struct HDF5Handle: ~Copyable {
  let id: hid_t
  private let close: (hid_t) -> herr_t

  init(
    _ id: hid_t, _ close: @escaping (hid_t) -> herr_t, _ what: String, _ file: OutputFile,
    _ path: String = ""
  ) throws(CheckpointError) {
    self.id = try check(id, what, file, path)
    self.close = close
  }

  deinit { _ = close(id) }
}

/// Turns a negative result into an error with libhdf5's own words.
@discardableResult
private func check<Code: SignedInteger>(
  _ code: Code, _ what: String, _ file: OutputFile, _ path: String = ""
) throws(CheckpointError) -> Code {
  guard code < 0 else { return code }
  var text = [CChar](repeating: 0, count: 1024)
  // The call writes a terminated text of at most `text.count` bytes.
  let reason = unsafe String(cString: ckpt_hdf5_error(&text, text.count))
  throw CheckpointError(
    .cannotWrite, Place(file: file.target, member: path.isEmpty ? nil : path), "\(what): \(reason)")
}
