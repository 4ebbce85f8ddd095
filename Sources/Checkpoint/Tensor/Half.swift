/// IEEE 754 binary16 by integer operations that compilers make vectors of.
///
/// Without F16C at compile time each conversion of `Float16` is a call into the run-time library.
enum Half {
  /// The nearest half, ties to even; NaN stays NaN.
  @inline(__always)
  static func bits(_ value: Float) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7fff_ffff
    // 2⁻¹⁴ and above: the exponent's bias changes, and 13 bits of the significand are rounded off.
    let odd = (magnitude >> 13) & 1
    let normal = (magnitude &- 0x3800_0000 &+ 0xfff &+ odd) >> 13
    // Below: in the sum with 0.5 the last bits are those of a subnormal half, rounded by the addition.
    let small = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000
    let special: UInt32 = magnitude > 0x7f80_0000 ? 0x7e00 | (magnitude >> 13) & 0x1ff : 0x7c00
    let finite = magnitude < 0x3880_0000 ? small : normal
    return sign | UInt16(truncatingIfNeeded: magnitude >= 0x4780_0000 ? special : finite)
  }

  /// The same number in single precision.
  @inline(__always)
  static func value(_ bits: UInt16) -> Float {
    let magnitude = UInt32(bits & 0x7fff) << 13
    // Times 2¹¹² the exponent's bias is right, for subnormal halves too.
    let scaled = (Float(bitPattern: magnitude) * Float(bitPattern: 0x7780_0000)).bitPattern
    let special = magnitude | 0x7f80_0000
    let sign = UInt32(bits & 0x8000) << 16
    return Float(bitPattern: sign | (magnitude >= 0x0f80_0000 ? special : scaled))
  }
}
