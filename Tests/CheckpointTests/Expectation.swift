import Checkpoint
import Testing

/// What another library reads of a file: for each tensor type, shape and SHA-256 of its bytes (or
/// the digest's beginning).
struct Expectation {
  let dtype: DType
  let shape: [Int]
  let sha256: String

  /// NumPy's names of types, where they are not ours.
  private static let names = [
    "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64",
    "int32": "i32", "int16": "i16", "int8": "i8", "uint64": "u64", "uint32": "u32",
    "uint16": "u16", "uint8": "u8",
  ]

  init?(_ json: JSON) {
    guard let name = json["dtype"]?.string,
      let dtype = DType(rawValue: Expectation.names[name] ?? name),
      let shape = json["shape"]?.array?.compactMap(\.int), let sha256 = json["sha256"]?.string
    else { return nil }
    (self.dtype, self.shape, self.sha256) = (dtype, shape, sha256)
  }

  func isMet(by tensor: Tensor) throws -> Bool {
    var digest = SHA256()
    try tensor.readWindows { digest.update($0) }
    let hex = digest.hex()
    return tensor.dtype == dtype && tensor.shape.extents == shape && hex.hasPrefix(sha256)
  }
}
