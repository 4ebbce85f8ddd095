/// A file format: bytes ↔ checkpoint.
///
/// It knows no models. A new format is one file with one conforming type and one line in ``FormatRegistry``.
public protocol Format: Sendable {
  /// The name on the command line.
  var name: String { get }
  /// Other names that the command line takes.
  var aliases: [String] { get }
  /// One line for people.
  var summary: String { get }
  /// File-name suffixes, the one to write first; a suffix never decides what is read.
  var suffixes: [String] { get }
  /// File names that a folder of this format customarily has, the best first.
  var customaryNames: [String] { get }
  /// The name of the weights in a folder that ckpt writes.
  var folderName: String { get }

  /// Whether ckpt writes the format; one that it only reads needs no ``write(_:to:in:options:)``.
  var writes: Bool { get }
  /// Whether tensors come back in the order in which they were written; by name otherwise.
  var keepsOrder: Bool { get }
  /// Whether a checkpoint can be split into several files.
  var splits: Bool { get }
  /// Whether a file tells what its tensors are called.
  var keepsNames: Bool { get }

  /// Whether tensors can be packed.
  var compresses: Bool { get }

  /// What of a checkpoint the format has no place for, for people; tensors that it cannot hold are
  /// errors of ``write(_:to:in:options:)``.
  func leavesOut(_ checkpoint: Checkpoint) -> [String]

  /// What the format's other readers may not take of a checkpoint, for people.
  func remarks(on checkpoint: Checkpoint) -> [String]

  /// The file to open for a path at which there is no file, such as the prefix by which TensorFlow
  /// calls a checkpoint of several files; `nil` when it means nothing to this format.
  func entry(for path: String) -> String?

  /// Whether a file of this name in a folder is one to open: not a shard that something else leads to.
  ///
  /// - Parameter names: the folder's files.
  func isEntry(_ name: String, among names: [String]) -> Bool

  /// Names of files in the same folder that opening `path` leads to.
  func filesBeside(_ path: String) -> [String]

  /// Whether the content is of this format; never throws a "no".
  func recognises(_ probe: Probe) -> Bool

  /// Asked when no format recognises the first bytes: whether the content is of this format all the
  /// same, further behind.
  func recognisesBehindHead(_ probe: Probe) -> Bool

  /// Lists the tensors; reads no payload.
  func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint

  /// Writes `checkpoint` to `path`, or to files named after it.
  ///
  /// - Returns: the path by which the result is opened: `path`, or the index of what was split.
  /// - Throws: ``CheckpointError`` naming the tensor, when the format cannot hold something.
  @discardableResult
  func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String
}

extension Format {
  public var aliases: [String] { [] }
  public var customaryNames: [String] { [] }
  public var folderName: String {
    customaryNames.first { !$0.hasSuffix(".json") } ?? "model.\(suffixes[0])"
  }
  public var writes: Bool { true }
  public var splits: Bool { false }
  public var keepsOrder: Bool { true }
  public var compresses: Bool { false }
  public var keepsNames: Bool { true }
  public func leavesOut(_ checkpoint: Checkpoint) -> [String] { [] }
  public func recognisesBehindHead(_ probe: Probe) -> Bool { false }
  public func remarks(on checkpoint: Checkpoint) -> [String] { [] }
  public func entry(for path: String) -> String? { nil }
  public func isEntry(_ name: String, among names: [String]) -> Bool { !name.contains("-of-") }
  public func filesBeside(_ path: String) -> [String] { [] }

  /// Refuses: for formats that are only read.
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    throw isReadOnly
  }

  /// The error of writing a format that is only read.
  public var isReadOnly: CheckpointError {
    CheckpointError(
      .usage, Place(member: "format \(name)"), "is read only",
      hint: "formats that can be written: "
        + FormatRegistry.writable.map(\.name).joined(separator: ", "))
  }
}

/// What a writer may be told.
public struct WriteOptions: Sendable {
  /// Bytes of tensors per file, where a format can be split.
  public var maxShardSize: Int?
  /// How tensors are packed, where a format can; not at all when `nil`.
  public var compression: Compression?
  /// Whether tensors that lie at the same place are one, as tied weights are, and written once.
  ///
  /// Weights that a transform has made independent of each other lie so too.
  public var keepsTies: Bool

  public init(
    maxShardSize: Int? = nil, compression: Compression? = nil, keepsTies: Bool = true
  ) {
    self.maxShardSize = maxShardSize
    self.compression = compression
    self.keepsTies = keepsTies
  }
}

/// How bytes are packed.
public enum Compression: Sendable, Equatable {
  /// Deflate, at a level of 1 (fast) to 9 (small).
  case gzip(level: Int)

  /// `gzip`, or `gzip:4` with a level; h5py's level is 4.
  public init(parsing text: String) throws(CheckpointError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let level = parts.count == 2 ? Int(parts[1]) : parts.count == 1 ? 4 : nil
    guard parts.first == "gzip", let level, (1...9).contains(level) else {
      throw CheckpointError(
        .usage, Place(member: "--compress \(text)"), "expected gzip, or gzip:1 to gzip:9")
    }
    self = .gzip(level: level)
  }
}

/// A file about to be recognised: its path, descriptor and first bytes.
public struct Probe: Sendable {
  public let file: File
  /// The first bytes, at most 4,096.
  public let head: [UInt8]
  /// The file as a zip archive, if it is one and its directory is sound.
  public let archive: ZipArchive?

  private static let memberMagic: [UInt8] = [0x50, 0x4b, 3, 4]
  static let emptyZipMagic: [UInt8] = [0x50, 0x4b, 5, 6]

  public init(_ path: String) throws(CheckpointError) {
    file = try File(path)
    head = try file.head(4096)
    let isZip = head.starts(with: Probe.memberMagic) || head.starts(with: Probe.emptyZipMagic)
    archive = isZip ? try? ZipArchive(file) : nil
  }

  /// The file as a zip archive.
  ///
  /// - Throws: ``CheckpointError`` telling what is wrong with it.
  func zip() throws(CheckpointError) -> ZipArchive {
    if let archive { return archive }
    return try ZipArchive(file)
  }

  /// Whether it is a zip with members that `fit`; one that is damaged is judged by the name of its
  /// first member.
  func isZip(_ fits: (ZipArchive) -> Bool, orFirst firstFits: (String) -> Bool) -> Bool {
    guard starts(with: Probe.memberMagic) else { return false }
    if let archive { return fits(archive) }
    guard head.count >= ZipLayout.localSize else { return false }
    let length = Int(ZipRecord(head[...]).u16(26))
    return firstFits(
      String(decoding: head.dropFirst(ZipLayout.localSize).prefix(length), as: UTF8.self))
  }

  public var path: String { file.path }

  public func starts(with magic: [UInt8]) -> Bool { head.starts(with: magic) }
}
