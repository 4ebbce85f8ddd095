/// Builds a sorted table in memory, uncompressed, as TensorFlow does.
///
/// Source: as for ``SortedTable``; the sizes are those of `tensorflow/tsl/lib/io/table_options.h`.
struct SortedTableWriter {
  private(set) var bytes: [UInt8] = []
  private var block = Block()
  private var index = Block(interval: 1)
  private var last: [UInt8] = []
  /// The place of a block whose key in the index waits for the next block's first key.
  private var pending: [UInt8]?

  /// Contents after which a block ends.
  private static let blockSize = 256 << 10

  init() {}

  /// - Precondition: `key` comes behind all keys before.
  mutating func append(_ key: [UInt8], _ value: [UInt8]) {
    if let handle = pending {
      index.append(SortedTableWriter.separator(last, key), handle)
      pending = nil
    }
    block.append(key, value)
    last = key
    if block.size >= SortedTableWriter.blockSize {
      pending = flush(block.finished())
    }
  }

  /// Ends the table; ``bytes`` is whole then.
  mutating func finish() {
    if !block.isEmpty { pending = flush(block.finished()) }
    if let handle = pending {
      index.append(SortedTableWriter.successor(last), handle)
      pending = nil
    }
    var empty = Block()
    var footer = flush(empty.finished())
    footer += flush(index.finished())
    footer += [UInt8](repeating: 0, count: SortedTable.footerSize - 8 - footer.count)
    footer.append(little: SortedTable.magic)
    bytes += footer
  }

  /// Writes a block and returns its place.
  private mutating func flush(_ contents: [UInt8]) -> [UInt8] {
    let contents = contents + [0]  // not compressed
    var handle: [UInt8] = []
    ProtobufWriter.append(UInt64(bytes.count), to: &handle)
    ProtobufWriter.append(UInt64(contents.count - 1), to: &handle)
    var state = ChecksumState(.crc32c)
    state.update(contents)
    bytes += contents
    bytes.append(little: Checksum.masked(state.value))
    return handle
  }

  /// A short key from `key` on, before `next`.
  private static func separator(_ key: [UInt8], _ next: [UInt8]) -> [UInt8] {
    let shared = zip(key, next).prefix { $0 == $1 }.count
    guard shared < key.count, shared < next.count, key[shared] < 0xff,
      key[shared] + 1 < next[shared]
    else { return key }
    return key[..<shared] + [key[shared] + 1]
  }

  /// A short key from `key` on.
  private static func successor(_ key: [UInt8]) -> [UInt8] {
    guard let index = key.firstIndex(where: { $0 != 0xff }) else { return key }
    return key[..<index] + [key[index] + 1]
  }

  /// A block being filled.
  private struct Block {
    private var contents: [UInt8] = []
    private var restarts: [UInt32] = [0]
    private var sinceRestart = 0
    private var last: [UInt8] = []
    /// Entries from one that has its whole key to the next.
    private let interval: Int

    init(interval: Int = 16) { self.interval = interval }

    var isEmpty: Bool { contents.isEmpty }
    var size: Int { contents.count + 4 * restarts.count + 4 }

    mutating func append(_ key: [UInt8], _ value: [UInt8]) {
      var shared = 0
      if sinceRestart < interval {
        shared = zip(key, last).prefix { $0 == $1 }.count
      } else {
        restarts.append(UInt32(contents.count))
        sinceRestart = 0
      }
      for number in [shared, key.count - shared, value.count] {
        ProtobufWriter.append(UInt64(number), to: &contents)
      }
      contents += key[shared...]
      contents += value
      last = key
      sinceRestart += 1
    }

    /// The contents with the restart points; the block is empty again.
    mutating func finished() -> [UInt8] {
      var result = contents
      for restart in restarts { result.append(little: restart) }
      result.append(little: UInt32(restarts.count))
      self = Block(interval: interval)
      return result
    }
  }
}
