internal import CStatistics
internal import Synchronization

extension Statistics {
  /// Looks at every number of `tensors` once, with several threads; the result does not depend on
  /// how many, nor on how the bytes are kept.
  ///
  /// Memory does not grow with the tensors, but for what can only be computed as a whole.
  ///
  /// - Parameter progress: called from any thread with the bytes that were read since it was last called.
  /// - Throws: ``CheckpointError`` when one cannot be read, or holds no numbers that ckpt can decode.
  public static func of(
    _ tensors: [Tensor], threads: Int? = nil, progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) -> [Statistics] {
    try each(of: tensors, threads: threads, progress: progress).map {
      result throws(CheckpointError) in try result.get()
    }
  }

  /// The same, with an error in place of what cannot be read or decoded.
  public static func each(
    of tensors: [Tensor], threads: Int? = nil, progress: (@Sendable (Int) -> Void)? = nil
  ) -> [Result<Statistics, CheckpointError>] {
    let works = tensors.map { TensorWork(TensorPass($0)) }
    let parts = works.indices.flatMap { index in
      works[index].parts.indices.map { (tensor: index, part: $0) }
    }
    let ahead = ReadAhead(Set(tensors.compactMap(\.payload.slice?.file.path)).sorted())
    defer { ahead.stop() }
    do throws(CheckpointError) {
      _ = try Parallel.map(parts.count, threads: threads, with: { Window() }) {
        (index, window) throws(CheckpointError) in
        let (tensor, part) = parts[index]
        works[tensor].look(at: part, through: window)
        progress?(works[tensor].parts[part].count)
      }
    } catch {
      return tensors.map { _ in .failure(error) }
    }
    return works.map { $0.result() }
  }

  /// Of one tensor.
  public init(_ tensor: Tensor) throws(CheckpointError) {
    self = try Statistics.of([tensor])[0]
  }
}

/// A tensor whose parts are looked at by several threads; the last of them puts the whole together, so
/// that parts are not kept longer.
private final class TensorWork: Sendable {
  let parts: [Range<Int>]
  private let pass: TensorPass
  private let state: Mutex<State>

  private struct State {
    var left: Int
    var found: [PartResult?]
    var error: CheckpointError?
    var statistics: Statistics?
  }

  init(_ pass: TensorPass) {
    self.pass = pass
    // Nothing is read of what cannot be decoded.
    parts = pass.isDecodable ? pass.tensor.parts(of: pass.part) : []
    state = Mutex(
      State(
        left: parts.count, found: [PartResult?](repeating: nil, count: parts.count),
        error: pass.isDecodable
          ? nil
          : CheckpointError(
            .unsupported, .tensor(pass.tensor.name),
            "\(pass.tensor.dtype.rawValue) cannot be decoded")))
  }

  func look(at index: Int, through window: Window) {
    guard state.withLock({ $0.error == nil }) else { return }
    do throws(CheckpointError) {
      let part = try pass.look(at: parts[index], through: window)
      let all = state.withLock { state -> [PartResult?]? in
        state.found[index] = part
        state.left -= 1
        guard state.left == 0 else { return nil }
        defer { state.found = [] }
        return state.found
      }
      guard let all else { return }
      let statistics = pass.statistics(all.compactMap(\.self))
      state.withLock { $0.statistics = statistics }
    } catch {
      state.withLock { $0.error = $0.error ?? error }
    }
  }

  func result() -> Result<Statistics, CheckpointError> {
    let (error, statistics) = state.withLock { ($0.error, $0.statistics) }
    if let error { return .failure(error) }
    // Without parts there are no numbers.
    return .success(statistics ?? pass.statistics([]))
  }
}

/// What a part of a tensor gives.
private struct PartResult: Sendable {
  var moments = ckpt_measure(CKPT_F64, nil, 0, 0)
  /// By place; one of the two is used.
  var singles: [Float] = []
  var doubles: [Double] = []

  mutating func merge(_ more: ckpt_moments) {
    // Both are structures of numbers.
    unsafe withUnsafePointer(to: more) { unsafe ckpt_merge_moments(&moments, $0) }
  }
}

/// How the numbers of one tensor are looked at.
private struct TensorPass: Sendable {
  let tensor: Tensor
  /// How they are stored, where the loops take them as they are; the others are decoded.
  private let type: ckpt_numbers?
  private let leastNormal: Double
  /// Whether every number is one of single precision.
  private let isSingle: Bool
  /// Bytes that are looked at together: they stay in the processor's cache, so that drawing from them
  /// after they were summed costs little.
  private let piece: Int
  /// Bytes of a part: sums go by pieces, then by parts, however the bytes are read.
  let part: Int

  init(_ tensor: Tensor) {
    self.tensor = tensor
    type = ckpt_numbers(tensor.dtype)
    leastNormal = tensor.dtype.leastNormal
    isSingle = tensor.dtype == .c64 || DType.f32.holds(tensor.dtype)
    let block = tensor.dtype.block
    piece =
      type == nil
      ? max(1, (32 << 10) / block.elements) * block.bytes : (256 << 10) / block.bytes * block.bytes
    part = (4 << 20) / piece * piece
  }

  var isDecodable: Bool { tensor.dtype.isDecodable }
  /// Numbers, of which a complex element holds two.
  private var count: Int { tensor.shape.count * tensor.dtype.numbersPerElement }

  /// The place of the first number of the block at `offset`.
  private func place(at offset: Int) -> Int {
    offset / tensor.dtype.block.bytes * tensor.dtype.block.elements
      * tensor.dtype.numbersPerElement
  }

  func look(at range: Range<Int>, through window: Window) throws(CheckpointError) -> PartResult {
    var result = PartResult()
    let draws = min(Statistics.sampleSize, count) / max(1, tensor.byteCount / range.count) + 2
    if isSingle {
      result.singles.reserveCapacity(draws)
    } else {
      result.doubles.reserveCapacity(draws)
    }
    var group = PartResult().moments
    try tensor.read(range, through: window) { (offset, bytes) throws(CheckpointError) in
      var start = 0
      while start < bytes.byteCount {
        // Pieces and parts begin at their multiples, wherever what is read begins and ends.
        let first = offset + start
        let end = min(bytes.byteCount, start + piece - first % piece)
        let more = look(at: bytes.extracting(start..<end), from: place(at: first), &result)
        // Both are structures of numbers.
        unsafe withUnsafePointer(to: more) { unsafe ckpt_merge_moments(&group, $0) }
        if (offset + end) % part == 0 {
          result.merge(group)
          group = PartResult().moments
        }
        start = end
      }
    }
    result.merge(group)
    return result
  }

  /// - Parameter first: the place of the first number among all.
  private func look(at bytes: RawSpan, from first: Int, _ result: inout PartResult) -> ckpt_moments
  {
    if let type {
      return unsafe bytes.withUnsafeBytes { unsafe look(at: $0, type, from: first, &result) }
    }
    let raw = unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
    // A packed type's last block may be begun only.
    let most = count - first
    if isSingle {
      let numbers: [Float] = Elements.decode(raw, as: tensor.dtype)
      return unsafe numbers.withUnsafeBytes {
        unsafe look(
          at: UnsafeRawBufferPointer(rebasing: $0.prefix(4 * most)), CKPT_F32, from: first, &result)
      }
    }
    let numbers: [Double] = Elements.decode(raw, as: tensor.dtype)
    return unsafe numbers.withUnsafeBytes {
      unsafe look(
        at: UnsafeRawBufferPointer(rebasing: $0.prefix(8 * most)), CKPT_F64, from: first, &result)
    }
  }

  private func look(
    at bytes: UnsafeRawBufferPointer, _ type: ckpt_numbers, from first: Int,
    _ result: inout PartResult
  ) -> ckpt_moments {
    let size =
      switch type {
      case CKPT_F32: 4
      case CKPT_F64: 8
      default: 2
      }
    let range = first..<(first + bytes.count / size)
    // The buffer holds as many numbers of the type as the range has places.
    let moments = unsafe ckpt_measure(type, bytes.baseAddress, range.count, leastNormal)
    let draw = Draw(count)
    switch type {
    case CKPT_F32:
      draw.forEach(in: range) {
        result.singles.append(
          unsafe bytes.loadUnaligned(fromByteOffset: ($0 - first) * 4, as: Float.self))
      }
    case CKPT_F64:
      draw.forEach(in: range) {
        result.doubles.append(
          unsafe bytes.loadUnaligned(fromByteOffset: ($0 - first) * 8, as: Double.self))
      }
    case CKPT_F16:
      draw.forEach(in: range) {
        result.singles.append(
          Half.value(
            unsafe bytes.loadUnaligned(fromByteOffset: ($0 - first) * 2, as: UInt16.self)))
      }
    default:
      draw.forEach(in: range) {
        let bits = unsafe bytes.loadUnaligned(fromByteOffset: ($0 - first) * 2, as: UInt16.self)
        result.singles.append(Float(bitPattern: UInt32(bits) << 16))
      }
    }
    return moments
  }

  func statistics(_ parts: [PartResult]) -> Statistics {
    var all = PartResult()
    if isSingle {
      all.singles.reserveCapacity(parts.reduce(0) { $0 + $1.singles.count })
    } else {
      all.doubles.reserveCapacity(parts.reduce(0) { $0 + $1.doubles.count })
    }
    for part in parts {
      all.merge(part.moments)
      all.singles += part.singles
      all.doubles += part.doubles
    }
    return Statistics(
      all.moments, drawn: isSingle ? .singles(all.singles) : .doubles(all.doubles))
  }
}

extension ckpt_numbers {
  /// How the loops take the numbers of a type as they are stored; `nil` of those that are decoded for them.
  init?(_ dtype: DType) {
    switch dtype {
    case .f32, .c64: self = CKPT_F32
    case .f64, .c128: self = CKPT_F64
    case .f16: self = CKPT_F16
    case .bf16: self = CKPT_BF16
    default: return nil
    }
  }
}
