import CZip
import Synchronization

/// Unpacks deflated members through libzip; one handle, one lock.
///
/// The handle is opened at the first use, through `/proc/self/fd`: the very file whose directory
/// was checked, with a position of its own. A member that is read onwards in windows is unpacked
/// once.
final class ZipInflater: Sendable {
  private let region: FileSlice
  private let handle = Mutex<ZipHandle?>(nil)

  init(_ region: FileSlice) { self.region = region }

  /// Fills `buffer` with the unpacked bytes of `member` from `offset` on.
  func read(
    _ member: ZipMember, at offset: Int, into buffer: inout MutableRawSpan
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      try handle.withLock { (handle) throws(CheckpointError) in
        if handle == nil { handle = try ZipHandle(region) }
        try handle?.read(member, at: offset, into: &buffer)
      }
    } catch {
      throw error.at(Place(file: region.file.path, member: member.name))
    }
  }
}

/// The owner of a libzip archive and of the member that is being read.
@safe struct ZipHandle: ~Copyable {
  private let archive: OpaquePointer
  private var member: OpaquePointer?
  private var memberIndex = -1
  /// Unpacked bytes of the open member that have been read.
  private var position = 0

  init(_ region: FileSlice) throws(CheckpointError) {
    var error = unsafe zip_error_t()
    unsafe zip_error_init(&error)
    defer { unsafe zip_error_fini(&error) }
    // libzip keeps no pointer to the path: the source copies it.
    let source = unsafe zip_source_file_create(
      "/proc/self/fd/\(region.file.descriptor)", zip_uint64_t(region.offset),
      zip_int64_t(region.length), &error)
    guard let source = unsafe source else { throw unsafe ZipHandle.failed(&error) }
    guard let opened = unsafe zip_open_from_source(source, ZIP_RDONLY, &error) else {
      unsafe zip_source_free(source)
      throw unsafe ZipHandle.failed(&error)
    }
    unsafe archive = opened
    unsafe member = nil
  }

  deinit {
    if let member = unsafe member { unsafe zip_fclose(member) }
    unsafe zip_discard(archive)
  }

  mutating func read(
    _ wanted: ZipMember, at offset: Int, into buffer: inout MutableRawSpan
  ) throws(CheckpointError) {
    if memberIndex != wanted.index || offset < position { try open(wanted) }
    var window = [UInt8](repeating: 0, count: min(max(offset - position, 0), 1 << 18))
    while position < offset {
      var span = window.mutableSpan
      var raw = unsafe span.mutableBytes
      try readNext(min(raw.byteCount, offset - position), into: &raw)
    }
    window = []
    try readNext(buffer.byteCount, into: &buffer)
    if position == wanted.size { try finish() }
  }

  private mutating func open(_ wanted: ZipMember) throws(CheckpointError) {
    close()
    var status = unsafe zip_stat_t()
    // The directory was read twice, by us and by libzip: both must mean the same member.
    guard unsafe zip_stat_index(archive, zip_uint64_t(wanted.index), 0, &status) == 0,
      unsafe status.size == UInt64(wanted.size), unsafe status.crc == wanted.crc,
      unsafe status.comp_size == UInt64(wanted.compressedSize), unsafe status.comp_method == 8,
      let name = unsafe status.name, unsafe String(cString: name) == wanted.name
    else { throw CheckpointError(.damaged, Place(), "libzip lists another member here") }
    guard let opened = unsafe zip_fopen_index(archive, zip_uint64_t(wanted.index), 0) else {
      throw unsafe ZipHandle.failed(zip_get_error(archive))
    }
    unsafe member = opened
    memberIndex = wanted.index
  }

  private mutating func close() {
    if let member = unsafe member { unsafe zip_fclose(member) }
    unsafe member = nil
    memberIndex = -1
    position = 0
  }

  /// Unpacks the next `count` bytes to the start of `buffer`.
  private mutating func readNext(
    _ count: Int, into buffer: inout MutableRawSpan
  ) throws(CheckpointError) {
    guard let member = unsafe member else { return }
    // The pointer is used inside the closure only; `count` is at most the buffer's length.
    let got = unsafe buffer.withUnsafeMutableBytes { pointer in
      var done = 0
      while done < count {
        let read = unsafe zip_fread(
          member, pointer.baseAddress?.advanced(by: done), zip_uint64_t(count - done))
        if read < 0 { return -1 }
        if read == 0 { break }
        done += Int(read)
      }
      return done
    }
    guard got >= 0 else {
      let error = unsafe ZipHandle.failed(zip_file_get_error(member))
      close()
      throw error
    }
    position += got
    guard got == count else {
      close()
      throw CheckpointError(.damaged, Place(), "unpacks to fewer bytes than the archive states")
    }
  }

  /// Asks for one byte more: libzip compares the CRC when it meets the end.
  private mutating func finish() throws(CheckpointError) {
    guard let member = unsafe member else { return }
    var byte: UInt8 = 0
    let read = unsafe zip_fread(member, &byte, 1)
    guard read == 0 else {
      let error =
        read < 0
        ? unsafe ZipHandle.failed(zip_file_get_error(member))
        : CheckpointError(.damaged, Place(), "unpacks to more bytes than the archive states")
      close()
      throw error
    }
  }

  private static func failed(_ error: UnsafeMutablePointer<zip_error_t>?) -> CheckpointError {
    // libzip's text lives as long as its error, which the caller owns.
    guard let error = unsafe error, let text = unsafe zip_error_strerror(error) else {
      return CheckpointError(.damaged, Place(), "libzip cannot unpack it")
    }
    return CheckpointError(
      .damaged, Place(), unsafe "libzip cannot unpack it: \(String(cString: text))")
  }
}
