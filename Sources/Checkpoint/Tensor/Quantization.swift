/// ggml's quantized blocks: what they stand for, and how plain numbers become such blocks.
///
/// Source: `ggml-quants.c` and `ggml-common.h` of ggml (block layouts), gguf-py's `quants.py`.
enum Quantization {
  /// Whether ``decode(_:as:)`` knows the type.
  static func decodes(_ dtype: DType) -> Bool { false }
  /// Whether ``encode(_:as:)`` knows the type.
  static func encodes(_ dtype: DType) -> Bool { false }

  /// The numbers that whole blocks stand for; NaN where the type is not known.
  static func decode(_ bytes: [UInt8], as dtype: DType) -> [Float] {
    [Float](repeating: .nan, count: bytes.count / dtype.block.bytes * dtype.block.elements)
  }

  /// Whole blocks for `values`; zeros where the type is not known.
  static func encode(_ values: [Float], as dtype: DType) -> [UInt8] {
    [UInt8](repeating: 0, count: dtype.byteCount(of: values.count))
  }
}
