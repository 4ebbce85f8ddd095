/// What becomes of a finite value that a narrower type cannot hold.
///
/// Infinities and NaN stay what they are.
public enum Overflow: String, Sendable, CaseIterable {
  /// Nothing is written.
  case error
  /// It becomes infinite, as rounding says.
  case infinite = "inf"
  /// It becomes the type's largest finite value, with its sign.
  case clip

  /// Canonical bytes of values, rounded to nearest even.
  ///
  /// - Parameter refusal: the error for the value at an index.
  func encode<Value: BinaryFloatingPoint>(
    _ values: [Value], as dtype: DType, refusal: (Int) -> CheckpointError
  ) throws(CheckpointError) -> [UInt8] {
    let encoded = Elements.encode(values, as: dtype)
    guard self != .infinite else { return encoded }
    if let largest = dtype.largestFinite.map({ Value($0) }),
      values.reduce(true, { $0 && !($1.magnitude > largest) })
    {
      return encoded
    }
    let back: [Value] = Elements.decode(encoded, as: dtype)
    var clipped: [Value] = []
    for index in values.indices where values[index].isFinite && !back[index].isFinite {
      guard self == .clip, let largest = dtype.largestFinite else { throw refusal(index) }
      if clipped.isEmpty { clipped = values }
      clipped[index] = Value(values[index] < 0 ? -largest : largest)
    }
    return clipped.isEmpty ? encoded : Elements.encode(clipped, as: dtype)
  }
}

extension DType {
  /// The largest number of a type that weights are computed in; `nil` of others.
  public var largestFinite: Double? {
    switch self {
    case .f64: .greatestFiniteMagnitude
    case .f32: Double(Float.greatestFiniteMagnitude)
    case .f16: 65504
    case .bf16: Double(Float(bitPattern: 0x7f7f_0000))
    default: nil
    }
  }

  /// Whether every number of `other` is one of this type.
  public func holds(_ other: DType) -> Bool {
    if other == self { return true }
    return switch self {
    case .f64: other != .c64 && other != .c128 && other != .i64 && other != .u64
    case .f32: ![.f64, .c64, .c128, .i64, .u64, .i32, .u32].contains(other)
    default: false
    }
  }
}
