import Glibc
import TestSupport
import Testing

@testable import Checkpoint

/// Datasets that are written packed.
@Suite struct HDF5PackingTests {
  private static func write(
    _ checkpoint: Checkpoint, _ scratch: TemporaryFolder, _ name: String, level: Int = 4
  ) throws -> String {
    let output = Output(overwrite: true, inputs: [])
    try KerasHDF5().write(
      checkpoint, to: scratch.file(name), in: output,
      options: WriteOptions(compression: .gzip(level: level)))
    try output.commit(durable: false)
    return scratch.file(name)
  }

  /// Tensors of every type that HDF5 holds; some small, some of several chunks that do not come out
  /// even.
  private static let checkpoint: Checkpoint = {
    let types: [DType] = [
      .f64, .f32, .f16, .i64, .i32, .i16, .i8, .u64, .u32, .u16, .u8, .bool, .bf16,
    ]
    var tensors = types.map { Samples.tensor("types/\($0.rawValue)", $0, [37, 211], seed: 3) }
    tensors += [
      Samples.tensor("scalar", .f32, []), Samples.tensor("empty", .f32, [0, 4]),
      Samples.tensor("small", .f32, [8]), Samples.tensor("line", .f32, [600_001]),
      Samples.tensor("rows", .f32, [1031, 513]), Samples.tensor("wide", .f32, [2, 300_000]),
      Samples.tensor("deep", .u8, [3, 5, 700, 201]),
    ]
    let group = Group(
      name: "", attributes: [Attribute("types/bf16@dtype", text: "bfloat16")], tensors: tensors)
    return Checkpoint(groups: [group], attributes: [Attribute("note", text: "文")])
  }()

  @Test func `what is packed reads back, and two runs write the same bytes`() throws {
    let scratch = try TemporaryFolder()
    let path = try Self.write(Self.checkpoint, scratch, "a.h5")
    let read = try KerasHDF5().read(Probe(path))
    #expect(read.tensors.count == Self.checkpoint.tensors.count)
    for tensor in Self.checkpoint.tensors {
      let found = try read.tensor(tensor.name)
      #expect(found.dtype == tensor.dtype)
      #expect(found.shape == tensor.shape)
      #expect(try found.bytes() == tensor.bytes(), "\(tensor.name)")
      let expected =
        tensor.byteCount == 0
        ? "never written"
        : tensor.byteCount < 4096
          ? "contiguous" : tensor.dtype.size == 1 ? "chunked gzip" : "chunked shuffle+gzip"
      #expect(found.payload.storage == expected, "\(tensor.name)")
    }
    #expect(read.text("note") == "文")
    let again = try Self.write(Self.checkpoint, scratch, "b.h5")
    #expect(try File.contents(of: path) == File.contents(of: again))
    #expect(try File(path).size < Self.checkpoint.tensors.reduce(0) { $0 + $1.byteCount } / 4)
  }

  @Test func `what is packed can be packed again from the file`() throws {
    let scratch = try TemporaryFolder()
    let first = try KerasHDF5().read(Probe(Self.write(Self.checkpoint, scratch, "a.h5")))
    let second = try KerasHDF5().read(Probe(Self.write(first, scratch, "b.h5", level: 9)))
    #expect(try second.summary() == first.summary())
  }

  @Test func `a full disk is an error`() throws {
    let output = OutputFile(
      path: "/dev/full", target: "x.h5", descriptor: open("/dev/full", O_RDWR))
    defer { close(output.descriptor) }
    let error = #expect(throws: CheckpointError.self) {
      var writer = try HDF5Writer(output)
      try writer.makePackedDataset("x", of: Samples.tensor("x", .f32, [3000, 300]), level: 1)
    }
    #expect(error?.kind == .cannotWrite)
    #expect(error?.place == Place(file: "x.h5", tensor: "x"))
  }

  static let cuts: [(Shape, Int, [Int])] = [
    ([10], 4, [10]), ([300_000], 4, [262_144]), ([1000, 1000], 4, [262, 1000]),
    ([2, 300_000], 4, [1, 262_144]), ([5, 6, 7], 1, [5, 6, 7]),
    ([9, 1000, 1000], 1, [1, 1000, 1000]), ([9, 2000, 1000], 1, [1, 1048, 1000]),
  ]

  @Test(arguments: cuts)
  func `chunks are runs of elements`(_ shape: Shape, _ size: Int, _ extents: [Int]) {
    let chunks = HDF5Chunks(shape: shape, size: size)
    #expect(chunks.extents == extents)
    var position = 0
    while position < shape.count {
      let chunk = chunks.chunk(at: position)
      var element = 0
      for axis in 0..<shape.rank {
        element += chunk.start[axis] * shape.strides[axis]
        #expect(chunk.start[axis] + chunk.extents[axis] <= shape[axis])
      }
      #expect(element == position)
      position += chunk.count
    }
    #expect(position == shape.count)
  }

  @Test(arguments: ["gzip", "gzip:1", "gzip:9"]) func `a level is parsed`(_ text: String) throws {
    #expect(
      try Compression(parsing: text) == .gzip(level: text == "gzip" ? 4 : text.last == "1" ? 1 : 9))
  }

  @Test(arguments: ["", "gzip:", "gzip:0", "gzip:10", "zstd", "gzip:4:4"])
  func `another packing is refused`(_ text: String) {
    #expect(throws: CheckpointError(.usage, Place(member: "--compress \(text)"), "")) {
      try Compression(parsing: text)
    }
  }
}
