/// One entry of a zip archive, as the central directory states it.
public struct ZipMember: Sendable, Equatable {
  public enum Method: Sendable, Equatable {
    case stored, deflated
    case other(UInt16)

    init(_ number: UInt16) {
      switch number {
      case 0: self = .stored
      case 8: self = .deflated
      default: self = .other(number)
      }
    }
  }

  public var name: String
  /// Bytes once unpacked.
  public var size: Int
  /// Bytes in the archive.
  public var compressedSize: Int
  public var method: Method
  /// CRC-32 of the unpacked bytes.
  public var crc: UInt32
  /// Where the local header starts, in bytes from the archive's start.
  let headerOffset: Int
  /// Where the next member or the directory starts: nothing of this member lies beyond.
  var limit: Int
  let flags: UInt16
  /// The position in the directory.
  let index: Int
}

/// A zip archive opened for reading: the only way to zip files.
///
/// The directory is read and checked here: libzip does not tell where a stored member's bytes lie,
/// and those are wanted as ``FileSlice``s that the kernel can copy. Members are checked once, on
/// opening: names unique, sizes backed by the file, no two members over the same bytes. Deflated
/// members are unpacked by libzip (``ZipInflater``).
public struct ZipArchive: Sendable {
  /// The file, or the part of it, that the archive fills.
  public let region: FileSlice
  /// In the directory's order.
  public let members: [ZipMember]
  private let positions: [String: Int]
  private let inflater: ZipInflater

  /// The archive that `file` is.
  ///
  /// - Throws: ``CheckpointError`` of kind `damaged` with the byte where the rules are broken.
  public init(_ file: File) throws(CheckpointError) {
    try self.init(FileSlice(file, offset: 0, length: file.size))
  }

  /// The archive that lies in a part of a file, such as a stored member of another archive.
  public init(_ region: FileSlice) throws(CheckpointError) {
    self.region = region
    let directory = try ZipDirectory(region)
    members = directory.members
    var positions: [String: Int] = [:]
    for member in members {
      guard positions.updateValue(member.index, forKey: member.name) == nil else {
        throw CheckpointError(
          .damaged, Place(file: region.file.path, member: member.name),
          "the archive holds this name twice")
      }
    }
    self.positions = positions
    inflater = ZipInflater(region)
  }

  /// Lets the system fetch every member's own header, before all members are asked for.
  public func prepareHeaders() {
    region.file.prepare(members.lazy.map { region.offset + $0.headerOffset })
  }

  /// The member of that name.
  public subscript(name: String) -> ZipMember? { positions[name].map { members[$0] } }

  /// Where a stored member's bytes lie.
  ///
  /// - Throws: ``CheckpointError`` when the member is compressed or encrypted, or when its local
  ///   header contradicts the directory.
  public func slice(of member: ZipMember) throws(CheckpointError) -> FileSlice {
    guard member.method == .stored else {
      throw CheckpointError(
        .unsupported, place(member), "is compressed where a stored member is expected")
    }
    return try FileSlice(
      region.file, offset: region.offset + dataOffset(of: member), length: member.size)
  }

  /// The bytes of a member from `start` on, read when asked for.
  ///
  /// - Throws: ``CheckpointError`` when the method is neither "stored" nor "deflated", the member
  ///   is encrypted, or its local header contradicts the directory.
  public func payload(of member: ZipMember, from start: Int = 0) throws(CheckpointError)
    -> any Payload
  {
    let packed = try dataOffset(of: member)
    guard start >= 0, start <= member.size else {
      throw CheckpointError(
        .damaged, place(member), "has \(member.size) bytes where at least \(start) are expected")
    }
    if member.method == .stored {
      return StoredMemberPayload(
        slice: try FileSlice(
          region.file, offset: region.offset + packed + start, length: member.size - start),
        skipped: start, member: member)
    }
    return DeflatedMemberPayload(inflater: inflater, member: member, start: start)
  }

  /// The first bytes of a member, at most `count`.
  public func head(of member: ZipMember, count: Int) throws(CheckpointError) -> [UInt8] {
    try ZipArchive.read(payload(of: member), count: min(count, member.size))
  }

  /// The whole of a small member.
  ///
  /// - Throws: ``CheckpointError`` when it is longer than `limit` bytes, or its CRC is wrong.
  public func contents(
    of member: ZipMember, limit: Int = 256 << 20
  ) throws(CheckpointError) -> [UInt8] {
    guard member.size <= limit else {
      throw CheckpointError(
        .damaged, place(member), "has \(member.size) bytes; at most \(limit) are expected")
    }
    return try ZipArchive.read(payload(of: member), count: member.size)
  }

  private static func read(
    _ payload: any Payload, count: Int
  ) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try payload.read(at: 0, into: &raw)
    return bytes
  }

  private func place(_ member: ZipMember) -> Place {
    Place(file: region.file.path, member: member.name)
  }

  /// Checks the local header against the directory.
  ///
  /// - Returns: Where the member's packed bytes start, from the archive's start.
  private func dataOffset(of member: ZipMember) throws(CheckpointError) -> Int {
    if case .other(let number) = member.method {
      throw CheckpointError(
        .unsupported, place(member),
        "is packed by zip method \(number); only stored and deflated members can be read")
    }
    guard member.flags & ZipLayout.encryptedFlag == 0 else {
      throw CheckpointError(.unsupported, place(member), "is encrypted")
    }
    func damaged(_ reason: String) -> CheckpointError {
      var place = place(member)
      place.offset = region.offset + member.headerOffset
      return CheckpointError(.damaged, place, reason)
    }
    let fixed = ZipRecord(
      try region.file.bytes(at: region.offset + member.headerOffset, count: ZipLayout.localSize)[
        ...])
    guard fixed.u32(0) == ZipLayout.localSignature else {
      throw damaged("no member starts where the directory says so")
    }
    let nameLength = Int(fixed.u16(26))
    let extraLength = Int(fixed.u16(28))
    let start = member.headerOffset + ZipLayout.localSize + nameLength + extraLength
    guard start <= member.limit, member.compressedSize <= member.limit - start else {
      throw damaged("\(member.compressedSize) bytes do not fit before the next member")
    }
    let variable = try region.file.bytes(
      at: region.offset + member.headerOffset + ZipLayout.localSize,
      count: nameLength + extraLength)
    guard variable[..<nameLength].elementsEqual(member.name.utf8),
      fixed.u16(8) == member.method.number,
      fixed.u16(6) & ZipLayout.encryptedFlag == 0
    else { throw damaged("the member's own header contradicts the directory") }
    if fixed.u16(6) & ZipLayout.descriptorFlag == 0 {
      var sizes = Zip64Sizes(
        size: UInt64(fixed.u32(22)), compressedSize: UInt64(fixed.u32(18)), offset: 0)
      guard sizes.resolve(extra: variable[nameLength...]), sizes.size == UInt64(member.size),
        sizes.compressedSize == UInt64(member.compressedSize), fixed.u32(14) == member.crc
      else { throw damaged("the member's own header contradicts the directory") }
    }
    return start
  }
}

extension ZipMember.Method {
  var number: UInt16 {
    switch self {
    case .stored: 0
    case .deflated: 8
    case .other(let number): number
    }
  }

  /// For people.
  var name: String {
    switch self {
    case .stored: "stored"
    case .deflated: "deflated"
    case .other(let number): "method \(number)"
    }
  }
}
