// IQ types: codes of several elements at once, with a sign for each element and scales of parts.
// "dl" of gguf-py is the scale of a part, "db" the same with its constant factor.

extension Quantization {
  /// Signs of 8 elements as bits, from 7 bits: the eighth makes their number even.
  private static func signs(_ code: Int) -> Int {
    code.nonzeroBitCount % 2 == 0 ? code : code | 128
  }

  private static func sign(_ signs: Int, _ index: Int) -> Float { signs >> index & 1 == 0 ? 1 : -1 }

  /// Scale; for each 32 elements four codes of 8, then 28 bits of signs and 4 bits of scale.
  static func decodeIQ2_XXS(_ block: Block, _ values: inout [Float]) {
    let (scale, grid) = (block.half(0), QuantizationGrid.iq2xxs)
    for part in 0..<8 {
      let word = block.u32(2 + part * 8 + 4)
      let own = scale * (0.5 + Float(word >> 28)) * 0.25
      for vector in 0..<4 {
        let (code, signs) = (block[2 + part * 8 + vector], signs(word >> (7 * vector) & 127))
        for index in 0..<8 { values.append(own * grid[code, index] * sign(signs, index)) }
      }
    }
  }

  /// Scale; 32 words of a 9-bit code and 7 bits of signs; a scale for each 16 elements.
  static func decodeIQ2_XS(_ block: Block, _ values: inout [Float]) {
    let (scale, grid) = (block.half(0), QuantizationGrid.iq2xs)
    for vector in 0..<32 {
      let own = scale * (0.5 + Float(block[66 + vector / 4] >> (vector / 2 % 2 * 4) & 15)) * 0.25
      let word = block.u16(2 + vector * 2)
      let signs = signs(word >> 9)
      for index in 0..<8 { values.append(own * grid[word & 511, index] * sign(signs, index)) }
    }
  }

  /// Scale; 32 bytes of codes; 32 bytes of signs; two upper bits of each code; scales as in IQ2_XS.
  static func decodeIQ2_S(_ block: Block, _ values: inout [Float]) {
    let (scale, grid) = (block.half(0), QuantizationGrid.iq2s)
    for vector in 0..<32 {
      let own = scale * (0.5 + Float(block[74 + vector / 4] >> (vector / 2 % 2 * 4) & 15)) * 0.25
      let high = block[66 + vector / 4] >> (vector % 4 * 2) & 3
      let (code, signs) = (block[2 + vector] | high << 8, block[34 + vector])
      for index in 0..<8 { values.append(own * grid[code, index] * sign(signs, index)) }
    }
  }

  /// Scale; 64 codes of 4 elements; for each 32 elements 28 bits of signs and 4 bits of scale.
  static func decodeIQ3_XXS(_ block: Block, _ values: inout [Float]) {
    let (scale, grid) = (block.half(0), QuantizationGrid.iq3xxs)
    for part in 0..<8 {
      let word = block.u32(66 + part * 4)
      let own = scale * (0.5 + Float(word >> 28)) * 0.5
      for vector in 0..<4 {
        let signs = signs(word >> (7 * vector) & 127)
        for index in 0..<8 {
          let code = block[2 + part * 8 + vector * 2 + index / 4]
          values.append(own * grid[code, index % 4] * sign(signs, index))
        }
      }
    }
  }

  /// Scale; 64 bytes of codes; an upper bit of each; 32 bytes of signs; odd scales of 32 elements.
  static func decodeIQ3_S(_ block: Block, _ values: inout [Float]) {
    let (scale, grid) = (block.half(0), QuantizationGrid.iq3s)
    for part in 0..<8 {
      let own = scale * Float(1 + 2 * (block[106 + part / 2] >> (part % 2 * 4) & 15))
      for vector in 0..<8 {
        let code = block[2 + part * 8 + vector] | (block[66 + part] >> vector & 1) << 8
        let signs = block[74 + part * 4 + vector / 2] >> (vector % 2 * 4)
        for index in 0..<4 { values.append(own * grid[code, index] * sign(signs, index)) }
      }
    }
  }

  /// Scale; 32 bytes of codes; for each 32 elements a word: upper three bits of four codes, an odd
  /// scale and the sign of an eighth that is added.
  static func decodeIQ1_S(_ block: Block, _ values: inout [Float]) {
    let (scale, grid) = (block.half(0), QuantizationGrid.iq1s)
    for part in 0..<8 {
      let word = block.u16(34 + part * 2)
      let own = scale * Float(2 * (word >> 12 & 7) + 1)
      let delta: Float = word & 0x8000 == 0 ? 0.125 : -0.125
      for vector in 0..<4 {
        let code = block[2 + part * 4 + vector] | (word >> (3 * vector) & 7) << 8
        for index in 0..<8 { values.append(own * (grid[code, index] + delta)) }
      }
    }
  }

  /// 32 bytes of codes; for each code three upper bits and the sign of an eighth that is added; four
  /// words of odd scales of 16 elements, whose upper four bits together are the scale of all.
  static func decodeIQ1_M(_ block: Block, _ values: inout [Float]) {
    let grid = QuantizationGrid.iq1s
    let bits = (0..<4).reduce(0) { $0 | (block.u16(48 + $1 * 2) >> 12) << (4 * $1) }
    let scale = Float(Float16(bitPattern: UInt16(bits)))
    for vector in 0..<32 {
      let part = vector / 2
      let own = scale * Float(2 * (block.u16(48 + part / 4 * 2) >> (part % 4 * 3) & 7) + 1)
      let high = block[32 + vector / 2] >> (vector % 2 * 4)
      let delta: Float = high & 8 == 0 ? 0.125 : -0.125
      let code = block[vector] | (high & 7) << 8
      for index in 0..<8 { values.append(own * (grid[code, index] + delta)) }
    }
  }
}
