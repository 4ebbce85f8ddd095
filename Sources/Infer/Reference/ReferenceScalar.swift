import Glibc

/// A precision in which the reference computes: the C library's functions in it.
public protocol ReferenceScalar: BinaryFloatingPoint, Sendable, ExpressibleByFloatLiteral {
  static func exp(_ x: Self) -> Self
  static func expm1(_ x: Self) -> Self
  static func log(_ x: Self) -> Self
  static func log1p(_ x: Self) -> Self
  static func log2(_ x: Self) -> Self
  static func log10(_ x: Self) -> Self
  static func sin(_ x: Self) -> Self
  static func cos(_ x: Self) -> Self
  static func tan(_ x: Self) -> Self
  static func asin(_ x: Self) -> Self
  static func acos(_ x: Self) -> Self
  static func atan(_ x: Self) -> Self
  static func sinh(_ x: Self) -> Self
  static func cosh(_ x: Self) -> Self
  static func tanh(_ x: Self) -> Self
  static func asinh(_ x: Self) -> Self
  static func acosh(_ x: Self) -> Self
  static func atanh(_ x: Self) -> Self
  static func erf(_ x: Self) -> Self
  static func pow(_ x: Self, _ y: Self) -> Self
  static func atan2(_ y: Self, _ x: Self) -> Self
  static func fmod(_ x: Self, _ y: Self) -> Self
}

extension Float: ReferenceScalar {
  public static func exp(_ x: Float) -> Float { Glibc.exp(x) }
  public static func expm1(_ x: Float) -> Float { Glibc.expm1(x) }
  public static func log(_ x: Float) -> Float { Glibc.log(x) }
  public static func log1p(_ x: Float) -> Float { Glibc.log1p(x) }
  public static func log2(_ x: Float) -> Float { Glibc.log2(x) }
  public static func log10(_ x: Float) -> Float { Glibc.log10(x) }
  public static func sin(_ x: Float) -> Float { Glibc.sin(x) }
  public static func cos(_ x: Float) -> Float { Glibc.cos(x) }
  public static func tan(_ x: Float) -> Float { Glibc.tan(x) }
  public static func asin(_ x: Float) -> Float { Glibc.asin(x) }
  public static func acos(_ x: Float) -> Float { Glibc.acos(x) }
  public static func atan(_ x: Float) -> Float { Glibc.atan(x) }
  public static func sinh(_ x: Float) -> Float { Glibc.sinh(x) }
  public static func cosh(_ x: Float) -> Float { Glibc.cosh(x) }
  public static func tanh(_ x: Float) -> Float { Glibc.tanh(x) }
  public static func asinh(_ x: Float) -> Float { Glibc.asinh(x) }
  public static func acosh(_ x: Float) -> Float { Glibc.acosh(x) }
  public static func atanh(_ x: Float) -> Float { Glibc.atanh(x) }
  public static func erf(_ x: Float) -> Float { Glibc.erf(x) }
  public static func pow(_ x: Float, _ y: Float) -> Float { Glibc.pow(x, y) }
  public static func atan2(_ y: Float, _ x: Float) -> Float { Glibc.atan2(y, x) }
  public static func fmod(_ x: Float, _ y: Float) -> Float { Glibc.fmod(x, y) }
}

extension Double: ReferenceScalar {
  public static func exp(_ x: Double) -> Double { Glibc.exp(x) }
  public static func expm1(_ x: Double) -> Double { Glibc.expm1(x) }
  public static func log(_ x: Double) -> Double { Glibc.log(x) }
  public static func log1p(_ x: Double) -> Double { Glibc.log1p(x) }
  public static func log2(_ x: Double) -> Double { Glibc.log2(x) }
  public static func log10(_ x: Double) -> Double { Glibc.log10(x) }
  public static func sin(_ x: Double) -> Double { Glibc.sin(x) }
  public static func cos(_ x: Double) -> Double { Glibc.cos(x) }
  public static func tan(_ x: Double) -> Double { Glibc.tan(x) }
  public static func asin(_ x: Double) -> Double { Glibc.asin(x) }
  public static func acos(_ x: Double) -> Double { Glibc.acos(x) }
  public static func atan(_ x: Double) -> Double { Glibc.atan(x) }
  public static func sinh(_ x: Double) -> Double { Glibc.sinh(x) }
  public static func cosh(_ x: Double) -> Double { Glibc.cosh(x) }
  public static func tanh(_ x: Double) -> Double { Glibc.tanh(x) }
  public static func asinh(_ x: Double) -> Double { Glibc.asinh(x) }
  public static func acosh(_ x: Double) -> Double { Glibc.acosh(x) }
  public static func atanh(_ x: Double) -> Double { Glibc.atanh(x) }
  public static func erf(_ x: Double) -> Double { Glibc.erf(x) }
  public static func pow(_ x: Double, _ y: Double) -> Double { Glibc.pow(x, y) }
  public static func atan2(_ y: Double, _ x: Double) -> Double { Glibc.atan2(y, x) }
  public static func fmod(_ x: Double, _ y: Double) -> Double { Glibc.fmod(x, y) }
}
