import Glibc

/// A precision in which the reference computes.
public protocol ReferenceScalar: BinaryFloatingPoint, Sendable, ExpressibleByFloatLiteral {
  static func exp(_ x: Self) -> Self
  static func log(_ x: Self) -> Self
  static func tanh(_ x: Self) -> Self
  static func erf(_ x: Self) -> Self
}

extension Float: ReferenceScalar {
  public static func exp(_ x: Float) -> Float { Glibc.exp(x) }
  public static func log(_ x: Float) -> Float { Glibc.log(x) }
  public static func tanh(_ x: Float) -> Float { Glibc.tanh(x) }
  public static func erf(_ x: Float) -> Float { Glibc.erf(x) }
}

extension Double: ReferenceScalar {
  public static func exp(_ x: Double) -> Double { Glibc.exp(x) }
  public static func log(_ x: Double) -> Double { Glibc.log(x) }
  public static func tanh(_ x: Double) -> Double { Glibc.tanh(x) }
  public static func erf(_ x: Double) -> Double { Glibc.erf(x) }
}
