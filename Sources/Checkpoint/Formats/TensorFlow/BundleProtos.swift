/// What a bundle's index holds: a header under the empty key, and an entry for each tensor.
///
/// Source: `tensorflow/core/protobuf/tensor_bundle.proto`.
struct BundleHeader: Sendable {
  var shards = 0
  var isBigEndian = false
  /// The oldest reader that may read it; ckpt reads version 1.
  var oldestReader = 0

  static let version = 1

  init(shards: Int) { self.shards = shards }

  init(_ message: Protobuf) throws(CheckpointError) {
    var message = message
    while let field = try message.next() {
      switch field.number {
      case 1: shards = field.value.int ?? 0
      case 2: isBigEndian = field.value.int == 1
      case 3:
        var versions = try message.message(of: field.value)
        while let field = try versions.next() {
          if field.number == 2 { oldestReader = field.value.int ?? 0 }
        }
      default: break
      }
    }
  }

  var bytes: [UInt8] {
    var versions = ProtobufWriter()
    versions.varint(1, UInt64(BundleHeader.version))
    var header = ProtobufWriter()
    header.varint(1, UInt64(shards))
    header.bytes(3, versions.bytes)
    return header.bytes
  }
}

struct BundleEntry: Sendable {
  var type = 0
  var extents: [Int] = []
  var isRankUnknown = false
  var shard = 0
  var offset = 0
  var size = 0
  /// Masked.
  var checksum: UInt32 = 0
  /// The parts of a partitioned tensor, which has no bytes of its own.
  var slices: [TensorSlice] = []

  init(type: Int, extents: [Int]) {
    self.type = type
    self.extents = extents
  }

  init(_ message: Protobuf) throws(CheckpointError) {
    var message = message
    while let field = try message.next() {
      switch field.number {
      case 1: type = field.value.int ?? 0
      case 2:
        (extents, isRankUnknown) = try TensorShapeProto.extents(
          try message.message(of: field.value))
      case 3: shard = field.value.int ?? 0
      case 4: offset = field.value.int ?? 0
      case 5: size = field.value.int ?? 0
      case 6:
        if case .fixed32(let value) = field.value { checksum = value }
      case 7: slices.append(try TensorSlice(try message.message(of: field.value)))
      default: break
      }
    }
  }

  /// Values that are zero are left out, as protocol buffers do.
  var bytes: [UInt8] {
    var entry = ProtobufWriter()
    if type != 0 { entry.varint(1, UInt64(type)) }
    entry.bytes(2, TensorShapeProto.bytes(extents))
    if shard != 0 { entry.varint(3, UInt64(shard)) }
    if offset != 0 { entry.varint(4, UInt64(offset)) }
    if size != 0 { entry.varint(5, UInt64(size)) }
    if checksum != 0 { entry.fixed32(6, checksum) }
    return entry.bytes
  }
}

/// Source: `tensorflow/core/framework/tensor_shape.proto`.
enum TensorShapeProto {
  static func extents(
    _ message: Protobuf
  ) throws(CheckpointError) -> ([Int], isRankUnknown: Bool) {
    var message = message
    var extents: [Int] = []
    var isRankUnknown = false
    while let field = try message.next() {
      switch field.number {
      case 2:
        var extent = 0
        var axis = try message.message(of: field.value)
        while let field = try axis.next() {
          if field.number == 1 { extent = field.value.int ?? 0 }
        }
        extents.append(extent)
        guard extents.count <= TensorSlice.largestRank else {
          throw message.fail("a shape has more than \(TensorSlice.largestRank) axes")
        }
      case 3: isRankUnknown = field.value.int != 0
      default: break
      }
    }
    return (extents, isRankUnknown)
  }

  static func bytes(_ extents: [Int]) -> [UInt8] {
    var shape = ProtobufWriter()
    for extent in extents {
      var axis = ProtobufWriter()
      if extent != 0 { axis.varint(1, UInt64(extent)) }
      shape.bytes(2, axis.bytes)
    }
    return shape.bytes
  }
}
