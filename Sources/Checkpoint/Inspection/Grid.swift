/// A matrix made small: its elements in cells, of each of which one number is known.
///
/// A tensor of more axes is taken as the matrix of its last axis, with all others above each other; a
/// vector is folded into rows. Of complex numbers the magnitudes are taken.
public struct Grid: Sendable {
  /// The matrix.
  public let rows: Int
  public let columns: Int
  /// Elements of the last row, which a folded vector may not fill.
  private let count: Int
  /// Cells across and down.
  public let width: Int
  public let height: Int
  /// For each cell, row by row, the element of the largest magnitude or the mean of the finite ones;
  /// NaN where one is not finite, `nil` where there is no element.
  public let cells: [Double?]

  public enum Pooling: String, Sendable, CaseIterable { case largest, mean }

  /// - Parameters:
  ///   - height: cells at most.
  ///   - progress: called from any thread with the bytes that were read.
  /// - Throws: ``CheckpointError`` when the tensor cannot be read or decoded, or has no elements.
  public init(
    _ tensor: Tensor, width: Int, height: Int, pooling: Pooling,
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) {
    guard tensor.shape.count > 0 else {
      throw CheckpointError(.usage, .tensor(tensor.name), "has no elements to draw")
    }
    count = tensor.shape.count
    if tensor.shape.rank < 2 {
      // About twice as wide as high.
      var side = 1
      while side * side < 2 * count { side += 1 }
      columns = min(side, count)
    } else {
      columns = tensor.shape[tensor.shape.rank - 1]
    }
    rows = (count + columns - 1) / columns
    self.width = min(columns, max(1, width))
    self.height = min(rows, max(1, height))
    let layout = Layout(rows: rows, columns: columns, width: self.width, height: self.height)
    let parts = tensor.parts()
    let isComplex = tensor.dtype.isComplex
    let found = try Parallel.map(parts.count, with: { Window() }) {
      (index, window) throws(CheckpointError) in
      var band: Band?
      try tensor.numbers(parts[index], through: window) { (first, values) in
        let numbers = isComplex ? Grid.magnitudes(values) : values
        let start = isComplex ? first / 2 : first
        var cells = band ?? Band(layout, from: start)
        cells.add(numbers, from: start, layout, pooling)
        band = cells
      }
      progress?(parts[index].count)
      return band
    }
    var sum = Band(layout, from: 0)
    for band in found { if let band { sum.merge(band, layout, pooling) } }
    cells = sum.cells(layout, pooling)
  }

  private static func magnitudes(_ parts: [Double]) -> [Double] {
    stride(from: 0, to: parts.count - 1, by: 2).map {
      let (real, imaginary) = (parts[$0].magnitude, parts[$0 + 1].magnitude)
      let (large, small) = (max(real, imaginary), min(real, imaginary))
      guard large.isFinite, large > 0 else { return real + imaginary }
      let ratio = small / large
      return large * (1 + ratio * ratio).squareRoot()
    }
  }

  /// Which cell an element belongs to.
  private struct Layout: Sendable {
    let rows: Int
    let columns: Int
    let width: Int
    let height: Int

    func row(of element: Int) -> Int { element / columns * height / rows }
  }

  /// Cells of some rows.
  private struct Band: Sendable {
    let first: Int
    var sums: [Double] = []
    var counts: [Int] = []
    var isBroken: [Bool] = []

    init(_ layout: Layout, from element: Int) { first = layout.row(of: element) }

    private mutating func grow(to row: Int, _ layout: Layout) {
      let more = (row - first + 1) * layout.width - sums.count
      guard more > 0 else { return }
      sums += [Double](repeating: 0, count: more)
      counts += [Int](repeating: 0, count: more)
      isBroken += [Bool](repeating: false, count: more)
    }

    mutating func add(_ values: [Double], from start: Int, _ layout: Layout, _ pooling: Pooling) {
      guard !values.isEmpty else { return }
      grow(to: layout.row(of: start + values.count - 1), layout)
      var (row, column) = start.quotientAndRemainder(dividingBy: layout.columns)
      var base = (row * layout.height / layout.rows - first) * layout.width
      for value in values {
        let cell = base + column * layout.width / layout.columns
        if !value.isFinite {
          isBroken[cell] = true
        } else if pooling == .mean {
          sums[cell] += value
        } else if value.magnitude > sums[cell].magnitude {
          sums[cell] = value
        }
        counts[cell] += 1
        column += 1
        if column == layout.columns {
          (row, column) = (row + 1, 0)
          base = (row * layout.height / layout.rows - first) * layout.width
        }
      }
    }

    mutating func merge(_ other: Band, _ layout: Layout, _ pooling: Pooling) {
      guard !other.sums.isEmpty else { return }
      grow(to: other.first + other.sums.count / layout.width - 1, layout)
      let offset = (other.first - first) * layout.width
      for (index, sum) in other.sums.enumerated() {
        let cell = offset + index
        if pooling == .mean {
          sums[cell] += sum
        } else if sum.magnitude > sums[cell].magnitude {
          sums[cell] = sum
        }
        counts[cell] += other.counts[index]
        isBroken[cell] = isBroken[cell] || other.isBroken[index]
      }
    }

    func cells(_ layout: Layout, _ pooling: Pooling) -> [Double?] {
      (0..<layout.width * layout.height).map { cell in
        guard cell < counts.count, counts[cell] > 0 else { return nil }
        if isBroken[cell] { return .nan }
        return pooling == .mean ? sums[cell] / Double(counts[cell]) : sums[cell]
      }
    }
  }
}
