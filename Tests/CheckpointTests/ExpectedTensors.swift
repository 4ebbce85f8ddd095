import Checkpoint
import Testing

/// What another library reads from a file: `{name: {"dtype", "shape", "sha256"}}`, the digest being
/// the first 24 hexadecimal digits of the SHA-256 of the little-endian bytes in C order.
struct ExpectedTensors {
  let members: [JSON.Member]

  init(_ json: JSON?) { members = json?.members ?? [] }

  /// The entries of a JSON file, by the file that each is about.
  static func file(_ path: String) throws -> [JSON.Member] {
    try JSON(parsing: File.contents(of: path)).members ?? []
  }

  private static let spelled = [
    "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64",
    "int32": "i32", "int16": "i16", "int8": "i8", "uint64": "u64", "uint32": "u32",
    "uint16": "u16", "uint8": "u8",
  ]

  /// Requires the same names in the same order, types, shapes and bytes.
  func check(_ checkpoint: Checkpoint, nameless: Bool = false) throws {
    let tensors = checkpoint.tensors
    if !nameless { #expect(tensors.map(\.name) == members.map(\.key)) }
    try #require(tensors.count == members.count)
    for (tensor, member) in zip(tensors, members) {
      let dtype = try #require(member.value["dtype"]?.string)
      #expect(tensor.dtype.rawValue == ExpectedTensors.spelled[dtype] ?? dtype, "\(tensor.name)")
      #expect(tensor.shape.extents == member.value["shape"]?.array?.compactMap(\.int))
      var digest = SHA256()
      digest.update(try tensor.bytes())
      #expect(String(digest.hex().prefix(24)) == member.value["sha256"]?.string, "\(tensor.name)")
      // In windows, as a conversion takes them.
      var windows = SHA256()
      try tensor.readWindows { windows.update($0) }
      #expect(String(windows.hex().prefix(24)) == member.value["sha256"]?.string, "\(tensor.name)")
    }
  }
}
