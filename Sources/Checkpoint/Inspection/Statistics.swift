internal import CStatistics

/// What can be said of a tensor's numbers after looking at each of them once.
///
/// Counts are of every number. Moments and extremes are of the finite ones, in Float64. Complex
/// tensors count as twice as many real numbers, blocks as what they stand for.
public struct Statistics: Sendable {
  private let moments: ckpt_moments
  /// Finite numbers in ascending order: all of them, or as many of the whole as ``sampleSize``.
  public let sample: [Double]
  /// The same numbers by place, up to ``sketchSize`` of them, by which tensors of one shape can be
  /// compared roughly.
  public let sketch: [Double]

  /// Numbers that are drawn of a larger tensor: one at random of each of as many equal runs, always the
  /// same.
  public static let sampleSize = 4096
  public static let sketchSize = 256

  /// Numbers that were looked at.
  public var count: Int { finite + nan + infinite }
  public var finite: Int { Int(moments.finite) }
  public var nan: Int { Int(moments.nan) }
  public var positiveInfinite: Int { Int(moments.positive_infinite) }
  public var negativeInfinite: Int { Int(moments.negative_infinite) }
  public var infinite: Int { positiveInfinite + negativeInfinite }
  /// Zeros of both signs.
  public var zeros: Int { Int(moments.zeros) }
  public var negativeZeros: Int { Int(moments.negative_zeros) }
  /// Numbers but zero that are smaller than the stored type's least normal one.
  public var subnormals: Int { Int(moments.subnormals) }
  /// `nil` where no number is finite, as all that follow.
  public var minimum: Double? { finite > 0 ? moments.minimum : nil }
  public var maximum: Double? { finite > 0 ? moments.maximum : nil }
  public var mean: Double? { finite > 0 ? moments.mean : nil }
  /// √(Σ (x − mean)² / n).
  public var standardDeviation: Double? {
    finite > 0 ? (max(0, moments.deviation) / Double(finite)).squareRoot() : nil
  }
  /// √(Σ x²).
  public var norm: Double? {
    finite > 0
      ? (max(0, moments.deviation) + moments.mean * moments.mean * Double(finite)).squareRoot()
      : nil
  }
  /// The largest magnitude.
  public var largest: Double? { finite > 0 ? max(-moments.minimum, moments.maximum) : nil }

  /// Whether all numbers are finite and the same.
  public var isConstant: Bool { finite == count && moments.minimum == moments.maximum }

  /// Whether quantiles and histograms are exact, because the sample holds every finite number.
  public var isExact: Bool { sample.count == finite }

  /// A quantile of the sample, between neighbours as NumPy's `linear`.
  public func quantile(_ share: Double) -> Double? {
    guard let last = sample.indices.last else { return nil }
    let place = share * Double(last)
    let below = min(last, max(0, Int(place)))
    let (a, b) = (sample[below], sample[min(last, below + 1)])
    let part = place - Double(below)
    return part == 0 || a == b ? a : a + (b - a) * part
  }

  public var median: Double? { quantile(0.5) }

  /// How many numbers of the sample fall into each of `bins` equal parts of the range from `low` to
  /// `high`, which belongs to the last; numbers outside are left out.
  public func histogram(bins: Int, from low: Double, to high: Double) -> [Int] {
    var counts = [Int](repeating: 0, count: bins)
    let width = high - low
    for value in sample where value >= low && value <= high {
      let bin = width > 0 ? Int((value - low) / width * Double(bins)) : 0
      counts[min(bins - 1, max(0, bin))] += 1
    }
    return counts
  }

  fileprivate init(_ moments: ckpt_moments, drawn: [Double], isSingle: Bool) {
    self.moments = moments
    var finite = drawn.filter(\.isFinite)
    let step = max(1, drawn.count / Statistics.sketchSize)
    sketch = stride(from: 0, to: drawn.count, by: step).prefix(Statistics.sketchSize).map {
      drawn[$0]
    }
    if isSingle { Ascending.sort(&finite) } else { finite.sort() }
    sample = finite
  }
}

// MARK: The pass

extension Statistics {
  /// Looks at every number of `tensors` once, with several threads; the result does not depend on
  /// how many.
  ///
  /// Memory does not grow with the tensors, but for what can only be computed as a whole.
  ///
  /// - Parameter progress: called from any thread with the bytes that were read since it was last called.
  /// - Throws: ``CheckpointError`` when one cannot be read, or holds no numbers that ckpt can decode.
  public static func of(
    _ tensors: [Tensor], threads: Int? = nil, progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) -> [Statistics] {
    let passes = try tensors.map { tensor throws(CheckpointError) in try TensorPass(tensor) }
    let parts = passes.indices.flatMap { index in
      passes[index].tensor.parts().map { (tensor: index, bytes: $0) }
    }
    let ahead = ReadAhead(Set(tensors.compactMap(\.payload.slice?.file.path)).sorted())
    defer { ahead.stop() }
    let found = try Parallel.map(parts.count, threads: threads, with: { Window() }) {
      (index, window) throws(CheckpointError) in
      let part = parts[index]
      let result = try passes[part.tensor].look(at: part.bytes, through: window)
      progress?(part.bytes.count)
      return result
    }
    var results = [PartResult](repeating: PartResult(), count: passes.count)
    for (part, more) in zip(parts, found) { results[part.tensor].merge(more) }
    let all = results
    return try Parallel.map(passes.count, threads: threads, with: {}) { index, _ in
      Statistics(all[index].moments, drawn: all[index].drawn, isSingle: passes[index].isSingle)
    }
  }

  /// Of one tensor.
  public init(_ tensor: Tensor) throws(CheckpointError) {
    self = try Statistics.of([tensor])[0]
  }
}

/// What a part of a tensor gives.
private struct PartResult: Sendable {
  var moments = ckpt_measure(CKPT_F64, nil, 0, 0)
  /// By place.
  var drawn: [Double] = []

  mutating func merge(_ more: PartResult) {
    // Both are structures of numbers.
    unsafe withUnsafePointer(to: more.moments) { unsafe ckpt_merge_moments(&moments, $0) }
    drawn += more.drawn
  }
}

/// How the numbers of one tensor are looked at.
private struct TensorPass: Sendable {
  let tensor: Tensor
  /// How they are stored, where the loops take them as they are; the others are decoded.
  private let type: ckpt_numbers?
  private let leastNormal: Double

  /// Whether every number is one of single precision.
  var isSingle: Bool { DType.f32.holds(tensor.dtype) }

  init(_ tensor: Tensor) throws(CheckpointError) {
    self.tensor = tensor
    if tensor.dtype.isQuantized, !Quantization.decodes(tensor.dtype) {
      throw CheckpointError(
        .unsupported, .tensor(tensor.name), "\(tensor.dtype.rawValue) cannot be decoded")
    }
    type =
      switch tensor.dtype {
      case .f32, .c64: CKPT_F32
      case .f64, .c128: CKPT_F64
      case .f16: CKPT_F16
      case .bf16: CKPT_BF16
      default: nil
      }
    leastNormal = tensor.dtype.leastNormal
  }

  /// Numbers, of which a complex element holds two.
  private var count: Int {
    tensor.shape.count * (tensor.dtype == .c64 || tensor.dtype == .c128 ? 2 : 1)
  }

  func look(at part: Range<Int>, through window: Window) throws(CheckpointError) -> PartResult {
    var result = PartResult()
    let block = tensor.dtype.block
    let perElement = count / max(1, tensor.shape.count)
    try tensor.read(part, through: window) { (offset, bytes) throws(CheckpointError) in
      let first = offset / block.bytes * block.elements * perElement
      // What stays in the processor's cache is drawn from right after it was summed.
      let step = (256 << 10) / block.bytes * block.bytes
      for start in stride(from: 0, to: bytes.byteCount, by: step) {
        let piece = bytes.extracting(start..<min(bytes.byteCount, start + step))
        result.merge(
          look(at: piece, from: first + start / block.bytes * block.elements * perElement))
      }
    }
    return result
  }

  /// - Parameter first: the place of the first number among all.
  private func look(at bytes: RawSpan, from first: Int) -> PartResult {
    guard let type else {
      let raw = unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
      var numbers: [Double] = Elements.decode(raw, as: tensor.dtype)
      // A packed type's last block may be begun only.
      if numbers.count > count - first { numbers.removeLast(numbers.count - (count - first)) }
      return unsafe numbers.withUnsafeBytes { unsafe look(at: $0, CKPT_F64, size: 8, from: first) }
    }
    return unsafe bytes.withUnsafeBytes {
      unsafe look(at: $0, type, size: tensor.dtype.numberSize, from: first)
    }
  }

  private func look(
    at bytes: UnsafeRawBufferPointer, _ type: ckpt_numbers, size: Int, from first: Int
  ) -> PartResult {
    var result = PartResult()
    let number = bytes.count / size
    // The buffer holds that many numbers of the type.
    result.moments = unsafe ckpt_measure(type, bytes.baseAddress, number, leastNormal)
    for place in Draw(count).places(in: first..<(first + number)) {
      let offset = (place - first) * size
      // Places lie inside the range that was asked for.
      let value =
        switch type {
        case CKPT_F32: unsafe Double(bytes.loadUnaligned(fromByteOffset: offset, as: Float.self))
        case CKPT_F64: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Double.self)
        case CKPT_F16:
          unsafe Double(Half.value(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
        default:
          unsafe Double(
            Float(
              bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) << 16
            ))
        }
      result.drawn.append(value)
    }
    return result
  }
}

/// Which of `count` numbers are drawn: all, or one of each of ``Statistics/sampleSize`` equal runs.
private struct Draw {
  let count: Int

  init(_ count: Int) { self.count = count }

  /// The drawn places in a range, in order.
  func places(in range: Range<Int>) -> some Sequence<Int> {
    let runs = Statistics.sampleSize
    let isWhole = count <= runs
    let first = isWhole ? range.lowerBound : run(of: range.lowerBound)
    let last =
      isWhole ? range.upperBound : range.isEmpty ? first : run(of: range.upperBound - 1) + 1
    return (first..<last).lazy.map { isWhole ? $0 : place(in: $0) }.filter { range.contains($0) }
  }

  private func run(of place: Int) -> Int {
    let (high, low) = place.multipliedFullWidth(by: Statistics.sampleSize)
    return count.dividingFullWidth((high, low)).quotient
  }

  /// Runs begin at ⌈run · count / runs⌉, and the place in one is scattered by its number.
  private func place(in run: Int) -> Int {
    let (start, end) = (start(of: run), start(of: run + 1))
    var bits = UInt64(truncatingIfNeeded: run &+ 1) &* 0x9e37_79b9_7f4a_7c15
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    return start + Int((bits ^ (bits >> 27)) % UInt64(end - start))
  }

  private func start(of run: Int) -> Int {
    let runs = Statistics.sampleSize
    let (quotient, rest) = count.quotientAndRemainder(dividingBy: runs)
    return run * quotient + (run * rest + runs - 1) / runs
  }
}

/// Sorts numbers of single precision by their bits, which is several times as fast as by comparison.
private enum Ascending {
  static func sort(_ numbers: inout [Double]) {
    guard numbers.count > 256 else { return numbers.sort() }
    var keys = numbers.map { number in
      let bits = Float(number).bitPattern
      return bits >> 31 == 1 ? ~bits : bits | 1 << 31
    }
    var sorted = keys
    for shift in [UInt32(0), 11, 22] {
      var starts = [Int](repeating: 0, count: 2048)
      for key in keys { starts[Int(key >> shift & 2047)] += 1 }
      var sum = 0
      for digit in starts.indices { (starts[digit], sum) = (sum, sum + starts[digit]) }
      for key in keys {
        let digit = Int(key >> shift & 2047)
        sorted[starts[digit]] = key
        starts[digit] += 1
      }
      swap(&keys, &sorted)
    }
    for index in numbers.indices {
      let key = keys[index]
      numbers[index] = Double(Float(bitPattern: key >> 31 == 1 ? key & ~(1 << 31) : ~key))
    }
  }
}

extension DType {
  /// The least positive number that has the type's full precision; 0 where there is none.
  var leastNormal: Double {
    switch self {
    case .f64, .c128: .leastNormalMagnitude
    case .f32, .c64: Double(Float.leastNormalMagnitude)
    case .f16: 0x1p-14
    case .bf16: Double(Float.leastNormalMagnitude)
    default: MiniFloat.of(self)?.leastNormal ?? 0
    }
  }
}
