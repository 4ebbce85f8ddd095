/// The element type of a tensor, spelled as in the command's output (`f32`, `bf16`, …).
///
/// Most types have elements of whole bytes. Packed types keep a block of elements in a block of
/// bytes: 4- and 6-bit floats, and GGUF's quantized types, whose blocks run along the last axis.
public enum DType: String, Sendable, CaseIterable, Codable {
  case f64, f32, f16, bf16
  case i64, i32, i16, i8
  case u64, u32, u16, u8
  case bool
  /// Complex numbers: two f32, or two f64; real part first.
  case c64, c128
  /// 8-bit floats (OCP OFP8; `fnuz`: no negative zero, no infinities; `e8m0`: powers of two).
  case f8_e4m3, f8_e5m2, f8_e4m3fnuz, f8_e5m2fnuz, f8_e8m0
  /// 4- and 6-bit floats of OCP MX, packed without gaps.
  case f4, f6_e2m3, f6_e3m2
  /// ggml's quantized blocks.
  case q4_0, q4_1, q5_0, q5_1, q8_0, q8_1
  case q2_k, q3_k, q4_k, q5_k, q6_k, q8_k
  case iq1_s, iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, iq4_nl, iq4_xs
  case tq1_0, tq2_0, mxfp4, nvfp4, q1_0

  /// Elements that are kept together, and the bytes that they take; one element for most types.
  public var block: (elements: Int, bytes: Int) {
    switch self {
    case .c128: (1, 16)
    case .f64, .i64, .u64, .c64: (1, 8)
    case .f32, .i32, .u32: (1, 4)
    case .f16, .bf16, .i16, .u16: (1, 2)
    case .i8, .u8, .bool, .f8_e4m3, .f8_e5m2, .f8_e4m3fnuz, .f8_e5m2fnuz, .f8_e8m0: (1, 1)
    case .f4: (2, 1)
    case .f6_e2m3, .f6_e3m2: (4, 3)
    case .q4_0, .iq4_nl: (32, 18)
    case .q4_1: (32, 20)
    case .q5_0: (32, 22)
    case .q5_1: (32, 24)
    case .q8_0: (32, 34)
    case .q8_1: (32, 36)
    case .q2_k: (256, 84)
    case .q3_k, .iq3_s: (256, 110)
    case .q4_k: (256, 144)
    case .q5_k: (256, 176)
    case .q6_k: (256, 210)
    case .q8_k: (256, 292)
    case .iq1_s: (256, 50)
    case .iq1_m: (256, 56)
    case .iq2_xxs, .tq2_0: (256, 66)
    case .iq2_xs: (256, 74)
    case .iq2_s: (256, 82)
    case .iq3_xxs: (256, 98)
    case .iq4_xs: (256, 136)
    case .tq1_0: (256, 54)
    case .mxfp4: (32, 17)
    case .nvfp4: (64, 36)
    case .q1_0: (128, 18)
    }
  }

  /// Bytes of one element; `nil` where elements are packed.
  public var elementSize: Int? { block.elements == 1 ? block.bytes : nil }

  /// Bytes of one element; of a whole block where elements are packed.
  public var size: Int { block.bytes }

  /// Bytes of one number, whose order a file may turn round: half an element of a complex type.
  public var numberSize: Int {
    switch self {
    case .c64, .c128: size / 2
    default: isPacked ? 1 : size
    }
  }

  /// Bytes of `count` elements; a block that is begun counts whole.
  ///
  /// - Precondition: `count` comes from a ``Shape``, so that the product fits an `Int`.
  public func byteCount(of count: Int) -> Int {
    (count / block.elements + (count % block.elements == 0 ? 0 : 1)) * block.bytes
  }

  /// Whether elements are packed several to a block.
  public var isPacked: Bool { block.elements > 1 }

  /// Whether elements stand in ggml's blocks, which share scales.
  public var isQuantized: Bool { block.elements > 4 }

  /// Whether an element takes fewer bits than f32's.
  public var isNarrowerThanF32: Bool { block.bytes < 4 * block.elements }

  /// Whether elements are pairs of a real and an imaginary part.
  var isComplex: Bool { self == .c64 || self == .c128 }

  /// Numbers of an element, by which statistics and differences go.
  var numbersPerElement: Int { isComplex ? 2 : 1 }

  /// Whether elements are numbers, or pairs of them, that ckpt can decode.
  var isDecodable: Bool { !isQuantized || Quantization.decodes(self) }

  /// Whether each element is a floating-point number of whole bytes that can be converted into
  /// another.
  public var isFloat: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16, .f8_e4m3, .f8_e5m2, .f8_e4m3fnuz, .f8_e5m2fnuz, .f8_e8m0: true
    default: false
    }
  }
}
