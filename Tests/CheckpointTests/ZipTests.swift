import Foundation
import Testing

@testable import Checkpoint

/// A folder that goes when the test ends, for archives made of literal bytes.
final class ScratchArchives {
  let folder: String

  init() {
    folder = NSTemporaryDirectory() + "ckpt-zip-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { folder + "/" + name }

  func file(_ bytes: [UInt8], name: String = "a.zip") throws -> File {
    try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
    return try File(path(name))
  }

  /// The bytes that `ZipWriter` makes of `members`.
  func written(_ members: [(String, [UInt8])]) throws -> [UInt8] {
    let output = Output(overwrite: true, inputs: [])
    var writer = try ZipWriter(output.file(path("w.zip")))
    for (name, bytes) in members { try writer.add(name, bytes: bytes) }
    try writer.finish()
    try output.commit(durable: false)
    return try File.contents(of: path("w.zip"))
  }
}

/// An archive of one stored member, field by field, so that a test can lie in any of them.
struct HandmadeZip {
  var name: [UInt8] = Array("a".utf8)
  var data: [UInt8] = Array("hello".utf8)
  var crc: UInt32 = 0x3610_a686
  var method: UInt16 = 0
  var flags: UInt16 = 0
  var size: UInt32?
  var packed: UInt32?
  var offset: UInt32 = 0
  var copies = 1
  var count: UInt16?
  var localName: [UInt8]?
  var comment: [UInt8] = []
  var extra: [UInt8] = []

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func common(_ bytes: inout [UInt8], _ name: [UInt8]) {
      for value: UInt16 in [20, flags, method, 0, 0x21] { bytes.append(little: value) }
      bytes.append(little: crc)
      bytes.append(little: packed ?? UInt32(data.count))
      bytes.append(little: size ?? UInt32(data.count))
      bytes.append(little: UInt16(name.count))
    }
    bytes.append(little: UInt32(0x0403_4b50))
    common(&bytes, localName ?? name)
    bytes.append(little: UInt16(0))
    bytes += (localName ?? name) + data
    let start = bytes.count
    for _ in 0..<copies {
      bytes.append(little: UInt32(0x0201_4b50))
      bytes.append(little: UInt16(20))
      common(&bytes, name)
      bytes.append(little: UInt16(extra.count))
      bytes += [UInt8](repeating: 0, count: 10)
      bytes.append(little: offset)
      bytes += name + extra
    }
    let length = bytes.count - start
    bytes.append(little: UInt32(0x0605_4b50))
    bytes.append(little: UInt32(0))
    bytes.append(little: count ?? UInt16(copies))
    bytes.append(little: count ?? UInt16(copies))
    bytes.append(little: UInt32(length))
    bytes.append(little: UInt32(start))
    bytes.append(little: UInt16(comment.count))
    return bytes + comment
  }
}

@Suite struct ZipTests {
  let scratch = ScratchArchives()

  @Test func `a handmade archive opens`() throws {
    var zip = HandmadeZip()
    zip.comment = Array("a comment".utf8)
    let archive = try ZipArchive(scratch.file(zip.bytes))
    let member = try #require(archive["a"])
    #expect(try archive.contents(of: member) == Array("hello".utf8))
    #expect(try archive.slice(of: member).offset == 31)
    #expect(member.method == .stored)
    #expect(archive["b"] == nil)
  }

  static let lies: [(String, CheckpointError.Kind, @Sendable (inout HandmadeZip) -> Void)] = [
    ("a name with a NUL", .damaged, { $0.name = [0x61, 0] }),
    ("an empty name", .damaged, { $0.name = [] }),
    ("a name that is not UTF-8", .unsupported, { $0.name = [0xff] }),
    ("a name twice", .damaged, { $0.copies = 2 }),
    ("more members than listed", .damaged, { $0.count = 2 }),
    ("fewer members than listed", .damaged, { $0.count = 0 }),
    ("65,535 members in one", .damaged, { $0.count = 0xffff }),
    ("a stored size beyond the data", .damaged, { $0.size = 6 }),
    ("sizes beyond the file", .damaged, { ($0.size, $0.packed) = (1000, 1000) }),
    ("sizes that reach the directory", .damaged, { ($0.size, $0.packed) = (6, 6) }),
    ("an impossible ratio", .damaged, { ($0.method, $0.size) = (8, 1 << 30) }),
    ("a header beyond the file", .damaged, { $0.offset = 0xffff_fff0 }),
    ("a header elsewhere", .damaged, { $0.offset = 3 }),
    ("a 64-bit size that is missing", .damaged, { $0.size = 0xffff_ffff }),
    (
      "an extra field that is cut", .damaged,
      {
        $0.extra = [1, 0, 16, 0, 0]; $0.size = ~0
      }
    ),
    ("a local header of another name", .damaged, { $0.localName = [0x62] }),
    ("a wrong checksum", .damaged, { $0.crc = 1 }),
    ("an encrypted member", .unsupported, { $0.flags = 1 }),
    ("an unknown method", .unsupported, { $0.method = 99 }),
    ("data that do not inflate", .damaged, { $0.method = 8 }),
  ]

  @Test(arguments: lies.indices)
  func `a lie in an archive is told`(index: Int) throws {
    let (name, kind, lie) = ZipTests.lies[index]
    var zip = HandmadeZip()
    lie(&zip)
    let error = #expect(throws: CheckpointError.self, "\(name)") {
      let archive = try ZipArchive(scratch.file(zip.bytes))
      for member in archive.members { _ = try archive.contents(of: member) }
    }
    #expect(error?.kind == kind, "\(name): \(error?.description ?? "")")
    #expect(error?.place.file != nil, "\(name)")
  }

  @Test func `what is written is read back, in order and aligned`() throws {
    let members: [(String, [UInt8])] = [
      ("a", []), ("folder/词 嵌入", [1, 2, 3]), ("b", [UInt8](repeating: 7, count: 5000)),
    ]
    let bytes = try scratch.written(members)
    #expect(try scratch.written(members) == bytes, "writing is not deterministic")
    let archive = try ZipArchive(scratch.file(bytes))
    #expect(archive.members.map(\.name) == members.map(\.0))
    for (member, (_, bytes)) in zip(archive.members, members) {
      #expect(try archive.contents(of: member) == bytes)
      #expect(try archive.slice(of: member).offset % 64 == 0)
    }
  }

  @Test func `an archive inside another opens in place`() throws {
    let inner = try scratch.written([("x", [1, 2, 3])])
    let outer = try ZipArchive(scratch.file(scratch.written([("in.zip", inner)])))
    let archive = try ZipArchive(outer.slice(of: outer.members[0]))
    #expect(try archive.contents(of: archive.members[0]) == [1, 2, 3])
  }

  @Test func `a name is not written twice, nor one that zip cannot hold`() throws {
    for names in [["a", "a"], [""], ["a\0b"], [String(repeating: "n", count: 70_000)]] {
      let error = #expect(throws: CheckpointError.self) {
        try scratch.written(names.map { ($0, []) })
      }
      #expect(error?.kind == .unsupported)
    }
  }

  @Test func `an archive cut anywhere is damaged`() throws {
    let bytes = try scratch.written([("a", [1, 2, 3]), ("b", [4])])
    for count in bytes.indices {
      let error = #expect(throws: CheckpointError.self, "cut at \(count)") {
        try ZipArchive(scratch.file(Array(bytes[..<count])))
      }
      #expect(error?.kind == .damaged)
    }
  }

  @Test(arguments: [0, 5, 100, 300])
  func `sizes and offsets beyond 4 GB go through zip64 records`(limit: Int) throws {
    // The limit stands for 4 GB: the records are the same.
    let output = Output(overwrite: true, inputs: [])
    var writer = try ZipWriter(output.file(scratch.path("big.zip")), wideFrom: limit)
    try writer.add("three", bytes: [1, 2, 3])
    try writer.add("many", bytes: [UInt8](repeating: 5, count: 200))
    try writer.add("after", bytes: [6])
    try writer.finish()
    try output.commit(durable: false)
    let archive = try ZipArchive(File(scratch.path("big.zip")))
    #expect(archive.members.map(\.size) == [3, 200, 1])
    #expect(
      try archive.members.map { try archive.contents(of: $0) }
        == [[1, 2, 3], [UInt8](repeating: 5, count: 200), [6]])
    #expect(try archive.members.allSatisfy { try archive.slice(of: $0).offset % 64 == 0 })
  }
}
