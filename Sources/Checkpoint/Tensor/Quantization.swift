/// ggml's quantized blocks: what they stand for, and how plain numbers become such blocks.
///
/// A block's layout is that of `ggml-common.h`; products and sums are taken in Float and in the
/// order of gguf-py's `quants.py`, so that results are equal to the bit.
enum Quantization {
  /// Whether ``decode(_:as:)`` knows the type.
  static func decodes(_ dtype: DType) -> Bool { dtype.isQuantized }

  /// Whether ``encode(_:as:)`` knows the type.
  static func encodes(_ dtype: DType) -> Bool { dtype == .q8_0 }

  /// The numbers that whole blocks stand for.
  static func decode(_ bytes: [UInt8], as dtype: DType) -> [Float] {
    let (elements, size) = dtype.block
    let decode = decoder(of: dtype)
    var values: [Float] = []
    values.reserveCapacity(bytes.count / size * elements)
    for start in stride(from: 0, to: bytes.count / size * size, by: size) {
      decode(Block(bytes: bytes, start: start), &values)
    }
    return values
  }

  /// Whole blocks for `values`; zeros where the type is not known.
  static func encode(_ values: [Float], as dtype: DType) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(dtype.byteCount(of: values.count))
    guard encodes(dtype) else {
      return [UInt8](repeating: 0, count: dtype.byteCount(of: values.count))
    }
    let elements = dtype.block.elements
    for start in stride(from: 0, to: values.count, by: elements) {
      appendQ8_0(values[start..<min(start + elements, values.count)], to: &bytes)
    }
    return bytes
  }

  /// A half scale, the largest magnitude / 127, and 32 signed bytes, rounded half away from zero.
  ///
  /// A block that holds NaN or infinity gets a scale that is not finite.
  private static func appendQ8_0(_ values: ArraySlice<Float>, to bytes: inout [UInt8]) {
    let largest = values.reduce(Float(0)) { $1.isNaN || $1.magnitude > $0 ? $1.magnitude : $0 }
    let scale = values.contains(where: \.isNaN) ? Float.nan : largest / 127
    let inverse = scale == 0 ? 0 : 1 / scale
    bytes.append(little: Float16(scale).bitPattern)
    for value in values {
      let rounded = (value * inverse).rounded(.toNearestOrAwayFromZero)
      bytes.append(UInt8(bitPattern: Int8(exactly: rounded) ?? 0))
    }
  }

  /// One block among the bytes of a tensor.
  struct Block {
    let bytes: [UInt8]
    let start: Int

    /// The byte at `index` as a number without sign.
    subscript(index: Int) -> Int { Int(bytes[start + index]) }

    func signed(_ index: Int) -> Float { Float(Int8(bitPattern: bytes[start + index])) }
    func u16(_ index: Int) -> Int { self[index] | self[index + 1] << 8 }
    func u32(_ index: Int) -> Int { u16(index) | u16(index + 2) << 16 }
    func half(_ index: Int) -> Float { Float(Float16(bitPattern: UInt16(u16(index)))) }
  }

  typealias Decoder = (Block, inout [Float]) -> Void

  private static func decoder(of dtype: DType) -> Decoder {
    switch dtype {
    case .q4_0: decodeQ4_0
    case .q4_1: decodeQ4_1
    case .q5_0: decodeQ5_0
    case .q5_1: decodeQ5_1
    case .q8_0: decodeQ8_0
    case .q8_1: decodeQ8_1
    case .q1_0: decodeQ1_0
    case .q2_k: decodeQ2_K
    case .q3_k: decodeQ3_K
    case .q4_k: decodeQ4_K
    case .q5_k: decodeQ5_K
    case .q6_k: decodeQ6_K
    case .q8_k: decodeQ8_K
    case .iq1_s: decodeIQ1_S
    case .iq1_m: decodeIQ1_M
    case .iq2_xxs: decodeIQ2_XXS
    case .iq2_xs: decodeIQ2_XS
    case .iq2_s: decodeIQ2_S
    case .iq3_xxs: decodeIQ3_XXS
    case .iq3_s: decodeIQ3_S
    case .iq4_nl: decodeIQ4_NL
    case .iq4_xs: decodeIQ4_XS
    case .tq1_0: decodeTQ1_0
    case .tq2_0: decodeTQ2_0
    case .mxfp4: decodeMXFP4
    case .nvfp4: decodeNVFP4
    default: { block, values in }
    }
  }
}

// MARK: - Blocks of 32 with one scale

extension Quantization {
  /// Scale; 16 bytes whose low halves come first; offset 8.
  private static func decodeQ4_0(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(0)
    for shift in [0, 4] {
      for index in 0..<16 { values.append(scale * Float(block[2 + index] >> shift & 15 - 8)) }
    }
  }

  /// Scale, minimum; 16 bytes.
  private static func decodeQ4_1(_ block: Block, _ values: inout [Float]) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for shift in [0, 4] {
      for index in 0..<16 {
        values.append(scale * Float(block[4 + index] >> shift & 15) + minimum)
      }
    }
  }

  /// Scale; a word of fifth bits; 16 bytes of the lower four; offset 16.
  private static func decodeQ5_0(_ block: Block, _ values: inout [Float]) {
    let (scale, high) = (block.half(0), block.u32(2))
    for index in 0..<32 {
      let low = block[6 + index % 16] >> (index / 16 * 4) & 15
      values.append(scale * Float((low | (high >> index & 1) << 4) - 16))
    }
  }

  /// Scale, minimum; a word of fifth bits; 16 bytes of the lower four.
  private static func decodeQ5_1(_ block: Block, _ values: inout [Float]) {
    let (scale, minimum, high) = (block.half(0), block.half(2), block.u32(4))
    for index in 0..<32 {
      let low = block[8 + index % 16] >> (index / 16 * 4) & 15
      values.append(scale * Float(low | (high >> index & 1) << 4) + minimum)
    }
  }

  /// Scale; 32 signed bytes.
  private static func decodeQ8_0(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(0)
    for index in 0..<32 { values.append(block.signed(2 + index) * scale) }
  }

  /// Scale; the sum of the elements, which only products use; 32 signed bytes.
  private static func decodeQ8_1(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(0)
    for index in 0..<32 { values.append(block.signed(4 + index) * scale) }
  }

  /// Scale; 128 bits that say plus or minus.
  private static func decodeQ1_0(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(0)
    for index in 0..<128 {
      values.append(block[2 + index / 8] >> (index % 8) & 1 == 1 ? scale : -scale)
    }
  }
}

// MARK: - Super-blocks of 256 with scales of their parts

extension Quantization {
  /// 16 bytes of scale and minimum, four bits each; 64 bytes of two bits; scale and minimum of all.
  private static func decodeQ2_K(_ block: Block, _ values: inout [Float]) {
    let (scale, minimum) = (block.half(80), block.half(82))
    for part in 0..<16 {
      let own = scale * Float(block[part] & 15)
      let offset = minimum * Float(block[part] >> 4)
      let (first, shift) = (16 + part / 8 * 32 + part % 2 * 16, part % 8 / 2 * 2)
      for index in 0..<16 {
        values.append(own * Float(block[first + index] >> shift & 3) - offset)
      }
    }
  }

  /// 32 bytes of high bits (clear: minus 4); 64 bytes of two bits; 16 scales of six bits; scale.
  private static func decodeQ3_K(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(108)
    for part in 0..<16 {
      let low = block[96 + part % 8] >> (part / 8 * 4) & 15
      let high = block[104 + part % 4] >> (part / 4 * 2) & 3
      let own = scale * Float((low | high << 4) - 32)
      let (first, shift) = (32 + part / 8 * 32 + part % 2 * 16, part % 8 / 2 * 2)
      for index in 0..<16 {
        let isClear = block[part % 2 * 16 + index] >> (part / 2) & 1 == 0
        values.append(own * Float((block[first + index] >> shift & 3) - (isClear ? 4 : 0)))
      }
    }
  }

  /// Scale and minimum, six bits each, of part `part` of eight; 12 bytes from `start` on.
  private static func scaleAndMinimum(_ block: Block, _ start: Int, _ part: Int) -> (Float, Float) {
    let (scale, minimum) = (block[start + part % 4], block[start + 4 + part % 4])
    guard part >= 4 else { return (Float(scale & 63), Float(minimum & 63)) }
    let low = block[start + 8 + part % 4]
    return (Float(low & 15 | scale >> 2 & 48), Float(low >> 4 | minimum >> 2 & 48))
  }

  /// Scale, minimum of all; 12 bytes of scales and minima; 128 bytes of four bits.
  private static func decodeQ4_K(_ block: Block, _ values: inout [Float]) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for part in 0..<8 {
      let (own, least) = scaleAndMinimum(block, 4, part)
      let (factor, offset) = (scale * own, minimum * least)
      for index in 0..<32 {
        let value = block[16 + part / 2 * 32 + index] >> (part % 2 * 4) & 15
        values.append(factor * Float(value) - offset)
      }
    }
  }

  /// As Q4_K, with 32 bytes of fifth bits before the lower four.
  private static func decodeQ5_K(_ block: Block, _ values: inout [Float]) {
    let (scale, minimum) = (block.half(0), block.half(2))
    for part in 0..<8 {
      let (own, least) = scaleAndMinimum(block, 4, part)
      let (factor, offset) = (scale * own, minimum * least)
      for index in 0..<32 {
        let low = block[48 + part / 2 * 32 + index] >> (part % 2 * 4) & 15
        values.append(factor * Float(low | (block[16 + index] >> part & 1) << 4) - offset)
      }
    }
  }

  /// 128 bytes of four bits; 64 bytes of the upper two; 16 signed scales; scale; offset 32.
  private static func decodeQ6_K(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(208)
    for index in 0..<256 {
      let (half, place) = (index / 128, index % 128)
      let low = block[half * 64 + place % 64] >> (place / 64 * 4) & 15
      let high = block[128 + half * 32 + place % 32] >> (place / 32 * 2) & 3
      values.append(scale * block.signed(192 + index / 16) * Float((low | high << 4) - 32))
    }
  }

  /// Scale in f32; 256 signed bytes; sums, which only products use.
  private static func decodeQ8_K(_ block: Block, _ values: inout [Float]) {
    let scale = Float(bitPattern: UInt32(block.u32(0)))
    for index in 0..<256 { values.append(scale * block.signed(4 + index)) }
  }

  /// 48 bytes of five ternary digits and 4 bytes of four; scale.
  ///
  /// A digit is the upper part of the byte times three to the power of its place.
  private static func decodeTQ1_0(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(52)
    for (first, count, digits) in [(0, 32, 5), (32, 16, 5), (48, 4, 4)] {
      var power = 1
      for _ in 0..<digits {
        for index in 0..<count {
          let shifted = block[first + index] * power & 255
          values.append(scale * Float((shifted * 3) >> 8 - 1))
        }
        power *= 3
      }
    }
  }

  /// 64 bytes of two bits; scale; offset 1.
  private static func decodeTQ2_0(_ block: Block, _ values: inout [Float]) {
    let scale = block.half(64)
    for index in 0..<256 {
      let value = block[index / 128 * 32 + index % 32] >> (index % 128 / 32 * 2) & 3
      values.append(scale * Float(value - 1))
    }
  }
}

// MARK: - Codes for values that are not evenly spaced

extension Quantization {
  private static let levels: [Float] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
  ]
  /// The values of e2m1, doubled.
  private static let doubled: [Float] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

  /// Scale; 16 bytes of codes.
  private static func decodeIQ4_NL(_ block: Block, _ values: inout [Float]) {
    let (scale, levels) = (block.half(0), levels)
    for shift in [0, 4] {
      for index in 0..<16 { values.append(scale * levels[block[2 + index] >> shift & 15]) }
    }
  }

  /// Scale; the scales of eight parts, upper two bits and lower four; 128 bytes of codes.
  private static func decodeIQ4_XS(_ block: Block, _ values: inout [Float]) {
    let (scale, high, levels) = (block.half(0), block.u16(2), levels)
    for part in 0..<8 {
      let low = block[4 + part / 2] >> (part % 2 * 4) & 15
      let own = scale * Float((low | (high >> (2 * part) & 3) << 4) - 32)
      for index in 0..<32 {
        let code = block[8 + part * 16 + index % 16] >> (index / 16 * 4) & 15
        values.append(own * levels[code])
      }
    }
  }

  /// A power of two (e8m0), halved as the values are doubled; 16 bytes of e2m1.
  private static func decodeMXFP4(_ block: Block, _ values: inout [Float]) {
    let exponent = block[0]
    let bits = exponent < 2 ? 0x20_0000 << exponent : (exponent - 1) << 23
    let (scale, doubled) = (Float(bitPattern: UInt32(bits)), doubled)
    for shift in [0, 4] {
      for index in 0..<16 { values.append(scale * doubled[block[1 + index] >> shift & 15]) }
    }
  }

  /// Four scales of e4m3 without sign, halved as the values are doubled; 8 bytes of e2m1 for each.
  private static func decodeNVFP4(_ block: Block, _ values: inout [Float]) {
    let doubled = doubled
    for part in 0..<4 {
      let code = block[part]
      let (exponent, fraction) = (code >> 3 & 15, Float(code & 7))
      let scale: Float =
        code == 0 || code == 0x7f
        ? 0
        : exponent == 0
          ? fraction / 1024
          : Float(sign: .plus, exponent: exponent - 8, significand: 1 + fraction / 8)
      for shift in [0, 4] {
        for index in 0..<8 {
          values.append(scale * doubled[block[4 + part * 8 + index] >> shift & 15])
        }
      }
    }
  }
}
