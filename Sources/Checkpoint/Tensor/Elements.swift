/// Conversions between canonical bytes (little-endian, C order) and numbers.
public enum Elements {
  /// Elements of `bytes` as `Value`, rounded to nearest even where the stored type is wider;
  /// complex numbers as real and imaginary part in turn, quantized blocks as what they stand for.
  public static func decode<Value: BinaryFloatingPoint>(
    _ bytes: [UInt8], as dtype: DType
  ) -> [Value] {
    switch dtype {
    case .f64: load(bytes, Double.self).map { Value($0) }
    case .f32: load(bytes, Float.self).map { Value($0) }
    case .f16: load(bytes, UInt16.self).map { Value(Half.value($0)) }
    case .bf16: load(bytes, UInt16.self).map { Value(Float(bitPattern: UInt32($0) << 16)) }
    case .i64: load(bytes, Int64.self).map { Value($0) }
    case .i32: load(bytes, Int32.self).map { Value($0) }
    case .i16: load(bytes, Int16.self).map { Value($0) }
    case .i8: load(bytes, Int8.self).map { Value($0) }
    case .u64: load(bytes, UInt64.self).map { Value($0) }
    case .u32: load(bytes, UInt32.self).map { Value($0) }
    case .u16: load(bytes, UInt16.self).map { Value($0) }
    case .u8: bytes.map { Value($0) }
    case .bool: bytes.map { $0 == 0 ? 0 : 1 }
    case .c64: load(bytes, Float.self).map { Value($0) }
    case .c128: load(bytes, Double.self).map { Value($0) }
    default:
      if let small = MiniFloat.of(dtype) {
        codes(bytes, bits: small.bits).map { Value(small.value($0)) }
      } else {
        Quantization.decode(bytes, as: dtype).map { Value($0) }
      }
    }
  }

  /// Canonical bytes of `values`, rounded to nearest even; integers saturate, bool is non-zero.
  ///
  /// - Precondition: for packed types, `values` fills whole blocks.
  public static func encode<Value: BinaryFloatingPoint>(
    _ values: [Value], as dtype: DType
  ) -> [UInt8] {
    switch dtype {
    case .f64: store(values.map { Double($0) })
    case .f32: store(values.map { Float($0) })
    case .f16:
      // From wider types rounding to single precision first would round twice.
      if let floats = values as? [Float] {
        store(floats.map { Half.bits($0) })
      } else {
        store(values.map { Float16($0) })
      }
    case .bf16:
      if let floats = values as? [Float] {
        store(floats.map { bfloat16($0) })
      } else {
        store(values.map { bfloat16(Double($0)) })
      }
    case .i64: store(values.map { saturated($0, Int64.self) })
    case .i32: store(values.map { saturated($0, Int32.self) })
    case .i16: store(values.map { saturated($0, Int16.self) })
    case .i8: store(values.map { saturated($0, Int8.self) })
    case .u64: store(values.map { saturated($0, UInt64.self) })
    case .u32: store(values.map { saturated($0, UInt32.self) })
    case .u16: store(values.map { saturated($0, UInt16.self) })
    case .u8: values.map { saturated($0, UInt8.self) }
    case .bool: values.map { $0 == 0 ? 0 : 1 }
    case .c64: store(values.map { Float($0) })
    case .c128: store(values.map { Double($0) })
    default:
      if let small = MiniFloat.of(dtype) {
        packed(values.map { small.code(Double($0)) }, bits: small.bits)
      } else {
        Quantization.encode(values.map { Float($0) }, as: dtype)
      }
    }
  }

  /// Codes of `bits` bits each, the lowest bits first.
  private static func codes(_ bytes: [UInt8], bits: Int) -> [UInt8] {
    guard bits < 8 else { return bytes }
    return (0..<(bytes.count * 8 / bits)).map { index in
      let (byte, shift) = (index * bits).quotientAndRemainder(dividingBy: 8)
      let pair = UInt16(bytes[byte]) | (byte + 1 < bytes.count ? UInt16(bytes[byte + 1]) << 8 : 0)
      return UInt8(truncatingIfNeeded: pair >> UInt16(shift)) & (1 << UInt8(bits) - 1)
    }
  }

  /// The inverse of ``codes(_:bits:)``.
  private static func packed(_ codes: [UInt8], bits: Int) -> [UInt8] {
    guard bits < 8 else { return codes }
    var bytes = [UInt8](repeating: 0, count: (codes.count * bits + 7) / 8)
    for (index, code) in codes.enumerated() {
      let (byte, shift) = (index * bits).quotientAndRemainder(dividingBy: 8)
      bytes[byte] |= code << UInt8(shift)
      if shift + bits > 8 { bytes[byte + 1] |= code >> UInt8(8 - shift) }
    }
    return bytes
  }

  /// Adds a `[rows, columns]` matrix of elements of `size` bytes to `result` as `[columns, rows]`.
  ///
  /// - Parameters:
  ///   - first: the matrix's first element in `bytes`.
  ///   - stride: elements from one row to the next.
  public static func transpose(
    _ bytes: [UInt8], from first: Int = 0, rows: Int, columns: Int, stride: Int, size: Int,
    into result: inout [UInt8]
  ) {
    guard rows > 0, columns > 0 else { return }
    precondition((first + (rows - 1) * stride + columns) * size <= bytes.count)
    let start = result.count
    result += [UInt8](repeating: 0, count: rows * columns * size)
    // Both hold as many elements as the check above and the line above say.
    unsafe bytes.withUnsafeBytes { source in
      unsafe result.withUnsafeMutableBytes { target in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        let (source, target) = unsafe (from + first * size, to + start)
        switch size {
        case 1: unsafe turn(source, target, rows, columns, stride, UInt8.self)
        case 2: unsafe turn(source, target, rows, columns, stride, UInt16.self)
        case 4: unsafe turn(source, target, rows, columns, stride, UInt32.self)
        case 16: unsafe turn(source, target, rows, columns, stride, UInt128.self)
        default: unsafe turn(source, target, rows, columns, stride, UInt64.self)
        }
      }
    }
  }

  private static func turn<T: BitwiseCopyable>(
    _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ rows: Int, _ columns: Int,
    _ stride: Int, _: T.Type
  ) {
    let size = MemoryLayout<T>.size
    let block = 16  // 16 × 16 elements of both matrices stay in the first-level cache
    for rowBlock in Swift.stride(from: 0, to: rows, by: block) {
      for columnBlock in Swift.stride(from: 0, to: columns, by: block) {
        for row in rowBlock..<min(rowBlock + block, rows) {
          for column in columnBlock..<min(columnBlock + block, columns) {
            let value = unsafe source.loadUnaligned(
              fromByteOffset: (row * stride + column) * size, as: T.self)
            unsafe target.storeBytes(
              of: value, toByteOffset: (column * rows + row) * size, as: T.self)
          }
        }
      }
    }
  }

  /// The nearest bfloat16, rounded once: where rounding to single precision has made a tie, the side is
  /// kept on which the number lies.
  private static func bfloat16(_ value: Double) -> UInt16 {
    let single = Float(value)
    guard single.bitPattern & 0xffff == 0x8000, Double(single) != value else {
      return bfloat16(single)
    }
    let isBelow = value.magnitude < Double(single).magnitude
    return bfloat16(Float(bitPattern: isBelow ? single.bitPattern - 1 : single.bitPattern + 1))
  }

  /// The nearest bfloat16, ties to even; NaN stays NaN.
  static func bfloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(bits >> 16) | 0x40 }
    return UInt16((bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
  }

  private static func saturated<Value: BinaryFloatingPoint, I: FixedWidthInteger>(
    _ value: Value, _: I.Type
  ) -> I {
    if value.isNaN { return 0 }
    return I(exactly: value.rounded(.towardZero)) ?? (value < 0 ? I.min : I.max)
  }

  /// Copies whole elements; the host is little-endian, as every platform of the package is.
  public static func load<T: BitwiseCopyable>(_ bytes: [UInt8], _: T.Type) -> [T] {
    let count = bytes.count / MemoryLayout<T>.size
    return unsafe [T](unsafeUninitializedCapacity: count) { buffer, initialized in
      // The buffer holds `count` elements, and `bytes` at least as many bytes.
      unsafe bytes.withUnsafeBytes { source in
        unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[..<(count * MemoryLayout<T>.size)]))
      }
      initialized = count
    }
  }

  static func store<T: BitwiseCopyable>(_ values: [T]) -> [UInt8] {
    unsafe values.withUnsafeBytes { unsafe [UInt8]($0) }
  }
}
