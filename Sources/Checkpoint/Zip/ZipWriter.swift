/// Writes an archive of stored members straight into an output file.
///
/// libzip is not used for writing: it wants a path or a source of its own and writes a second
/// temporary, while a stored member is a header and bytes that the kernel can copy. The archive is
/// the same for the same content: members in the order of adding, dated 1980-01-01, data aligned
/// by an extra field that only fills space. Sizes beyond 4 GB use zip64 records, and only those.
struct ZipWriter {
  private struct Entry {
    let name: String
    let size: Int
    let crc: UInt32
    let offset: Int
  }

  private let file: OutputFile
  private var entries: [Entry] = []
  private var names: Set<String> = []
  private var position = 0
  private let wideFrom: Int

  /// Bytes that the start of a member's data is a multiple of: a cache line, as NumPy and PyTorch.
  static let alignment = 64

  /// - Parameter wideFrom: the size or offset from which zip64 is used; a test takes a small one.
  init(_ file: OutputFile, wideFrom: Int = Int(ZipLayout.escape32)) {
    self.file = file
    self.wideFrom = min(wideFrom, Int(ZipLayout.escape32))
  }

  /// Adds a member: bytes in memory, and after them a tensor's.
  ///
  /// The CRC is computed from the bytes as they pass.
  ///
  /// - Throws: ``CheckpointError`` when the name cannot stand in an archive or stands there
  ///   already, or when the tensor cannot be read or written.
  mutating func add(
    _ name: String, bytes: [UInt8], tensor: Tensor? = nil
  ) throws(CheckpointError) {
    try claim(name)
    let size = bytes.count + (tensor?.byteCount ?? 0)
    let headerLength = ZipLayout.localSize + name.utf8.count + (isWide(size) ? 20 : 0)
    var padding = -(position + headerLength) & (ZipWriter.alignment - 1)
    if padding > 0, padding < 4 { padding += ZipWriter.alignment }  // an extra field's own header
    let dataOffset = position + headerLength + padding
    var crc = ChecksumState(.crc32)
    crc.update(bytes)
    try file.write(bytes, at: dataOffset)
    if let tensor {
      try file.write(tensor, at: dataOffset + bytes.count) { crc.update($0) }
    }
    try finish(
      Entry(name: name, size: size, crc: crc.value, offset: position), padding: padding,
      at: dataOffset)
  }

  /// Adds a member that another writer puts in its place in an order of its own; its CRC is computed from
  /// what was written.
  ///
  /// - Parameter write: writes the member to a file that begins with it, and returns its size.
  /// - Throws: as ``add(_:bytes:tensor:)``, and what `write` throws.
  mutating func add(
    _ name: String, write: (OutputFile) throws(CheckpointError) -> Int
  ) throws(CheckpointError) {
    try claim(name)
    // Room for a header of either kind; an extra field fills what one leaves.
    let least = position + ZipLayout.localSize + name.utf8.count + 20 + 4
    let dataOffset = least + (-least & (ZipWriter.alignment - 1))
    let member = file.section(at: dataOffset)
    let size = try write(member)
    let headerLength = ZipLayout.localSize + name.utf8.count + (isWide(size) ? 20 : 0)
    let crc = try member.checksum(.crc32, count: size)
    try finish(
      Entry(name: name, size: size, crc: crc.value, offset: position),
      padding: dataOffset - position - headerLength, at: dataOffset)
  }

  /// Writes a member's header before its data, and goes on behind it.
  private mutating func finish(
    _ entry: Entry, padding: Int, at dataOffset: Int
  ) throws(CheckpointError) {
    try file.write(localHeader(entry, padding: padding), at: position)
    entries.append(entry)
    position = dataOffset + entry.size
  }

  private mutating func claim(_ name: String) throws(CheckpointError) {
    let place = Place(file: file.target, member: name)
    guard !name.isEmpty, name.utf8.count <= 0xffff, !name.utf8.contains(0) else {
      throw CheckpointError(
        .unsupported, place,
        "a zip archive cannot hold an empty name, one with a NUL or one beyond 65,535 bytes")
    }
    guard names.insert(name).inserted else {
      throw CheckpointError(.unsupported, place, "the archive would hold this name twice")
    }
  }

  /// Writes the directory; nothing can be added after it.
  mutating func finish() throws(CheckpointError) {
    var bytes: [UInt8] = []
    for entry in entries { append(entry, to: &bytes) }
    let size = bytes.count
    let wide = isWide(position) || isWide(size) || entries.count >= Int(ZipLayout.escape16)
    if wide {
      bytes.append(little: ZipLayout.end64Signature)
      bytes.append(little: UInt64(ZipLayout.end64Size - 12))
      bytes.append(little: UInt16(45))
      bytes.append(little: UInt16(45))
      bytes.append(little: UInt64(0))  // this disk, the directory's disk
      bytes.append(little: UInt64(entries.count))
      bytes.append(little: UInt64(entries.count))
      bytes.append(little: UInt64(size))
      bytes.append(little: UInt64(position))
      bytes.append(little: ZipLayout.locator64Signature)
      bytes.append(little: UInt32(0))
      bytes.append(little: UInt64(position + size))
      bytes.append(little: UInt32(1))
    }
    bytes.append(little: ZipLayout.endSignature)
    bytes.append(little: UInt32(0))
    let count = UInt16(clamping: entries.count)
    bytes.append(little: count)
    bytes.append(little: count)
    bytes.append(little: narrow(size))
    bytes.append(little: narrow(position))
    bytes.append(little: UInt16(0))
    try file.write(bytes, at: position)
  }

  private func isWide(_ value: Int) -> Bool { value >= wideFrom }

  /// The value, or the escape where the zip64 record holds it.
  private func narrow(_ value: Int) -> UInt32 {
    isWide(value) ? ZipLayout.escape32 : UInt32(clamping: value)
  }

  /// Version, flags, method, date and CRC, as both headers have them.
  private func append(common entry: Entry, wide: Bool, to bytes: inout [UInt8]) {
    bytes.append(little: UInt16(wide ? 45 : 20))
    bytes.append(
      little: entry.name.utf8.allSatisfy { $0 < 0x80 } ? UInt16(0) : ZipLayout.utf8Flag)
    bytes.append(little: UInt16(0))  // stored
    bytes.append(little: UInt16(0))  // 00:00:00
    bytes.append(little: UInt16(0x21))  // 1980-01-01
    bytes.append(little: entry.crc)
    bytes.append(little: narrow(entry.size))
    bytes.append(little: narrow(entry.size))
    bytes.append(little: UInt16(entry.name.utf8.count))
  }

  private func localHeader(_ entry: Entry, padding: Int) -> [UInt8] {
    let wide = isWide(entry.size)
    var bytes: [UInt8] = []
    bytes.append(little: ZipLayout.localSignature)
    append(common: entry, wide: wide, to: &bytes)
    bytes.append(little: UInt16((wide ? 20 : 0) + padding))
    bytes += Array(entry.name.utf8)
    if wide {
      bytes.append(little: ZipLayout.zip64Extra)
      bytes.append(little: UInt16(16))
      bytes.append(little: UInt64(entry.size))
      bytes.append(little: UInt64(entry.size))
    }
    if padding > 0 {
      bytes.append(little: ZipLayout.paddingExtra)
      bytes.append(little: UInt16(padding - 4))
      bytes += [UInt8](repeating: 0, count: padding - 4)
    }
    return bytes
  }

  private func append(_ entry: Entry, to bytes: inout [UInt8]) {
    var extra: [UInt8] = []
    if isWide(entry.size) {
      extra.append(little: UInt64(entry.size))
      extra.append(little: UInt64(entry.size))
    }
    if isWide(entry.offset) { extra.append(little: UInt64(entry.offset)) }
    bytes.append(little: ZipLayout.entrySignature)
    bytes.append(little: UInt16(3 << 8 | 45))  // made by: Unix, so that names are UTF-8 to unzip
    append(common: entry, wide: !extra.isEmpty, to: &bytes)
    bytes.append(little: UInt16(extra.isEmpty ? 0 : extra.count + 4))
    bytes.append(little: UInt16(0))  // comment
    bytes.append(little: UInt16(0))  // disk
    bytes.append(little: UInt16(0))  // internal attributes
    bytes.append(little: UInt32(0o100644 << 16))  // a file that its owner may write
    bytes.append(little: narrow(entry.offset))
    bytes += Array(entry.name.utf8)
    guard !extra.isEmpty else { return }
    bytes.append(little: ZipLayout.zip64Extra)
    bytes.append(little: UInt16(extra.count))
    bytes += extra
  }
}
