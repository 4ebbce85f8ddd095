/// TensorFlow's numbers of element types.
///
/// Source: `tensorflow/core/framework/types.proto`.
enum TensorFlowType {
  static let string = 7

  static func dtype(_ number: Int) -> DType? { numbers.first { $0.number == number }?.dtype }

  static func number(_ dtype: DType) -> Int? { numbers.first { $0.dtype == dtype }?.number }

  private static let numbers: [(number: Int, dtype: DType)] = [
    (1, .f32), (2, .f64), (3, .i32), (4, .u8), (5, .i16), (6, .i8), (8, .c64), (9, .i64),
    (10, .bool), (14, .bf16), (17, .u16), (18, .c128), (19, .f16), (22, .u32), (23, .u64),
    (24, .f8_e5m2), (25, .f8_e4m3), (26, .f8_e4m3fnuz), (28, .f8_e5m2fnuz),
  ]

  /// Why elements of a type that is no ``DType`` cannot be held.
  static func reason(_ number: Int) -> String {
    switch number {
    case 11, 12, 13, 15, 16:
      "holds quantized integers (\(others[number] ?? "")), whose scale the file does not tell"
    case 20: "holds a resource, which means nothing outside the session that wrote it"
    case 21: "holds a variant, whose content only TensorFlow's own code can tell"
    default:
      others[number].map { "elements of type \($0) are not supported" }
        ?? "elements of the unknown type \(number) are not supported"
    }
  }

  private static let others = [
    7: "string", 11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16", 16: "quint16",
    20: "resource", 21: "variant", 27: "float8_e4m3b11fnuz", 29: "int4", 30: "uint4", 31: "int2",
    32: "uint2",
  ]
}
