/// GGUF, the format of ggml and llama.cpp: typed metadata and tensors, quantized ones too.
///
/// Sources: docs/gguf.md of ggml, `gguf.cpp` and gguf-py. Versions 1 to 3 are read, version 3 also
/// big-endian, one file or all shards of a split one; version 3, little-endian, is written. What
/// the format has no place for, Keras' layers and attributes of other types, goes to the text
/// ``Layout/key``, so that it comes back unchanged.
public struct GGUF: Format {
  public init() {}

  public var name: String { "gguf" }
  public var summary: String { "GGUF of llama.cpp, quantized tensors as they are or decoded" }
  public var suffixes: [String] { ["gguf"] }

  static let alignmentKey = "general.alignment"
  /// Where a split model's shards say their number, their count and all shards' tensors.
  static let splitKeys = ["split.no", "split.count", "split.tensors.count"]
  static let magic = Array("GGUF".utf8)
  static let defaultAlignment = 32
  static let largestAlignment = 1 << 20
  /// Axes of a tensor, `GGML_MAX_DIMS`.
  static let largestRank = 4
  /// Bytes of a tensor's name, `GGML_MAX_NAME` without its terminator.
  static let longestName = 63

  public func recognises(_ probe: Probe) -> Bool { probe.starts(with: GGUF.magic) }

  /// Shards have no index; the first one stands for all.
  public func isEntry(_ name: String, among names: [String]) -> Bool {
    !name.contains("-of-") || name.contains("-00001-of-")
  }

  public func leavesOut(_ checkpoint: Checkpoint) -> [String] {
    let names = Set(checkpoint.tensors.map(\.name))
    let aliases = checkpoint.tensors.flatMap(\.aliases).count { !names.contains($0) }
    return aliases == 0 ? [] : ["\(aliases) second names of tensors"]
  }

  /// gguf-py reads names of any length.
  public func remarks(on checkpoint: Checkpoint) -> [String] {
    let long = checkpoint.tensors.lazy.map(\.name).filter { $0.utf8.count > GGUF.longestName }
    guard let first = long.first else { return [] }
    return [
      "ggml reads names of at most \(GGUF.longestName) bytes, gguf-py of any length: \(long.count) "
        + "are longer, such as \(first); --apply rename='OLD=>NEW' or --to shortens them"
    ]
  }

  /// ggml's numbers of the element types.
  static let types: [UInt32: DType] = [
    0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 9: .q8_1, 10: .q2_k,
    11: .q3_k, 12: .q4_k, 13: .q5_k, 14: .q6_k, 15: .q8_k, 16: .iq2_xxs, 17: .iq2_xs,
    18: .iq3_xxs, 19: .iq1_s, 20: .iq4_nl, 21: .iq3_s, 22: .iq2_s, 23: .iq4_xs, 24: .i8, 25: .i16,
    26: .i32, 27: .i64, 28: .f64, 29: .iq1_m, 30: .bf16, 34: .tq1_0, 35: .tq2_0, 39: .mxfp4,
    40: .nvfp4, 41: .q1_0,
  ]

  static let codes: [DType: UInt32] = Dictionary(
    uniqueKeysWithValues: types.map { ($0.value, $0.key) })

  /// Types that ggml has had and has taken out again.
  static let removed: [UInt32: String] = [
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
  ]

  /// The numbers of more than one byte in a block whose order a big-endian file turns round: their
  /// places, as gguf-py's `gguf_convert_endian` knows them; `nil` for blocks that it cannot convert.
  static func halves(in dtype: DType) -> [Int]? {
    switch dtype {
    case .q4_0, .q8_0: [0]
    case .q4_k: [0, 2]
    case .q6_k: [208]
    case .mxfp4, .nvfp4: []
    default: nil
    }
  }
}

// MARK: - Metadata values

extension GGUF {
  /// The types of metadata values.
  enum ValueType: UInt32, CaseIterable {
    case u8, i8, u16, i16, u32, i32, f32, bool, text, array, u64, i64, f64

    /// The element type of numbers.
    var dtype: DType? {
      switch self {
      case .u8: .u8
      case .i8: .i8
      case .u16: .u16
      case .i16: .i16
      case .u32: .u32
      case .i32: .i32
      case .f32: .f32
      case .bool: .bool
      case .u64: .u64
      case .i64: .i64
      case .f64: .f64
      case .text, .array: nil
      }
    }

    static func of(_ dtype: DType) -> ValueType? { allCases.first { $0.dtype == dtype } }
  }

  /// The bytes of an attribute as metadata: type and value; `nil` where GGUF has no such type, so
  /// that reading would give another attribute.
  static func value(of attribute: Attribute) -> [UInt8]? {
    var bytes: [UInt8] = []
    func begin(_ type: ValueType, _ shape: [Int]) {
      if shape.isEmpty {
        bytes.append(little: type.rawValue)
      } else {
        bytes.append(little: ValueType.array.rawValue)
        bytes.append(little: type.rawValue)
        bytes.append(little: UInt64(shape[0]))
      }
    }
    switch attribute.value {
    case .text(let texts, let shape, let type):
      guard type == Attribute.TextType(), shape.count <= 1, texts.count == shape.first ?? 1 else {
        return nil
      }
      begin(.text, shape)
      for text in texts { append(text, to: &bytes) }
    case .numbers(let dtype, let shape, let numbers):
      guard let type = ValueType.of(dtype), shape.count <= 1,
        numbers.count == dtype.byteCount(of: shape.first ?? 1),
        dtype != .bool || numbers.allSatisfy({ $0 <= 1 })
      else { return nil }
      begin(type, shape)
      bytes += numbers
    }
    return bytes
  }

  static func append(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(little: UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }

  /// The alignment that metadata state, or `nil` where they state none that makes sense.
  static func alignment(in attributes: [Attribute]) -> Int? {
    guard
      case .numbers(.u32, let shape, let bytes)? = attributes.first(where: {
        $0.name == alignmentKey
      })?.value, shape.isEmpty, let value = Elements.load(bytes, UInt32.self).first,
      value.nonzeroBitCount == 1, value <= largestAlignment
    else { return nil }
    return Int(value)
  }
}
