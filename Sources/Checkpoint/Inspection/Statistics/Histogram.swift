/// How many of a tensor's numbers lie in each of equal parts of their range, counted one by one.
///
/// As `numpy.histogram`: a number on an edge belongs to the part above it, the largest one to the last
/// part, and equal numbers get a range of one around them. Complex tensors count as twice as many real
/// numbers.
public struct Histogram: Sendable {
  /// Edges between the parts and around them, one more than ``counts``; empty where no number is finite.
  public let edges: [Double]
  public let counts: [Int]
  /// What was found of the numbers on the way.
  public let statistics: Statistics

  /// - Parameters:
  ///   - bins: the number of parts, at least 1.
  ///   - progress: called from any thread with the bytes that were read, of twice as many as the tensor has.
  /// - Throws: ``CheckpointError`` when the tensor cannot be read or decoded.
  public init(
    _ tensor: Tensor, bins: Int, progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) {
    statistics = try Statistics.of([tensor], progress: progress)[0]
    guard let low = statistics.minimum, let high = statistics.maximum else {
      edges = []
      counts = []
      return
    }
    let scale = Scale(low, high, bins: bins)
    edges = scale.edges
    let parts = tensor.parts()
    let found = try Parallel.map(parts.count, with: { Window() }) {
      (index, window) throws(CheckpointError) in
      var counts = [Int](repeating: 0, count: bins)
      try tensor.numbers(parts[index], through: window) { (_, values) in
        for value in values where value.isFinite { counts[scale.bin(of: value)] += 1 }
      }
      progress?(parts[index].count)
      return counts
    }
    counts = found.reduce(into: [Int](repeating: 0, count: bins)) { sum, part in
      for (index, count) in part.enumerated() { sum[index] += count }
    }
  }

  /// Equal parts of a range.
  private struct Scale: Sendable {
    let edges: [Double]
    private let low: Double
    private let width: Double
    /// Halves where the range is wider than a number can say.
    private let unit: Double

    init(_ least: Double, _ largest: Double, bins: Int) {
      let (low, high) = least == largest ? (least - 0.5, largest + 0.5) : (least, largest)
      unit = (high - low).isFinite ? 1 : 0.5
      self.low = low
      width = high * unit - low * unit
      let step = width / Double(bins) / unit
      let isWide = unit < 1
      edges =
        (0..<bins).map { index in
          let share = Double(index) / Double(bins)
          return isWide ? low * (1 - share) + high * share : Double(index) * step + low
        } + [high]
    }

    func bin(of value: Double) -> Int {
      let last = edges.count - 2
      let share = width > 0 ? (value * unit - low * unit) / width : 0
      var bin = min(last, max(0, Int(share * Double(last + 1))))
      if value < edges[bin] { bin = max(0, bin - 1) }
      if bin < last, value >= edges[bin + 1] { bin += 1 }
      return bin
    }
  }
}

extension Tensor {
  /// Passes the numbers of a part of the canonical bytes (``parts(of:)``) to `body`, some at a time, with
  /// the place of the first one among all numbers; complex elements are two numbers.
  public func numbers(
    _ part: Range<Int>, through window: Window,
    _ body: (_ first: Int, _ values: [Double]) -> Void
  ) throws(CheckpointError) {
    guard dtype.isDecodable else {
      throw CheckpointError(.unsupported, .tensor(name), "\(dtype.rawValue) cannot be decoded")
    }
    let block = dtype.block
    let perElement = dtype.numbersPerElement
    let count = shape.count * perElement
    try read(part, through: window) { (offset, bytes) throws(CheckpointError) in
      let step = (256 << 10) / block.bytes * block.bytes
      for start in stride(from: 0, to: bytes.byteCount, by: step) {
        let piece = bytes.extracting(start..<min(bytes.byteCount, start + step))
        let raw = unsafe piece.withUnsafeBytes { unsafe [UInt8]($0) }
        var values: [Double] = Elements.decode(raw, as: dtype)
        let first = (offset + start) / block.bytes * block.elements * perElement
        // A packed type's last block may be begun only.
        if values.count > count - first { values.removeLast(values.count - (count - first)) }
        body(first, values)
      }
    }
  }
}
