/// The members of a tar or tar.gz (POSIX ustar, with GNU's and pax' long names), read as far as
/// the weights in it.
///
/// In a tar the weights are read where they lie. A tar.gz is unpacked once: the weights go to a
/// temporary file without a name.
struct TarArchive {
  /// The names of the members that were seen.
  private(set) var names: [String] = []
  /// The member that holds weights.
  private(set) var weights: (name: String, region: FileSlice)?

  private static let block = 512
  private static let gzipMagic: [UInt8] = [0x1f, 0x8b]
  /// Suffixes of members that may hold weights.
  private static let suffixes: Set<String> = ["th", "pt", "pth", "bin", "ckpt"]
  /// Bytes that a tar.gz may unpack to: weights hardly shrink.
  private static func limit(_ packed: Int) -> Int { packed.multipliedClamped(by: 64) + (64 << 20) }

  /// Whether the file is a tar or a tar.gz.
  static func recognises(_ probe: Probe) -> Bool {
    if probe.starts(with: gzipMagic) {
      do throws(CheckpointError) {
        var stream = try Gunzip(FileSlice(probe.file, offset: 0, length: probe.file.size))
        return isHeader(try stream.next(block) ?? [])
      } catch {
        return false
      }
    }
    return isHeader(Array(probe.head.prefix(block)))
  }

  private static func isHeader(_ block: [UInt8]) -> Bool {
    block.count == TarArchive.block && block[257..<262].elementsEqual("ustar".utf8)
  }

  init(_ probe: Probe) throws(CheckpointError) {
    let whole = try FileSlice(probe.file, offset: 0, length: probe.file.size)
    if probe.starts(with: TarArchive.gzipMagic) {
      var stream = try Gunzip(whole, limit: TarArchive.limit(whole.length))
      try walk(&stream)
    } else {
      var stream = PlainStream(whole)
      try walk(&stream)
    }
  }

  /// A member's header: name, size, and what it is.
  private struct Header {
    var name: String
    var size: Int
    var kind: UInt8

    init?(_ block: [UInt8]) {
      guard TarArchive.isHeader(block) else { return nil }
      func text(_ range: Range<Int>) -> String? {
        String(validating: block[range].prefix { $0 != 0 }, as: UTF8.self)
      }
      // The sum of all bytes, the sum's own eight as spaces.
      let sum = block.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 0x20 : Int(block[$1])) }
      guard let name = text(0..<100), let prefix = text(345..<500),
        let size = Header.octal(block[124..<136]), Header.octal(block[148..<156]) == sum
      else { return nil }
      // GNU's tar has "ustar  " and other fields where the prefix would be.
      let isPosix = block[262] == 0
      self.name = isPosix && !prefix.isEmpty ? "\(prefix)/\(name)" : name
      self.size = size
      kind = block[156]
    }

    private static func octal(_ bytes: ArraySlice<UInt8>) -> Int? {
      if bytes.first == 0x80 {  // a number of 11 bytes, as GNU's tar writes large sizes
        return Int(exactly: bytes.dropFirst().suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
      }
      let digits = bytes.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
      return digits.isEmpty ? 0 : Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }
  }

  private mutating func walk(_ stream: inout some (TarStream & ~Copyable)) throws(CheckpointError) {
    var longName: String?
    while let block = try stream.next(TarArchive.block), block.count == TarArchive.block,
      block.contains(where: { $0 != 0 })
    {
      guard let header = Header(block), header.size >= 0 else {
        throw CheckpointError(
          .damaged, Place(offset: stream.position), "a member of the tar has a broken header")
      }
      let padding = -header.size & (TarArchive.block - 1)
      switch header.kind {
      case UInt8(ascii: "L"), UInt8(ascii: "x"):
        guard header.size <= 1 << 16, let bytes = try stream.next(header.size),
          bytes.count == header.size
        else {
          throw CheckpointError(
            .damaged, Place(offset: stream.position), "a long name of the tar is broken")
        }
        longName = TarArchive.longName(bytes, isPax: header.kind == UInt8(ascii: "x"))
        try stream.skip(padding)
      case 0, UInt8(ascii: "0"):
        let name = (longName ?? header.name).replacingPrefix("./", with: "")
        longName = nil
        names.append(name)
        if weights == nil, TarArchive.suffixes.contains(Paths.suffix(of: name)) {
          weights = (name, try stream.take(header.size))
          try stream.skip(padding)
        } else {
          try stream.skip(header.size + padding)
        }
      default:
        longName = nil
        try stream.skip(header.size + padding)
      }
    }
  }

  /// GNU's name is the content; pax' is in a line `LENGTH path=NAME`.
  private static func longName(_ bytes: [UInt8], isPax: Bool) -> String? {
    let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    guard isPax else { return text }
    for line in text.split(separator: "\n") {
      let field = line.drop { $0 != " " }.dropFirst()
      if field.hasPrefix("path=") { return String(field.dropFirst(5)) }
    }
    return nil
  }
}

/// Bytes of a tar, from the first one on.
protocol TarStream: ~Copyable {
  var position: Int { get }
  /// The next bytes, fewer at the end; `nil` when there are none.
  mutating func next(_ count: Int) throws(CheckpointError) -> [UInt8]?
  mutating func skip(_ count: Int) throws(CheckpointError)
  /// The next bytes as they lie in a file.
  mutating func take(_ count: Int) throws(CheckpointError) -> FileSlice
}

/// A tar that is not packed.
private struct PlainStream: TarStream {
  private let whole: FileSlice
  private var reader: ByteReader

  init(_ whole: FileSlice) {
    self.whole = whole
    reader = ByteReader(whole)
  }

  var position: Int { reader.position }

  mutating func next(_ count: Int) throws(CheckpointError) -> [UInt8]? {
    reader.left == 0 ? nil : try reader.bytes(min(count, reader.left))
  }

  mutating func skip(_ count: Int) throws(CheckpointError) { try reader.skip(count) }

  mutating func take(_ count: Int) throws(CheckpointError) -> FileSlice {
    let start = reader.position
    try reader.skip(count)
    return try FileSlice(whole.file, offset: start, length: count)
  }
}

extension Int {
  /// The product, or the largest number where it does not fit.
  fileprivate func multipliedClamped(by other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? Int.max / 2 : product
  }
}
