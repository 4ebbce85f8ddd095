import Glibc

/// Measured numbers for people.
enum Figure {
  /// Four significant digits: `0.02003`, `-1.234e-05`, `12.50`; whole numbers below a million as they are.
  static func text(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    guard value != 0 else { return "0" }
    let size = abs(value)
    if size < 1e6, value == value.rounded() { return "\(Int(value))" }
    var exponent = Int(log10(size).rounded(.down))
    // What rounds up to a further digit has the next exponent.
    if mantissa(size, exponent) >= 9.9995 { exponent += 1 }
    if mantissa(size, exponent) < 0.99995 { exponent -= 1 }
    if (-4..<6).contains(exponent) { return Text.decimal(value, max(0, 3 - exponent)) }
    let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
    return (value < 0 ? "-" : "") + Text.decimal(mantissa(size, exponent), 3)
      + (exponent < 0 ? "e-" : "e+") + power
  }

  /// `size` by 10 to the `exponent`, in two steps where the power has no finite inverse.
  private static func mantissa(_ size: Double, _ exponent: Int) -> Double {
    exponent < -290
      ? size * 1e290 * pow(10, Double(-exponent - 290)) : size / pow(10, Double(exponent))
  }
}
