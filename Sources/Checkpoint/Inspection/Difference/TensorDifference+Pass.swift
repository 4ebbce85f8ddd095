internal import CStatistics

extension TensorDifference {
  /// Compares pairs of tensors, each element once, with several threads; the result does not depend on how
  /// many.
  ///
  /// Memory does not grow with the tensors, but for what can only be computed as a whole.
  ///
  /// - Parameters:
  ///   - pairs: of as many elements each, in the same order; the first's shape is that of indices.
  ///   - progress: called from any thread with the bytes that were read since it was last called.
  /// - Throws: ``CheckpointError`` when one cannot be read.
  public static func of(
    _ pairs: [(first: Tensor, second: Tensor)],
    tolerance: CheckpointDifference.Tolerance = .exact, threads: Int? = nil,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) -> [TensorDifference] {
    let passes = pairs.map { DifferencePass($0.first, $0.second, tolerance) }
    let jobs = passes.indices.flatMap { index in
      passes[index].parts.map { (pass: index, elements: $0) }
    }
    let files = pairs.flatMap { [$0.first, $0.second].compactMap(\.payload.slice?.file.path) }
    let ahead = ReadAhead(Set(files).sorted())
    defer { ahead.stop() }
    let found = try Parallel.map(jobs.count, threads: threads, with: { PairOfWindows() }) {
      (index, windows) throws(CheckpointError) in
      let pass = passes[jobs[index].pass]
      let result = try pass.look(at: jobs[index].elements, through: windows)
      progress?(pass.bytes(of: jobs[index].elements))
      return result
    }
    var results = [DifferencePart](repeating: DifferencePart(), count: passes.count)
    for (job, more) in zip(jobs, found) { results[job.pass].merge(more) }
    return zip(passes, results).map { $0.difference($1) }
  }

  /// Of two tensors.
  public init(
    _ first: Tensor, _ second: Tensor, tolerance: CheckpointDifference.Tolerance = .exact
  ) throws(CheckpointError) {
    self = try TensorDifference.of([(first, second)], tolerance: tolerance)[0]
  }
}

/// What each thread reads through.
private struct PairOfWindows {
  let first = Window()
  let second = Window()
}

/// What a part of a pair gives.
private struct DifferencePart: Sendable {
  var numbers = ckpt_no_difference(CKPT_F64, nil, 0)
  /// Whether all bytes are the same.
  var sameBytes = true
  /// Whether one is the other rounded.
  var isRounded = true
  /// What stands at the largest difference, and at the first number that NaN or infinity sets apart.
  var worst: (first: Double, second: Double)?
  var mismatch: (first: Double, second: Double)?

  mutating func merge(_ more: DifferencePart) {
    if more.numbers.largest > numbers.largest { worst = more.worst }
    if more.numbers.mismatch < numbers.mismatch { mismatch = more.mismatch }
    // Both are structures of numbers.
    unsafe withUnsafePointer(to: more.numbers) { unsafe ckpt_merge_differences(&numbers, $0) }
    sameBytes = sameBytes && more.sameBytes
    isRounded = isRounded && more.isRounded
  }
}

/// How one pair is compared.
private struct DifferencePass: Sendable {
  private let first: Tensor
  private let second: Tensor
  private let tolerance: CheckpointDifference.Tolerance
  /// Whether both are read by columns, because both lie so.
  private let isTurned: Bool
  /// How both are stored, where the loops take them as they are; the others are decoded.
  private let type: ckpt_numbers?
  /// Whether one is of single precision and the other a half of it, which the loops take too.
  private let isHalf: Bool
  private let types: (first: ckpt_numbers, second: ckpt_numbers)
  /// The type whose rounding one may be of the other.
  private let narrower: DType?
  private let isDecodable: Bool

  /// Elements of which both have whole blocks.
  private var unit: Int { max(first.dtype.block.elements, second.dtype.block.elements) }

  init(_ first: Tensor, _ second: Tensor, _ tolerance: CheckpointDifference.Tolerance) {
    isTurned = first.liesByColumns && second.liesByColumns
    self.first = isTurned ? first.transposed() : first
    self.second = isTurned ? second.transposed() : second
    self.tolerance = tolerance
    let (a, b) = (first.dtype, second.dtype)
    type = a == b ? ckpt_numbers(a) : nil
    isHalf = (a == .f32 && [.f16, .bf16].contains(b)) || (b == .f32 && [.f16, .bf16].contains(a))
    types = (ckpt_numbers(a) ?? CKPT_F64, ckpt_numbers(b) ?? CKPT_F64)
    let order = a.precision < b.precision ? a : b
    narrower =
      a != b && !a.isComplex && !b.isComplex
        && (order.isFloat || (order.isQuantized && Quantization.encodes(order)))
      ? order : nil
    isDecodable =
      a.isDecodable && b.isDecodable && a.isComplex == b.isComplex
  }

  /// Bytes that are compared at once.
  private static let step = 2 << 20

  /// Ranges of elements that may be read apart.
  var parts: [Range<Int>] {
    let count = first.shape.count
    guard count > 0 else { return [] }
    let isApart = [first, second].allSatisfy { tensor in
      tensor.payload.isWindowed && tensor.payload.checksum == nil
        && (tensor.payload.slice != nil || tensor.byteCount > DifferenceSource.gathered)
    }
    let step = isApart ? self.step : count
    return stride(from: 0, to: count, by: step).map { $0..<min(count, $0 + step) }
  }

  /// Elements whose bytes fill a window of the wider of the two.
  private var step: Int {
    let block = max(
      first.dtype.byteCount(of: unit), second.dtype.byteCount(of: unit))
    return max(1, Self.step / block) * unit
  }

  func bytes(of elements: Range<Int>) -> Int {
    first.dtype.byteCount(of: elements.count) + second.dtype.byteCount(of: elements.count)
  }

  func look(
    at elements: Range<Int>, through windows: PairOfWindows
  ) throws(CheckpointError) -> DifferencePart {
    let (a, b) = (try DifferenceSource(first), try DifferenceSource(second))
    var result = DifferencePart()
    for start in stride(from: elements.lowerBound, to: elements.upperBound, by: step) {
      let range = start..<min(elements.upperBound, start + step)
      try a.read(range, through: windows.first) { (x) throws(CheckpointError) in
        try b.read(range, through: windows.second) { y in
          result.merge(look(at: x, y, range))
        }
      }
    }
    try a.finish()
    try b.finish()
    return result
  }

  // MARK: Numbers

  private func look(at x: RawSpan, _ y: RawSpan, _ elements: Range<Int>) -> DifferencePart {
    var result = DifferencePart()
    // What stays in the processor's cache is looked at again right after its bytes were compared.
    let step = max(unit, (1 << 15) / unit * unit)
    for start in stride(from: 0, to: elements.count, by: step) {
      let range = start..<min(elements.count, start + step)
      result.merge(
        compare(
          x.extracting(first.dtype.bytes(of: range)), y.extracting(second.dtype.bytes(of: range)),
          range.count, at: elements.lowerBound + range.lowerBound))
    }
    return result
  }

  private func compare(
    _ x: RawSpan, _ y: RawSpan, _ count: Int, at place: Int
  ) -> DifferencePart {
    var result = DifferencePart()
    result.sameBytes = first.dtype == second.dtype && Window.equal(x, y)
    let start = place * first.dtype.numbersPerElement
    if !isDecodable {
      if !result.sameBytes { result.numbers.differing = UInt64(count) }
      result.isRounded = false
      return result
    }
    if isHalf { return compareHalves(x, y, count, start) }
    guard let type else { return compareDecoded(x, y, count, result, start) }
    let number = x.byteCount / first.dtype.numberSize
    // Both spans hold that many numbers of the type, and the pointers are used inside only.
    unsafe x.withUnsafeBytes { x in
      unsafe y.withUnsafeBytes { y in
        if result.sameBytes {
          result.numbers = unsafe ckpt_no_difference(type, x.baseAddress, number)
          return
        }
        result.numbers = unsafe ckpt_differences(
          type, x.baseAddress, y.baseAddress, number, UInt64(start), tolerance.absolute,
          tolerance.relative)
        func values(_ place: UInt64) -> (Double, Double) {
          let index = Int(place) - start
          return unsafe (Self.value(x, index, type), Self.value(y, index, type))
        }
        if result.numbers.largest > 0 { result.worst = values(result.numbers.place) }
        if result.numbers.mismatch != .max { result.mismatch = values(result.numbers.mismatch) }
      }
    }
    result.isRounded = false
    return result
  }

  /// Single precision against half of it.
  private func compareHalves(
    _ x: RawSpan, _ y: RawSpan, _ count: Int, _ start: Int
  ) -> DifferencePart {
    var result = DifferencePart()
    result.sameBytes = false
    // Both spans hold `count` numbers of their types, and the pointers are used inside only.
    unsafe x.withUnsafeBytes { x in
      unsafe y.withUnsafeBytes { y in
        var isRounding: Int32 = 1
        result.numbers = unsafe ckpt_half_differences(
          types.first, x.baseAddress, types.second, y.baseAddress, count, UInt64(start),
          tolerance.absolute, tolerance.relative, &isRounding)
        result.isRounded = isRounding != 0
        func values(_ place: UInt64) -> (Double, Double) {
          let index = Int(place) - start
          return unsafe (
            Self.value(x, index, types.first), Self.value(y, index, types.second)
          )
        }
        if result.numbers.largest > 0 { result.worst = values(result.numbers.place) }
        if result.numbers.mismatch != .max { result.mismatch = values(result.numbers.mismatch) }
      }
    }
    return result
  }

  private static func value(
    _ bytes: UnsafeRawBufferPointer, _ index: Int, _ type: ckpt_numbers
  ) -> Double {
    // The index is one of the numbers that the buffer holds.
    switch type {
    case CKPT_F32: unsafe Double(bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
    case CKPT_F64: unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
    case CKPT_F16:
      unsafe Double(Half.value(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)))
    default:
      unsafe Double(
        Float(
          bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16)
      )
    }
  }

  /// Two types, or one that the loops do not take, in Float64.
  private func compareDecoded(
    _ x: RawSpan, _ y: RawSpan, _ count: Int, _ begun: DifferencePart, _ start: Int
  ) -> DifferencePart {
    var result = begun
    let (left, right) = unsafe (
      x.withUnsafeBytes { unsafe [UInt8]($0) }, y.withUnsafeBytes { unsafe [UInt8]($0) }
    )
    let number = count * first.dtype.numbersPerElement
    // A packed type's last block may be begun only.
    let a = [Double](Elements.decode(left, as: first.dtype).prefix(number))
    let b = [Double](Elements.decode(right, as: second.dtype).prefix(number))
    // Both arrays hold as many numbers, and the pointers are used inside only.
    result.numbers = unsafe a.withUnsafeBufferPointer { a in
      unsafe b.withUnsafeBufferPointer { b in
        unsafe ckpt_differences(
          CKPT_F64, a.baseAddress, b.baseAddress, min(a.count, b.count), UInt64(start),
          tolerance.absolute, tolerance.relative)
      }
    }
    if result.numbers.largest > 0 {
      let index = Int(result.numbers.place) - start
      result.worst = (a[index], b[index])
    }
    if result.numbers.mismatch != .max {
      let index = Int(result.numbers.mismatch) - start
      result.mismatch = (a[index], b[index])
    }
    if first.dtype == second.dtype {
      result.isRounded = false
      if first.dtype.isInteger, !result.sameBytes {
        countIntegers(left, right, a, b, start, &result)
      }
    } else if let narrower {
      let isFirst = first.dtype == narrower
      result.isRounded = isRounding(
        isFirst ? left : right, of: isFirst ? b : a, as: narrower,
        from: isFirst ? second.dtype : first.dtype)
    } else {
      result.isRounded = false
    }
    return result
  }

  /// Integers of 64 bits, whose differences Float64 may not hold, are subtracted as they are.
  private func countIntegers(
    _ x: [UInt8], _ y: [UInt8], _ a: [Double], _ b: [Double], _ start: Int,
    _ result: inout DifferencePart
  ) {
    let gaps: [UInt64]
    switch first.dtype {
    case .i64:
      gaps = zip(Elements.load(x, Int64.self), Elements.load(y, Int64.self)).map { p, q in
        // The difference of two integers of 64 bits has as many without sign.
        p > q ? UInt64(bitPattern: p &- q) : UInt64(bitPattern: q &- p)
      }
    case .u64:
      gaps = zip(Elements.load(x, UInt64.self), Elements.load(y, UInt64.self)).map { p, q in
        p > q ? p - q : q - p
      }
    default: return
    }
    (result.numbers.differing, result.numbers.beyond, result.numbers.largest) = (0, 0, 0)
    result.numbers.squared_difference = 0
    var largest: UInt64 = 0
    for (index, gap) in gaps.enumerated() where gap > 0 {
      result.numbers.differing += 1
      result.numbers.squared_difference += Double(gap) * Double(gap)
      if Double(gap) > tolerance.absolute + tolerance.relative * b[index].magnitude {
        result.numbers.beyond += 1
      }
      guard gap > largest else { continue }
      largest = gap
      result.numbers.largest = Double(gap)
      result.numbers.place = UInt64(start + index)
      result.worst = (a[index], b[index])
    }
  }

  /// Whether `bytes` are `values` rounded to a type, beyond whose range there is infinity or the largest.
  private func isRounding(
    _ bytes: [UInt8], of values: [Double], as narrower: DType, from wider: DType
  ) -> Bool {
    // Types that single precision holds are rounded from it in one step.
    let made =
      DType.f32.holds(wider)
      ? Elements.encode(values.map { Float($0) }, as: narrower)
      : Elements.encode(values, as: narrower)
    if made == bytes { return true }
    let (expected, stored): ([Double], [Double]) = (
      Elements.decode(made, as: narrower), Elements.decode(bytes, as: narrower)
    )
    let most = narrower.largestFinite ?? .infinity
    return zip(expected, stored).allSatisfy { x, y in
      x == y || (x.isNaN && y.isNaN) || (x.isInfinite && y == (x < 0 ? -most : most))
    }
  }

  func difference(_ part: DifferencePart) -> TensorDifference {
    let numbers = part.numbers
    let hasMismatch = numbers.mismatch != .max
    let isDifferent = numbers.differing > 0
    let hasUnits = type != nil
    let values = hasMismatch ? part.mismatch : part.worst
    return TensorDifference(
      count: first.shape.count * first.dtype.numbersPerElement,
      isIdentical: first.dtype == second.dtype ? part.sameBytes : !isDifferent && isDecodable,
      differing: Int(numbers.differing),
      beyond: Int(isDecodable ? numbers.beyond : numbers.differing),
      largest: hasMismatch || (isDifferent && !isDecodable) ? .infinity : numbers.largest,
      worst: isDifferent
        ? values.map {
          TensorDifference.Place(
            index: index(of: Int(hasMismatch ? numbers.mismatch : numbers.place)), first: $0,
            second: $1)
        } : nil,
      peakOfFirst: numbers.peak_first, peakOfSecond: numbers.peak_second,
      nanInFirst: Int(numbers.nan_first), nanInSecond: Int(numbers.nan_second),
      nanInBoth: Int(numbers.nan_both), infinite: Int(numbers.infinite),
      ulp: hasUnits ? numbers.ulp : nil,
      rounded: isDifferent && part.isRounded ? narrower : nil,
      unmeasured: isDecodable
        ? nil
        : first.dtype.isComplex != second.dtype.isComplex
          ? "complex numbers have no real counterpart"
          : "\((Quantization.decodes(second.dtype) ? first : second).dtype.rawValue) cannot be decoded",
      squaredDifference: numbers.squared_difference, squaredFirst: numbers.squared_first,
      squaredSecond: numbers.squared_second, product: numbers.product)
  }

  /// By axis, in the shape that the first had when it was given.
  private func index(of number: Int) -> [Int] {
    let index = first.shape.coordinates(of: number / first.dtype.numbersPerElement)
    return isTurned ? index.reversed() : index
  }
}
