import Checkpoint

/// Where a row or column of a result comes from: one of the source's, times a factor.
struct Pick {
  /// The source's row or column, or `nil` for zeros.
  var index: Int?
  var factor: Double

  init(_ index: Int?, times factor: Double = 1) {
    self.index = index
    self.factor = factor
  }
}

/// Some rows of a tensor, each read once; those that follow each other are read together.
private struct PickedRows {
  private(set) var values: [Double] = []
  private var starts: [Int: Int] = [:]

  init(of tensor: Tensor, _ indices: [Int]) throws(CheckpointError) {
    let width = tensor.shape.extents.dropFirst().reduce(1, *)
    let wanted = Array(Set(indices)).sorted()
    guard let first = wanted.first, let last = wanted.last else { return }
    // What cannot be read in parts is read once, from the first row to the last.
    guard tensor.readsByRows else {
      values = try tensor.doubles(rows: first..<(last + 1))
      for index in wanted { starts[index] = (index - first) * width }
      return
    }
    values.reserveCapacity(wanted.count * width)
    var position = 0
    while position < wanted.count {
      var end = position + 1
      while end < wanted.count, wanted[end] == wanted[end - 1] + 1 { end += 1 }
      for place in position..<end { starts[wanted[place]] = place * width }
      values += try tensor.doubles(rows: wanted[position]..<(wanted[end - 1] + 1))
      position = end
    }
  }

  /// Where a row begins in ``values``.
  func start(of row: Int) -> Int { starts[row] ?? 0 }
}

extension Weight {
  /// A weight that is computed by rows, in Float64, when it is read; it is rounded once, to this one's
  /// stored type, when it is written.
  ///
  /// - Parameters:
  ///   - step: what is done, for people.
  ///   - others: further weights that it is made of.
  ///   - rows: the numbers of a range of the first axis, in C order.
  func computed(
    as name: String? = nil, _ shape: Shape, _ step: String, with others: [Weight] = [],
    rows: @escaping @Sendable (Range<Int>) throws(CheckpointError) -> [Double]
  ) -> Weight {
    var result = renamed(name ?? self.name, operation: step)
    for weight in others where weight.sources != sources {
      result.sources += weight.sources.filter { !result.sources.contains($0) }
    }
    result.rounding = rounding ?? tensor.dtype.computed
    result.tensor = .computed(
      tensor.name, shape, operation: step, of: [tensor] + others.map(\.tensor), rows: rows)
    return result
  }

  /// Every element times a factor.
  func scaled(by factor: Double, _ step: String) -> Weight {
    let tensor = tensor
    return computed(tensor.shape, step) { (range) throws(CheckpointError) in
      try tensor.doubles(rows: range).map { $0 * factor }
    }
  }

  /// Rows (of the first axis) put together anew.
  func pickingRows(_ picks: [Pick], _ step: String) -> Weight {
    mixingRows(picks.map { [$0] }, step)
  }

  /// Rows (of the first axis), each the sum of some of the source's, times their factors.
  ///
  /// A row that is one of the source's, times 1, keeps its bits.
  func mixingRows(_ mixes: [[Pick]], _ step: String) -> Weight {
    let tensor = tensor
    let width = tensor.shape.extents.dropFirst().reduce(1, *)
    let shape = Shape([mixes.count] + tensor.shape.extents.dropFirst())
    return computed(shape, step) { (range) throws(CheckpointError) in
      let rows = try PickedRows(of: tensor, mixes[range].joined().compactMap(\.index))
      var values = [Double](repeating: 0, count: range.count * width)
      for (position, mix) in mixes[range].enumerated() {
        for (part, pick) in mix.enumerated() {
          guard let index = pick.index else { continue }
          let (target, source) = (position * width, rows.start(of: index))
          for column in 0..<width {
            let value = rows.values[source + column] * pick.factor
            // Not added to zero, which would take the sign of a negative one.
            values[target + column] = part == 0 ? value : values[target + column] + value
          }
        }
      }
      return values
    }
  }

  /// Columns (of the last axis) put together anew.
  func pickingColumns(_ picks: [Pick], _ step: String) -> Weight {
    mixingColumns(picks.map { [$0] }, step)
  }

  /// Columns (of the last axis), each the sum of some of the source's, times their factors.
  func mixingColumns(_ mixes: [[Pick]], _ step: String) -> Weight {
    guard tensor.shape.rank > 1 else { return mixingRows(mixes, step) }
    guard !tensor.liesByColumns else {
      var turned = self
      turned.tensor = tensor.transposed()
      turned = turned.mixingRows(mixes, step)
      turned.tensor = turned.tensor.transposed()
      return turned
    }
    let tensor = tensor
    let width = tensor.shape.extents.last ?? 0
    let shape = Shape(tensor.shape.extents.dropLast() + [mixes.count])
    let inner = tensor.shape.extents.dropFirst().dropLast().reduce(1, *)
    return computed(shape, step) { (range) throws(CheckpointError) in
      let source = try tensor.doubles(rows: range)
      var values = [Double](repeating: 0, count: range.count * inner * mixes.count)
      for (column, mix) in mixes.enumerated() {
        for (part, pick) in mix.enumerated() {
          guard let index = pick.index else { continue }
          for row in 0..<(range.count * inner) {
            let target = row * mixes.count + column
            let value = source[row * width + index] * pick.factor
            values[target] = part == 0 ? value : values[target] + value
          }
        }
      }
      return values
    }
  }

  /// The matrix times a square or narrowing one for each of its equal parts side by side: part p of the
  /// result is part p of this one times `matrices[p]`.
  ///
  /// - Parameters:
  ///   - matrices: each `[width of a part, columns]` in C order.
  ///   - columns: of each part of the result.
  ///   - others: the weights that the matrices are.
  func multiplyingParts(
    _ matrices: [[Double]], columns: Int, _ step: String, with others: [Weight] = []
  ) -> Weight {
    let tensor = tensor
    let isVector = tensor.shape.rank == 1
    let width = tensor.shape.extents.last ?? 0
    let part = width / max(matrices.count, 1)
    let total = matrices.count * columns
    @Sendable func product(_ source: [Double], _ rows: Int) -> [Double] {
      var values = [Double](repeating: 0, count: rows * total)
      for row in 0..<rows {
        for (index, matrix) in matrices.enumerated() {
          let target = row * total + index * columns
          for inner in 0..<part {
            let factor = source[row * width + index * part + inner]
            guard factor != 0 else { continue }
            for column in 0..<columns {
              values[target + column] += factor * matrix[inner * columns + column]
            }
          }
        }
      }
      return values
    }
    if isVector {
      return computed([total], step, with: others) { (range) throws(CheckpointError) in
        Array(product(try tensor.doubles(), 1)[range])
      }
    }
    return computed([tensor.shape[0], total], step, with: others) {
      (range) throws(CheckpointError) in
      product(try tensor.doubles(rows: range), range.count)
    }
  }
}

extension DType {
  /// The type of what is computed of a weight: blocks cannot hold it, Float32 can.
  var computed: DType { isQuantized || isPacked ? .f32 : self }
}

extension Model {
  /// Replaces the weights of these names by what `change` makes of each.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` where one is missing.
  mutating func rewrite(
    _ names: some Sequence<String>, _ change: (Weight) throws(CheckpointError) -> Weight
  ) throws(CheckpointError) {
    for name in names {
      let new = try change(weight(name))
      if let index = weights.firstIndex(where: { $0.name == name }) { weights[index] = new }
    }
  }

  /// The same where a weight may be missing, such as a bias.
  ///
  /// - Returns: the names of those that there are.
  mutating func rewriteIfPresent(
    _ names: some Sequence<String>, _ change: (Weight) throws(CheckpointError) -> Weight
  ) throws(CheckpointError) -> [String] {
    let present = Set(weights.map(\.name))
    let names = names.filter(present.contains)
    try rewrite(names, change)
    return names
  }

  /// The same for a dense layer, such as `layers.3.attention.query`: its kernel and its bias, if any.
  mutating func rewriteDense(
    _ layer: String, _ change: (Weight) throws(CheckpointError) -> Weight
  ) throws(CheckpointError) -> [String] {
    try rewriteIfPresent(["\(layer).kernel", "\(layer).bias"], change)
  }
}
