/// The central directory of a zip archive, read and checked as a whole.
struct ZipDirectory {
  let members: [ZipMember]

  /// Bytes of directory that are read at most; a real one has some 100 bytes a member.
  static let largest = 64 << 20
  /// Deflate cannot shrink more than 1,032 : 1 (zlib's technical notes); empty blocks cost bytes.
  static let largestRatio = 1032

  private let region: FileSlice

  init(_ region: FileSlice) throws(CheckpointError) {
    self.region = region
    let end = try ZipDirectory.findEnd(of: region)
    guard end.size <= ZipDirectory.largest,
      end.count <= UInt64(end.size / ZipLayout.entrySize)
    else {
      throw CheckpointError(
        .damaged, Place(file: region.file.path, offset: region.offset + end.offset),
        "a directory of \(end.size) bytes cannot list \(end.count) members")
    }
    let bytes = try region.file.bytes(at: region.offset + end.offset, count: end.size)
    var members: [ZipMember] = []
    var position = 0
    for index in 0..<Int(end.count) {
      members.append(
        try ZipDirectory.entry(
          in: bytes, at: &position, index: index, directory: end.offset, region: region))
    }
    guard position == bytes.count else {
      throw CheckpointError(
        .damaged, Place(file: region.file.path, offset: region.offset + end.offset + position),
        "\(bytes.count - position) bytes of the directory belong to no member")
    }
    // Members may not share bytes: each ends before the next one's header.
    var limit = end.offset
    for index in members.indices.sorted(by: {
      members[$0].headerOffset > members[$1].headerOffset
    }) {
      members[index].limit = limit
      let member = members[index]
      let least = ZipLayout.localSize + member.name.utf8.count + member.compressedSize
      guard member.headerOffset <= limit, least <= limit - member.headerOffset else {
        throw CheckpointError(
          .damaged,
          Place(
            file: region.file.path, member: member.name,
            offset: region.offset + member.headerOffset),
          "runs into the next member or into the directory")
      }
      limit = member.headerOffset
    }
    self.members = members
  }

  // MARK: - The end record

  private struct End {
    var offset: Int
    var size: Int
    var count: UInt64
  }

  /// Finds the end record, which must end the region, and its zip64 form where there is one.
  private static func findEnd(of region: FileSlice) throws(CheckpointError) -> End {
    func damaged(_ reason: String, at offset: Int) -> CheckpointError {
      CheckpointError(
        .damaged, Place(file: region.file.path, offset: region.offset + offset), reason)
    }
    let tailLength = min(region.length, ZipLayout.endSize + 0xffff)
    let tailStart = region.length - tailLength
    let tail = try region.file.bytes(at: region.offset + tailStart, count: tailLength)
    var found: Int?
    var candidate = tail.count - ZipLayout.endSize
    while candidate >= 0, found == nil {
      let record = ZipRecord(tail[candidate...])
      if record.u32(0) == ZipLayout.endSignature,
        Int(record.u16(20)) == tail.count - candidate - ZipLayout.endSize
      {
        found = candidate
      }
      candidate -= 1
    }
    guard let found else {
      throw damaged("the zip archive has no directory at its end: it is cut off", at: region.length)
    }
    let record = ZipRecord(tail[found...])
    let endOffset = tailStart + found
    guard record.u16(4) == 0 || record.u16(4) == ZipLayout.escape16, record.u16(8) == record.u16(10)
    else { throw damaged("the archive is split over several files", at: endOffset) }
    var offset = UInt64(record.u32(16))
    var size = UInt64(record.u32(12))
    var count = UInt64(record.u16(10))
    var directoryEnd = endOffset
    let locatorOffset = endOffset - ZipLayout.locator64Size
    if locatorOffset >= 0 {
      let locator = ZipRecord(
        try region.file.bytes(
          at: region.offset + locatorOffset, count: ZipLayout.locator64Size)[...])
      if locator.u32(0) == ZipLayout.locator64Signature {
        guard let at = Int(exactly: locator.u64(8)), at <= locatorOffset - ZipLayout.end64Size
        else { throw damaged("the zip64 record lies outside the archive", at: locatorOffset) }
        let record64 = ZipRecord(
          try region.file.bytes(at: region.offset + at, count: ZipLayout.end64Size)[...])
        guard record64.u32(0) == ZipLayout.end64Signature,
          record64.u64(4) == UInt64(locatorOffset - at - 12),
          record64.u64(24) == record64.u64(32)
        else { throw damaged("the zip64 record is not what its locator says", at: at) }
        count = record64.u64(32)
        size = record64.u64(40)
        offset = record64.u64(48)
        directoryEnd = at
      }
    }
    guard let start = Int(exactly: offset), let length = Int(exactly: size),
      start <= directoryEnd, length == directoryEnd - start
    else {
      throw damaged(
        "a directory of \(size) bytes at byte \(offset) does not end at its end record",
        at: endOffset)
    }
    return End(offset: start, size: length, count: count)
  }

  // MARK: - Entries

  private static func entry(
    in bytes: [UInt8], at position: inout Int, index: Int, directory: Int, region: FileSlice
  ) throws(CheckpointError) -> ZipMember {
    let start = position
    func damaged(_ reason: String, member: String? = nil) -> CheckpointError {
      CheckpointError(
        .damaged,
        Place(
          file: region.file.path, member: member, offset: region.offset + directory + start),
        reason)
    }
    guard bytes.count - start >= ZipLayout.entrySize else {
      throw damaged("the directory ends inside member \(index)")
    }
    let record = ZipRecord(bytes[start...])
    guard record.u32(0) == ZipLayout.entrySignature else {
      throw damaged("member \(index) of the directory is expected here")
    }
    let nameLength = Int(record.u16(28))
    let extraLength = Int(record.u16(30))
    let whole = ZipLayout.entrySize + nameLength + extraLength + Int(record.u16(32))
    guard bytes.count - start >= whole else {
      throw damaged("the directory ends inside member \(index)")
    }
    position = start + whole
    let nameStart = start + ZipLayout.entrySize
    let nameBytes = bytes[nameStart..<(nameStart + nameLength)]
    guard !nameBytes.isEmpty, !nameBytes.contains(0) else {
      throw damaged("member \(index) has an empty name, or one with a NUL byte")
    }
    guard let name = String(validating: nameBytes, as: UTF8.self) else {
      throw CheckpointError(
        .unsupported,
        Place(file: region.file.path, offset: region.offset + directory + nameStart),
        "the name of member \(index) is not UTF-8")
    }
    var sizes = Zip64Sizes(
      size: UInt64(record.u32(24)), compressedSize: UInt64(record.u32(20)),
      offset: UInt64(record.u32(42)))
    guard
      sizes.resolve(
        extra: bytes[(nameStart + nameLength)..<(nameStart + nameLength + extraLength)]),
      let size = Int(exactly: sizes.size), let compressedSize = Int(exactly: sizes.compressedSize),
      let offset = Int(exactly: sizes.offset), offset <= directory,
      compressedSize <= directory - offset
    else { throw damaged("states sizes that the archive cannot hold", member: name) }
    let method = ZipMember.Method(record.u16(10))
    switch method {
    case .stored:
      // An encrypted member has 12 bytes more.
      guard size == compressedSize || record.u16(8) & ZipLayout.encryptedFlag != 0 else {
        throw damaged(
          "is stored, but \(compressedSize) bytes are to become \(size)", member: name)
      }
    case .deflated:
      guard size / ZipDirectory.largestRatio <= compressedSize else {
        throw damaged(
          "\(compressedSize) bytes cannot unpack to \(size)", member: name)
      }
    case .other: break
    }
    return ZipMember(
      name: name, size: size, compressedSize: compressedSize, method: method, crc: record.u32(16),
      headerOffset: offset, limit: directory, flags: record.u16(8), index: index)
  }
}

/// Sizes and offset of an entry, whose escaped values stand in the zip64 extra field.
struct Zip64Sizes {
  var size: UInt64
  var compressedSize: UInt64
  var offset: UInt64

  /// Replaces escaped values by those of the extra field.
  ///
  /// - Returns: Whether the extra fields are well formed and hold what is escaped.
  mutating func resolve(extra: ArraySlice<UInt8>) -> Bool {
    var wide = extra[extra.startIndex..<extra.startIndex]
    var rest = extra
    while rest.count >= 4 {
      let record = ZipRecord(rest)
      let length = Int(record.u16(2))
      guard rest.count - 4 >= length else { return false }
      let body = rest[(rest.startIndex + 4)..<(rest.startIndex + 4 + length)]
      if record.u16(0) == ZipLayout.zip64Extra { wide = body }
      rest = rest[body.endIndex...]
    }
    func next(_ value: inout UInt64) -> Bool {
      guard value == UInt64(ZipLayout.escape32) else { return true }
      guard wide.count >= 8 else { return false }
      value = ZipRecord(wide).u64(0)
      wide = wide.dropFirst(8)
      return true
    }
    return next(&size) && next(&compressedSize) && next(&offset)
  }
}
