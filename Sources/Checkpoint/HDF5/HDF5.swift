/// The only gate to libhdf5.
///
/// libhdf5 dies on damaged files, so nothing is read by it in this process: a child reads and hands
/// back records, which are checked here (``HDF5Child``, `CHDF5Reader.h`). Files of the layout that
/// Keras writes are listed without it (``ClassicHDF5``). Writing happens in this
/// process (``HDF5Writer``), one call at a time under the lock that also guards every fork.
public enum HDF5 {
  /// The bytes at offset 0, 512, 1,024 or a further doubling in every HDF5 file.
  public static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

  /// Whether the signature stands in the first bytes of a file.
  static func recognises(head: [UInt8]) -> Bool {
    offsets(from: 0, to: head.count).contains {
      head[$0..<($0 + signature.count)].elementsEqual(signature)
    }
  }

  /// Whether the signature stands behind a user block of at least `count` bytes.
  static func recognisesUserBlock(_ file: File, beyond count: Int) -> Bool {
    offsets(from: count - signature.count + 1, to: file.size).contains {
      (try? file.bytes(at: $0, count: signature.count)) == signature
    }
  }

  /// Where the signature may stand: 0, 512 and every doubling.
  private static func offsets(from start: Int, to end: Int) -> [Int] {
    var offsets: [Int] = []
    var offset = 0
    while offset <= end - signature.count {
      if offset >= start { offsets.append(offset) }
      offset = offset == 0 ? 512 : offset * 2
    }
    return offsets
  }

  /// Lists the groups, datasets and attributes of an HDF5 file.
  ///
  /// - Parameters:
  ///   - offset: where the HDF5 file starts inside `file`, in bytes.
  ///   - length: its length in bytes; to the end of `file` when `nil`.
  /// - Throws: ``CheckpointError`` of kind `damaged` when it is no HDF5 file, or when libhdf5 fails,
  ///   crashes or exceeds its limits on it.
  public static func index(
    of file: File, offset: Int = 0, length: Int? = nil
  ) throws(CheckpointError) -> HDF5Index {
    let image = HDF5Image(
      try FileSlice(file, offset: offset, length: length ?? file.size - min(offset, file.size)))
    if let index = ClassicHDF5.index(of: image) { return index }
    return try childIndex(of: image)
  }

  /// The same by libhdf5, in a child.
  static func childIndex(of image: HDF5Image) throws(CheckpointError) -> HDF5Index {
    var child = try HDF5Child(listing: image)
    let answer = try child.answer()
    var parser = HDF5IndexParser(answer, image: image)
    return try parser.index()
  }
}

/// An HDF5 file, or the part of a file that is one.
struct HDF5Image: Sendable {
  let slice: FileSlice

  init(_ slice: FileSlice) { self.slice = slice }

  var path: String { slice.file.path }
}
