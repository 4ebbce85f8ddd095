/// A floating-point type of at most 8 bits: sign, exponent, mantissa.
///
/// Sources: OCP 8-bit Floating Point Specification 1.0 (e4m3, e5m2), OCP Microscaling Formats 1.0
/// (e8m0, e2m3, e3m2, e2m1); the `fnuz` types as ml_dtypes defines them.
struct MiniFloat: Sendable {
  let bits: Int
  /// The value of every code.
  private let values: [Float]
  /// Codes of finite values that are not negative, in the order of their values.
  private let ordered: [UInt8]
  private let nan: UInt8?
  private let infinity: UInt8?
  private let signBit: UInt8
  /// The least positive value of full precision; 0 where all have it.
  let leastNormal: Double

  private enum Special {
    /// The highest exponent is infinity and NaN, as in IEEE 754.
    case ieee
    /// Only all ones is NaN; there is no infinity.
    case allOnes
    /// The code of negative zero is NaN; there is no infinity.
    case negativeZero
    case none
  }

  private init(exponent: Int, mantissa: Int, bias: Int, _ special: Special, signed: Bool = true) {
    bits = exponent + mantissa + (signed ? 1 : 0)
    leastNormal = signed ? Double(sign: .plus, exponent: 1 - bias, significand: 1) : 0
    signBit = signed ? 1 << UInt8(bits - 1) : 0
    var values: [Float] = []
    for code in 0..<(1 << bits) {
      let isNegative = signed && code >> (bits - 1) == 1
      let magnitude = code & ((1 << (exponent + mantissa)) - 1)
      let (power, fraction) = (magnitude >> mantissa, magnitude & ((1 << mantissa) - 1))
      var value: Float
      if special == .ieee, power == (1 << exponent) - 1 {
        value = fraction == 0 ? .infinity : .nan
      } else if special == .allOnes, magnitude == (1 << (exponent + mantissa)) - 1 {
        value = .nan
      } else if special == .negativeZero, isNegative, magnitude == 0 {
        value = .nan
      } else if power == 0, signed {
        value = Float(sign: .plus, exponent: 1 - bias - mantissa, significand: Float(fraction))
      } else {
        value = Float(
          sign: .plus, exponent: power - bias - mantissa,
          significand: Float((1 << mantissa) + fraction))
      }
      if isNegative, !value.isNaN { value = -value }
      values.append(value)
    }
    self.values = values
    ordered = values.indices.filter { values[$0].isFinite && values[$0].sign == .plus }
      .map { UInt8($0) }
    nan = values.firstIndex(where: \.isNaN).map { UInt8($0) }
    infinity = values.firstIndex(of: .infinity).map { UInt8($0) }
  }

  func value(_ code: UInt8) -> Float { values[Int(code)] }

  /// The nearest code, ties to the even one; what is too large becomes infinity, or else NaN, or
  /// else the largest value.
  func code(_ value: Double) -> UInt8 {
    guard !value.isNaN else { return nan ?? 0 }
    let magnitude = Swift.abs(value)
    var (low, high) = (0, ordered.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if Double(values[Int(ordered[middle])]) <= magnitude {
        low = middle
      } else {
        high = middle - 1
      }
    }
    var code = ordered[low]
    let below = Double(values[Int(code)])
    // The step above the largest value decides where rounding would leave the range.
    let above =
      low + 1 < ordered.count
      ? Double(values[Int(ordered[low + 1])])
      : low > 0 ? 2 * below - Double(values[Int(ordered[low - 1])]) : below
    let middle = (below + above) / 2
    if magnitude > middle || (magnitude == middle && code & 1 == 1) {
      code = low + 1 < ordered.count ? ordered[low + 1] : infinity ?? nan ?? code
    }
    let isNegative = value.sign == .minus && !(code == 0 && self.values[Int(signBit)].isNaN)
    return isNegative && !values[Int(code)].isNaN ? code | signBit : code
  }

  /// The type of `dtype`'s elements, or `nil` when they are no small floats.
  static func of(_ dtype: DType) -> MiniFloat? {
    switch dtype {
    case .f8_e4m3: e4m3
    case .f8_e5m2: e5m2
    case .f8_e4m3fnuz: e4m3fnuz
    case .f8_e5m2fnuz: e5m2fnuz
    case .f8_e8m0: e8m0
    case .f6_e2m3: e2m3
    case .f6_e3m2: e3m2
    case .f4: e2m1
    default: nil
    }
  }

  private static let e4m3 = MiniFloat(exponent: 4, mantissa: 3, bias: 7, .allOnes)
  private static let e5m2 = MiniFloat(exponent: 5, mantissa: 2, bias: 15, .ieee)
  private static let e4m3fnuz = MiniFloat(exponent: 4, mantissa: 3, bias: 8, .negativeZero)
  private static let e5m2fnuz = MiniFloat(exponent: 5, mantissa: 2, bias: 16, .negativeZero)
  private static let e8m0 = MiniFloat(exponent: 8, mantissa: 0, bias: 127, .allOnes, signed: false)
  private static let e2m3 = MiniFloat(exponent: 2, mantissa: 3, bias: 1, .none)
  private static let e3m2 = MiniFloat(exponent: 3, mantissa: 2, bias: 3, .none)
  static let e2m1 = MiniFloat(exponent: 2, mantissa: 1, bias: 1, .none)
}
