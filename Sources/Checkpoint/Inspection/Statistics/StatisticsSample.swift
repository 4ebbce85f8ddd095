/// Numbers that were drawn of a tensor, in single precision where they all are.
enum Drawn: Sendable {
  case singles([Float])
  case doubles([Double])

  var count: Int {
    switch self {
    case .singles(let numbers): numbers.count
    case .doubles(let numbers): numbers.count
    }
  }

  subscript(index: Int) -> Double {
    switch self {
    case .singles(let numbers): Double(numbers[index])
    case .doubles(let numbers): numbers[index]
    }
  }

  var doubles: [Double] {
    switch self {
    case .singles(let numbers): numbers.map { Double($0) }
    case .doubles(let numbers): numbers
    }
  }

  /// Where the first number stands for which `isBeyond` holds, as it does for all that follow.
  func firstIndex(where isBeyond: (Double) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBeyond(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  func finiteAscending() -> Drawn {
    switch self {
    case .singles(let numbers): .singles(Ascending.finite(numbers))
    case .doubles(let numbers): .doubles(numbers.filter(\.isFinite).sorted())
    }
  }
}

/// Which of `count` numbers are drawn: all, or one of each of ``Statistics/sampleSize`` equal runs.
struct Draw {
  let count: Int

  init(_ count: Int) { self.count = count }

  /// Calls `body` with each drawn place in a range, in order.
  func forEach(in range: Range<Int>, _ body: (Int) -> Void) {
    guard !range.isEmpty else { return }
    guard count > Statistics.sampleSize else { return range.forEach(body) }
    for run in run(of: range.lowerBound)...run(of: range.upperBound - 1) {
      let place = place(in: run)
      if range.contains(place) { body(place) }
    }
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
    bits ^= bits >> 27
    return start + Int(bits.multipliedFullWidth(by: UInt64(end - start)).high)
  }

  private func start(of run: Int) -> Int {
    let runs = Statistics.sampleSize
    let (quotient, rest) = count.quotientAndRemainder(dividingBy: runs)
    return run * quotient + (run * rest + runs - 1) / runs
  }
}

/// Sorts numbers of single precision by their bits, which is several times as fast as by comparison.
private enum Ascending {
  private static let digit = 11

  /// The finite ones, in ascending order.
  static func finite(_ numbers: [Float]) -> [Float] {
    guard numbers.count > 256 else { return numbers.filter(\.isFinite).sorted() }
    // Both buffers have room for all numbers.
    var keys = unsafe [UInt32](unsafeUninitializedCapacity: numbers.count) { buffer, count in
      for number in numbers where number.isFinite {
        unsafe buffer[count] = key(number)
        count += 1
      }
    }
    var other = [UInt32](repeating: 0, count: keys.count)
    var starts = [Int](repeating: 0, count: 1 << digit)
    for step in 0..<3 {
      sort(keys.span, by: UInt32(step * digit), into: other.mutableSpan, starts.mutableSpan)
      swap(&keys, &other)
    }
    return keys.map { Float(bitPattern: $0 >> 31 == 1 ? $0 & ~(1 << 31) : ~$0) }
  }

  /// Bits that have the order of the numbers: negative ones are turned round.
  private static func key(_ number: Float) -> UInt32 {
    let bits = number.bitPattern
    return bits >> 31 == 1 ? ~bits : bits | 1 << 31
  }

  /// By one digit; what has the same stays in its order.
  private static func sort(
    _ keys: Span<UInt32>, by shift: UInt32, into sorted: consuming MutableSpan<UInt32>,
    _ starts: consuming MutableSpan<Int>
  ) {
    let mask = UInt32(1 << digit - 1)
    for index in starts.indices { starts[index] = 0 }
    for index in keys.indices { starts[Int(keys[index] >> shift & mask)] += 1 }
    var sum = 0
    for index in starts.indices {
      let count = starts[index]
      starts[index] = sum
      sum += count
    }
    for index in keys.indices {
      let place = Int(keys[index] >> shift & mask)
      sorted[starts[place]] = keys[index]
      starts[place] += 1
    }
  }
}
