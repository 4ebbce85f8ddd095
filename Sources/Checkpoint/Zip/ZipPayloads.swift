/// The bytes of a stored member, or all but its first ones.
struct StoredMemberPayload: Payload {
  let contents: FileSlice
  /// Bytes of the member before `contents`.
  let skipped: Int
  let member: ZipMember

  init(slice: FileSlice, skipped: Int, member: ZipMember) {
    contents = slice
    self.skipped = skipped
    self.member = member
  }

  var byteCount: Int { contents.length }
  var storage: String { "zip stored" }
  var slice: FileSlice? { contents }

  /// Fills `buffer`; a read of everything checks the member's CRC.
  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    try contents.file.read(at: contents.offset + offset, into: &buffer)
    guard offset == 0, buffer.byteCount == byteCount else { return }
    var crc = ChecksumState(.crc32)
    crc.update(
      try contents.file.bytes(at: contents.offset - skipped, count: skipped))
    crc.update(buffer.bytes)
    guard crc.value == member.crc else {
      throw CheckpointError(
        .damaged, Place(file: contents.file.path, member: member.name),
        "the bytes do not match their checksum (CRC-32)")
    }
  }
}

/// The bytes of a deflated member, or all but its first ones; libzip checks the CRC at its end.
struct DeflatedMemberPayload: Payload {
  let inflater: ZipInflater
  let member: ZipMember
  let start: Int

  var byteCount: Int { member.size - start }
  var storage: String { "zip deflated" }
  var filters: [String] { ["deflate"] }
  /// Windows that follow each other are unpacked once.
  var isWindowed: Bool { true }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    try inflater.read(member, at: start + offset, into: &buffer)
  }
}
