/// A table of sorted keys and values in a file: LevelDB's SSTable, as TensorFlow uses it.
///
/// Data blocks of entries, an index block with each data block's place, and a footer. A block is its
/// contents, one byte that tells the compression, and the masked CRC-32C of both. Entries share
/// the beginning of their key with the entry before.
///
/// Source: `doc/table_format.md` of LevelDB; `tensorflow/tsl/lib/io/format.cc`.
struct SortedTable: Sendable {
  /// Where a block's contents lie.
  struct Handle: Sendable {
    let offset: Int
    let length: Int
  }

  /// A value: where it lies, and a cursor over it.
  struct Value: Sendable {
    let table: SortedTable
    let block: Handle
    let reader: ByteReader
    /// Whether positions in the block are positions in the file: it is not compressed.
    let isInFile: Bool
  }

  let file: File
  private let blocks: [Handle]

  static let magic: UInt64 = 0xdb47_7524_8b80_fb57
  static let footerSize = 48
  /// The compression's byte and the checksum.
  static let trailerSize = 5
  /// Contents up to this size are held in memory; larger ones are read in windows.
  private static let largestInMemory = 4 << 20
  /// What a compressed block may hold; TensorFlow begins a new one after 256 KiB.
  private static let largestUncompressed = 32 << 20
  /// Shared beginnings make keys longer than the file's bytes; this much longer at most.
  private static let keyRatio = 8
  private static let keySlack = 16 << 20

  /// Whether the file ends as such tables do.
  static func recognises(_ file: File) -> Bool {
    guard file.size >= footerSize,
      let tail = try? file.bytes(at: file.size - 8, count: 8)
    else { return false }
    return tail.reversed().reduce(0) { $0 << 8 | UInt64($1) } == magic
  }

  /// Reads the footer and the index of blocks.
  init(_ file: File) throws(CheckpointError) {
    self.file = file
    let start = file.size - SortedTable.footerSize
    guard SortedTable.recognises(file) else {
      throw CheckpointError(
        .damaged, Place(file: file.path, offset: max(0, start)),
        "does not end with a table's footer; the file may be cut off")
    }
    do throws(CheckpointError) {
      var footer = ByteReader(try FileSlice(file, offset: start, length: SortedTable.footerSize))
      _ = try SortedTable.handle(&footer, before: start)
      let index = try SortedTable.handle(&footer, before: start)
      var blocks: [Handle] = []
      var keys = KeyReader(budget: file.size * SortedTable.keyRatio + SortedTable.keySlack)
      try SortedTable.entries(of: index, in: file, &keys) {
        (_, value, _) throws(CheckpointError) in
        var reader = value
        let block = try SortedTable.handle(&reader, before: start)
        let end = blocks.last.map { $0.offset + $0.length + SortedTable.trailerSize } ?? 0
        guard block.offset >= end else { throw value.fail("a block overlaps the one before it") }
        blocks.append(block)
      }
      self.blocks = blocks
    } catch {
      throw error.at(.file(file.path))
    }
  }

  /// The value of the smallest key.
  func first() throws(CheckpointError) -> (key: [UInt8], value: Value)? {
    var first: (key: [UInt8], value: Value)?
    try forEach(in: blocks.prefix(1)) { (key, value) throws(CheckpointError) in
      if first == nil { first = (key, value) }
    }
    return first
  }

  /// Passes every key and its value to `body`, in order; keys are different from each other.
  func forEach(
    _ body: ([UInt8], Value) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try forEach(in: blocks[...], body)
  }

  private func forEach(
    in blocks: ArraySlice<Handle>, _ body: ([UInt8], Value) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var keys = KeyReader(budget: file.size * SortedTable.keyRatio + SortedTable.keySlack)
    do throws(CheckpointError) {
      for block in blocks {
        try SortedTable.entries(of: block, in: file, &keys) {
          (key, reader, isInFile) throws(CheckpointError) in
          let value = Value(table: self, block: block, reader: reader, isInFile: isInFile)
          try body(key, value)
        }
      }
    } catch {
      throw error.at(.file(file.path))
    }
  }

  /// The contents of a block, uncompressed.
  func contents(of block: Handle) throws(CheckpointError) -> [UInt8] {
    try SortedTable.contents(of: block, in: file).bytes
  }
}

// MARK: - Blocks

extension SortedTable {
  private static func handle(
    _ reader: inout ByteReader, before end: Int
  ) throws(CheckpointError) -> Handle {
    let at = reader.position
    guard let offset = Int(exactly: try reader.varint()),
      let length = Int(exactly: try reader.varint()), offset <= end - trailerSize,
      length <= end - trailerSize - offset
    else { throw reader.fail("a block reaches beyond the file's end", at: at) }
    return Handle(offset: offset, length: length)
  }

  /// Contents in memory, and whether they lie in the file as they are.
  private static func contents(
    of block: Handle, in file: File
  ) throws(CheckpointError) -> (bytes: [UInt8], isInFile: Bool) {
    var bytes = try file.bytes(at: block.offset, count: block.length + trailerSize)
    let (kind, stated) = trailer(bytes[block.length...])
    bytes.removeLast(trailerSize - 1)
    var state = ChecksumState(.crc32c)
    state.update(bytes)
    try check(state, stated, block)
    bytes.removeLast()
    switch kind {
    case 0: return (bytes, true)
    case 1:
      do throws(CheckpointError) {
        return (try Snappy.uncompress(bytes, limit: largestUncompressed), false)
      } catch {
        throw error.at(Place(offset: block.offset))
      }
    default: throw unknown(kind, block)
    }
  }

  /// The compression's number and the checksum, unmasked.
  private static func trailer(_ bytes: ArraySlice<UInt8>) -> (kind: UInt8, checksum: UInt32) {
    let masked = bytes.dropFirst().reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return (bytes.first ?? 0, Checksum.unmasked(masked))
  }

  private static func check(
    _ state: ChecksumState, _ stated: UInt32, _ block: Handle
  ) throws(CheckpointError) {
    guard state.value == stated else {
      throw CheckpointError(
        .damaged, Place(offset: block.offset),
        "a block of \(block.length) bytes does not match its checksum (CRC-32C)")
    }
  }

  private static func unknown(_ kind: UInt8, _ block: Handle) -> CheckpointError {
    CheckpointError(
      .unsupported, Place(offset: block.offset),
      "a block has the compression \(kind); none (0) and Snappy (1) are read")
  }

  /// Passes a block's keys and values to `body`, with whether they lie in the file as they are.
  private static func entries(
    of block: Handle, in file: File, _ keys: inout KeyReader,
    _ body: ([UInt8], ByteReader, Bool) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    if block.length <= largestInMemory {
      let (bytes, isInFile) = try contents(of: block, in: file)
      do throws(CheckpointError) {
        try entries(in: ByteReader(bytes, at: isInFile ? block.offset : 0), &keys) {
          (key, reader) throws(CheckpointError) in try body(key, reader, isInFile)
        }
      } catch {
        var error = error
        if !isInFile { error.place.offset = block.offset }
        throw error
      }
      return
    }
    // A large block: its checksum in windows, its entries without what they carry.
    let end = block.offset + block.length
    let (kind, stated) = trailer(try file.bytes(at: end, count: trailerSize)[...])
    guard kind == 0 else {
      throw kind == 1
        ? CheckpointError(
          .unsupported, Place(offset: block.offset),
          "a Snappy block of \(block.length) bytes; at most \(largestInMemory) are read")
        : unknown(kind, block)
    }
    var state = ChecksumState(.crc32c)
    for start in stride(from: block.offset, to: end, by: Window.copied) {
      state.update(try file.bytes(at: start, count: min(Window.copied, end - start)))
    }
    state.update([kind])
    try check(state, stated, block)
    let slice = try FileSlice(file, offset: block.offset, length: block.length)
    try entries(in: ByteReader(slice), &keys) {
      (key, reader) throws(CheckpointError) in try body(key, reader, true)
    }
  }

  private static func entries(
    in contents: ByteReader, _ keys: inout KeyReader,
    _ body: ([UInt8], ByteReader) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var tail = contents
    try tail.need(4, for: "the number of restart points")
    try tail.seek(contents.end - 4)
    let restarts = Int(try tail.u32())
    guard restarts <= contents.left / 4 - 1 else {
      throw contents.fail("a block claims \(restarts) restart points", at: contents.end - 4)
    }
    let end = contents.end - 4 - 4 * restarts
    var reader = try contents.prefix(end - contents.position)
    while reader.left > 0 {
      let length = try keys.advance(&reader)
      try body(keys.key, try reader.part(length))
    }
  }

  /// Keys in turn, each made from the one before, in ascending order.
  private struct KeyReader {
    private(set) var key: [UInt8] = []
    private var isFirst = true
    /// Bytes that keys may still have.
    private var budget: Int

    init(budget: Int) { self.budget = budget }

    /// Reads the next key; the value follows in `reader`, of as many bytes as are returned.
    mutating func advance(_ reader: inout ByteReader) throws(CheckpointError) -> Int {
      let at = reader.position
      let shared = try reader.varint()
      let fresh = try reader.varint()
      let length = try reader.varint()
      guard shared <= UInt64(key.count), fresh <= UInt64(reader.left),
        length <= UInt64(reader.left) - fresh
      else { throw reader.fail("a key or its value reaches beyond the block", at: at) }
      let next = try reader.bytes(Int(fresh))
      let isAfter =
        isFirst
        || key[Int(shared)...].lexicographicallyPrecedes(next)
      guard isAfter else { throw reader.fail("a key is not behind the one before it", at: at) }
      isFirst = false
      key.removeLast(key.count - Int(shared))
      key += next
      budget -= key.count
      guard budget >= 0 else {
        throw CheckpointError(
          .unsupported, Place(offset: at), "the keys are too long for a file of this size")
      }
      return Int(length)
    }
  }
}
