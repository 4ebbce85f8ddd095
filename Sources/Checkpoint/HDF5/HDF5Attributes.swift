import CHDF5
import CHDF5Reader

extension HDF5 {
  /// The dataspace of a shape, scalar where it has no extents; the lock must be held.
  static func space(
    _ extents: [Int], _ file: OutputFile, _ path: String
  ) throws(CheckpointError) -> HDF5Handle {
    let dims = extents.map { hsize_t($0) }
    return try HDF5Handle(
      dims.isEmpty
        ? H5Screate(H5S_SCALAR) : unsafe H5Screate_simple(Int32(dims.count), dims, nil),
      H5Sclose, "its shape cannot be made", file, path)
  }

  /// Adds `attribute` to the object `owner`, with its exact type; the lock must be held.
  static func write(
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
