import TestSupport
import Testing

@testable import Checkpoint

/// Conversions of half precision against the compiler's own.
@Suite struct HalfTests {
  @Test func `every half is decoded as the compiler does`() {
    for bits in UInt16.min...UInt16.max {
      let (mine, theirs) = (Half.value(bits), Float(Float16(bitPattern: bits)))
      #expect(mine == theirs || mine.isNaN && theirs.isNaN)
      if mine.isNaN != theirs.isNaN || (mine == 0 && mine.sign != theirs.sign) {
        Issue.record("\(bits)")
      }
    }
  }

  @Test func `halves, their neighbours and what lies between are encoded as the compiler does`() {
    func check(_ value: Float) {
      let (mine, theirs) = (Half.bits(value), Float16(value))
      if value.isNaN {
        #expect(Float16(bitPattern: mine).isNaN)
      } else if mine != theirs.bitPattern {
        Issue.record("\(value): \(mine), not \(theirs.bitPattern)")
      }
    }
    for bits in UInt16.min..<0x7c00 {
      let (low, high) = (Float(Float16(bitPattern: bits)), Float(Float16(bitPattern: bits + 1)))
      let middle = high.isFinite ? (low + high) / 2 : 65520
      for value in [low, low.nextUp, middle.nextDown, middle, middle.nextUp] {
        check(value)
        check(-value)
      }
    }
    let special: [Float] = [
      Float.infinity, -Float.infinity, Float.nan, Float.greatestFiniteMagnitude,
      Float.leastNonzeroMagnitude, -0.0,
    ]
    for value in special { check(value) }
    var random = SeededGenerator(seed: 3)
    for _ in 0..<200_000 {
      check(Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random)))
    }
  }

  @Test func `a Double is rounded to bfloat16 once`() {
    // Just above and below a tie, by less than single precision tells.
    let tie = 1 + 0x1p-8
    for (value, bits) in [(tie, 0x3f80), (tie + 0x1p-40, 0x3f81), (tie - 0x1p-40, 0x3f80)] {
      #expect(Elements.encode([value], as: .bf16) == [UInt8(bits & 255), UInt8(bits >> 8)])
      #expect(Elements.encode([-value], as: .bf16) == [UInt8(bits & 255), UInt8(bits >> 8) | 0x80])
    }
    let odd = 1 + 3 * 0x1p-8
    for (value, bits) in [(odd, 0x3f82), (odd + 0x1p-40, 0x3f82), (odd - 0x1p-40, 0x3f81)] {
      #expect(Elements.encode([value], as: .bf16) == [UInt8(bits & 255), UInt8(bits >> 8)])
    }
    #expect(Elements.encode([Double.nan], as: .bf16)[1] & 0x7f == 0x7f)
  }
}
