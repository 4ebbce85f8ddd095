import Glibc

extension ChainPath {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (energies, labels) = (operands[0], operands[0].width)
    let length = result.width
    guard result.count > 0 else { return }
    let square = labels * labels
    let scores = (0..<square).map { -Double(operands[1].data[$0]) }
    workers.parallel(result.shape[0], grain: 1) { range, _ in
      for row in range {
        let mask = operands.count == 3 ? operands[2].data + row * length : nil
        func weight(_ t: Int) -> Double { mask.map { Double($0[t]) } ?? 1 }
        var unary = (0..<(length * labels)).map { place in
          -Double(energies.data[row * length * labels + place]) * weight(place / labels)
        }
        var pairs = scores
        if mask != nil {
          pairs = (0..<(length * square)).map { place in
            let t = place / square
            guard t < length - 1 else { return 0 }
            return scores[place % square] * (weight(t) * weight(t + 1))
          }
        }
        // One more position, of a label that is given.
        unary += (0..<labels).map { $0 == 0 ? 0 : -.infinity }
        func best(before next: Int) -> [Int] {
          for label in 0..<labels {
            unary[length * labels + label] = label == next ? 0 : -.infinity
          }
          let chain = LabelChain(unary: unary, pairs: pairs, labels: labels)
          return chain.best?.labels ?? Array(repeating: 0, count: length + 1)
        }
        var path = best(before: 0)
        if mask == nil { path = best(before: path[length - 1]) }
        for t in 0..<length { result.data[row * length + t] = Float(path[t]) }
      }
    }
  }
}

extension ChainMessages {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (energies, chain, labels) = (operands[0].data, operands[1].data, result.width)
    let length = result.shape[1]
    guard result.count > 0 else { return }
    workers.parallel(result.shape[0], grain: 1) { range, _ in
      var before = [Double](repeating: 0, count: labels)
      var terms = before
      for row in range {
        let mask = operands.count == 3 ? operands[2].data + row * length : nil
        func weight(_ t: Int) -> Double {
          mask.map { 0..<length ~= t ? Double($0[t]) : 0 } ?? 1
        }
        for label in 0..<labels { before[label] = 0 }
        for step in 0..<length {
          let t = isReversed ? length - 1 - step : step
          let own = weight(t)
          let pair = own * weight(isReversed ? t - 1 : t + 1)
          let place = (row * length + t) * labels
          for from in 0..<labels { before[from] -= Double(energies[place + from]) * own }
          for to in 0..<labels {
            for from in 0..<labels {
              terms[from] = before[from] - Double(chain[from * labels + to]) * pair
            }
            result.data[place + to] = Float(LabelChain.logSum(terms[...]))
          }
          for to in 0..<labels { before[to] = Double(result.data[place + to]) }
        }
      }
    }
  }
}
