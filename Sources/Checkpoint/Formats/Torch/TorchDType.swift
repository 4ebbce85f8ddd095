/// PyTorch's names of element types.
enum TorchDType {
  /// The type of `torch.float32`, or `nil` for one that ckpt cannot hold.
  static func named(_ name: String) -> DType? {
    table.first { "torch.\($0.name)" == name }?.dtype
  }

  /// The type of a storage class such as `torch.FloatStorage`, of whatever device.
  static func storage(_ name: String) -> DType? {
    guard name.hasPrefix("torch.") else { return nil }
    let last = name.split(separator: ".").last.map(String.init)
    if last == untyped { return .u8 }
    return table.first { $0.storage != nil && $0.storage == last }?.dtype
  }

  /// PyTorch's name of a type, and the class of its storages; types without one are kept in
  /// storages of bytes.
  static func spelled(_ dtype: DType) -> (name: String, storage: String?)? {
    table.first { $0.dtype == dtype }.map { ($0.name, $0.storage) }
  }

  static let untyped = "UntypedStorage"

  private static let table: [(dtype: DType, name: String, storage: String?)] = [
    (.f64, "float64", "DoubleStorage"), (.f32, "float32", "FloatStorage"),
    (.f16, "float16", "HalfStorage"), (.bf16, "bfloat16", "BFloat16Storage"),
    (.i64, "int64", "LongStorage"), (.i32, "int32", "IntStorage"),
    (.i16, "int16", "ShortStorage"), (.i8, "int8", "CharStorage"),
    (.u8, "uint8", "ByteStorage"), (.bool, "bool", "BoolStorage"),
    (.c64, "complex64", "ComplexFloatStorage"), (.c128, "complex128", "ComplexDoubleStorage"),
    (.u16, "uint16", nil), (.u32, "uint32", nil), (.u64, "uint64", nil),
    (.f8_e4m3, "float8_e4m3fn", nil), (.f8_e5m2, "float8_e5m2", nil),
    (.f8_e4m3fnuz, "float8_e4m3fnuz", nil), (.f8_e5m2fnuz, "float8_e5m2fnuz", nil),
    (.f8_e8m0, "float8_e8m0fnu", nil),
  ]
}
