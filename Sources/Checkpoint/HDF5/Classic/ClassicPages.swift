/// The bytes of an image, read in pages of which only the latest few are kept.
struct ClassicPages {
  private let image: FileSlice
  /// Where addresses count from, in bytes from the start of the image: after the user block.
  var base = 0
  /// Where the HDF5 file ends, in bytes from the start of the image.
  var end: Int
  /// Bytes that may still be asked for, so that structures that lead to each other come to an end.
  private var budget: Int
  private var pages: [Page]

  private struct Page {
    var number: Int
    var bytes: [UInt8]
  }

  private static let pageSize = 4096
  private static let pageCount = 64

  init(_ image: FileSlice) {
    self.image = image
    end = image.length
    budget = min(2 * min(image.length, 1 << 40) + (1 << 20), 1 << 30)
    pages = [Page](repeating: Page(number: -1, bytes: []), count: ClassicPages.pageCount)
  }

  /// The `count` bytes at `address`.
  mutating func bytes(at address: Int, count: Int) throws(NotClassic) -> ClassicBytes {
    try require(address >= 0 && count >= 0 && address <= end - base)
    let start = base + address
    try require(count <= end - start && count <= budget)
    budget -= count
    if count > 4 * ClassicPages.pageSize {
      return ClassicBytes(try read(at: start, count: count)[...])
    }
    let first = start / ClassicPages.pageSize
    let offset = start % ClassicPages.pageSize
    let page = try page(first)
    if offset + count <= page.count { return ClassicBytes(page[offset..<(offset + count)]) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    bytes.append(contentsOf: page[offset...])
    var number = first + 1
    while bytes.count < count {
      let page = try self.page(number)
      bytes.append(contentsOf: page.prefix(count - bytes.count))
      number += 1
    }
    return ClassicBytes(bytes[...])
  }

  /// Lets the system fetch the pages at the addresses all at once.
  func prepare(_ addresses: some Sequence<Int>) {
    image.file.prepare(addresses.lazy.map { image.offset + base + $0 })
  }

  /// One page; the last one ends with the image.
  private mutating func page(_ number: Int) throws(NotClassic) -> [UInt8] {
    let slot = number % ClassicPages.pageCount
    if pages[slot].number == number { return pages[slot].bytes }
    let start = number * ClassicPages.pageSize
    let bytes = try read(at: start, count: min(ClassicPages.pageSize, image.length - start))
    pages[slot] = Page(number: number, bytes: bytes)
    return bytes
  }

  private func read(at offset: Int, count: Int) throws(NotClassic) -> [UInt8] {
    do throws(CheckpointError) {
      return try image.file.bytes(at: image.offset + offset, count: count)
    } catch {
      throw NotClassic()
    }
  }
}

/// A cursor over bytes of a structure; integers are little-endian.
struct ClassicBytes {
  private let bytes: ArraySlice<UInt8>
  private(set) var position: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  var left: Int { bytes.endIndex - position }

  /// Bytes that were taken.
  var taken: Int { position - bytes.startIndex }

  mutating func take(_ count: Int) throws(NotClassic) -> ArraySlice<UInt8> {
    try require(count >= 0 && count <= left)
    defer { position += count }
    return bytes[position..<(position + count)]
  }

  mutating func skip(_ count: Int) throws(NotClassic) { _ = try take(count) }

  mutating func u8() throws(NotClassic) -> UInt8 {
    try require(left >= 1)
    defer { position += 1 }
    return bytes[position]
  }

  mutating func u16() throws(NotClassic) -> UInt16 { try integer() }
  mutating func u32() throws(NotClassic) -> UInt32 { try integer() }
  mutating func u64() throws(NotClassic) -> UInt64 { try integer() }

  private mutating func integer<T: FixedWidthInteger>() throws(NotClassic) -> T {
    let size = T.bitWidth / 8
    try require(left >= size)
    var value: T = 0
    for index in (position..<(position + size)).reversed() { value = value << 8 | T(bytes[index]) }
    position += size
    return value
  }

  /// A count of bytes or elements, or an offset.
  mutating func length() throws(NotClassic) -> Int {
    guard let value = Int(exactly: try u64()) else { throw NotClassic() }
    return value
  }

  /// An address, counted from the base; `nil` where it is undefined.
  mutating func address() throws(NotClassic) -> Int? {
    let value = try u64()
    if value == .max { return nil }
    guard let address = Int(exactly: value), address < 1 << 62 else { throw NotClassic() }
    return address
  }

  /// Steps over the bytes of `text`.
  mutating func signature(_ text: String) throws(NotClassic) {
    try require(try take(text.utf8.count).elementsEqual(text.utf8))
  }
}
