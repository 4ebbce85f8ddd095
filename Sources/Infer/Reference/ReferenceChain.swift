extension ChainPath {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (energies, chain) = (operands[0], operands[1])
    let (length, labels) = (shape[1], energies.shape[2])
    var result = NDArray<S>(zeros: shape)
    guard length > 0 else { return result }
    for row in 0..<shape[0] {
      func mask(_ t: Int) -> S {
        guard operands.count == 3 else { return 1 }
        return t < length ? operands[2].values[row * length + t] : 0
      }
      // For each label of the next position the best one of this.
      var tables: [[Int]] = []
      var before = [S](repeating: 0, count: labels)
      for t in 0..<length {
        var (table, least) = ([Int](repeating: 0, count: labels), [S](repeating: 0, count: labels))
        for to in 0..<labels {
          for from in 0..<labels {
            let energy =
              before[from] + energies.values[(row * length + t) * labels + from] * mask(t)
              + chain.values[from * labels + to] * (mask(t) * mask(t + 1))
            if from == 0 || energy < least[to] { (table[to], least[to]) = (from, energy) }
          }
        }
        tables.append(table)
        before = least
      }
      var label = tables[length - 1][0]
      for t in (0..<length).reversed() {
        label = tables[t][label]
        result.values[row * length + t] = S(label)
      }
    }
    return result
  }
}

extension ChainMessages {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (energies, chain) = (operands[0], operands[1])
    let (length, labels) = (shape[1], shape[2])
    var result = NDArray<S>(zeros: shape)
    for row in 0..<shape[0] {
      func mask(_ t: Int) -> S {
        guard operands.count == 3 else { return 1 }
        return 0..<length ~= t ? operands[2].values[row * length + t] : 0
      }
      var before = [S](repeating: 0, count: labels)
      for step in 0..<length {
        let t = isReversed ? length - 1 - step : step
        let pair = mask(t) * mask(isReversed ? t - 1 : t + 1)
        let place = (row * length + t) * labels
        before = (0..<labels).map { to in
          Reduce.Kind.logSumExp.value(
            (0..<labels).map { from in
              before[from] - energies.values[place + from] * mask(t)
                - chain.values[from * labels + to] * pair
            })
        }
        result.values.replaceSubrange(place..<(place + labels), with: before)
      }
    }
    return result
  }
}
