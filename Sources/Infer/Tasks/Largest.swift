extension ArraySlice<Float> {
  /// The places of the `count` largest, the largest first; equal ones in order, NaN never.
  func largest(_ count: Int) -> [Int] {
    guard count < self.count / 8 else {
      return Array(
        indices.filter { !self[$0].isNaN }.sorted { (-self[$0], $0) < (-self[$1], $1) }
          .prefix(count))
    }
    // Few of many: nearly all are turned away by one comparison.
    var best: [Int] = []
    var least = -Float.infinity
    for index in indices where best.count < count || self[index] > least {
      guard !self[index].isNaN else { continue }
      let place = best.firstIndex { self[$0] < self[index] } ?? best.count
      best.insert(index, at: place)
      if best.count > count { best.removeLast() }
      if best.count == count, let last = best.last { least = self[last] }
    }
    return best
  }

  /// What the softmax divides by, as a logarithm: log Σ exp(x).
  var logSumExp: Double {
    let largest = Double(self.max() ?? 0)
    return largest + Double.log(reduce(0.0) { $0 + Double.exp(Double($1) - largest) })
  }
}
