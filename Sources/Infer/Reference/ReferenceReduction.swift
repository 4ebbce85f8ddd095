import Glibc

extension Reduce {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let isReduced = isReduced(rank: x.shape.count)
    let kept = zip(x.shape, isReduced).map { $1 ? 1 : $0 }
    let results = kept.reduce(1, *)
    // Which result each element belongs to, and the elements of each.
    var groups = [[S]](repeating: [], count: results)
    forEachPlace(of: x.shape) { index, place in
      var target = 0
      for axis in kept.indices {
        target = target * kept[axis] + (isReduced[axis] ? 0 : place[axis])
      }
      groups[target].append(x.values[index])
    }
    return NDArray(shape: shape, values: groups.map { kind.value($0) })
  }
}

extension Reduce.Kind {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  func value<S: ReferenceScalar>(_ values: [S]) -> S {
    let count = S(values.count)
    switch self {
    case .sum: return values.reduce(0, +)
    case .mean: return values.reduce(0, +) / count
    case .product: return values.reduce(1, *)
    case .max: return values.reduce(-.infinity) { $1 > $0 || $1.isNaN ? $1 : $0 }
    case .min: return values.reduce(.infinity) { $1 < $0 || $1.isNaN ? $1 : $0 }
    case .any: return values.contains { $0 != 0 } ? 1 : 0
    case .all: return values.allSatisfy { $0 != 0 } ? 1 : 0
    case .logSumExp:
      let largest = Reduce.Kind.max.value(values)
      let shift = largest.isFinite ? largest : 0
      return shift + S.log(values.reduce(0) { $0 + S.exp($1 - shift) })
    case .variance:
      let mean = values.reduce(0, +) / count
      return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
    case .std: return Reduce.Kind.variance.value(values).squareRoot()
    }
  }
}

extension ArgReduce {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let axis = axis.counted(of: x.shape.count)
    return .filled(shape) { place in
      var source = place
      source.insert(0, at: axis)
      var (best, index) = (x.at(source), 0)
      for candidate in 0..<x.shape[axis] {
        source[axis] = candidate
        if isBetter(x.at(source), than: best) { (best, index) = (x.at(source), candidate) }
      }
      return S(index)
    }
  }
}

extension Accumulate {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let axis = axis.counted(of: shape.count)
    return .filled(shape) { place in
      var source = place
      var result: S = kind == .sum ? 0 : 1
      let counted = isReversed ? place[axis]..<shape[axis] : 0..<(place[axis] + 1)
      for index in counted where !(isExclusive && index == place[axis]) {
        source[axis] = index
        result = kind == .sum ? result + x.at(source) : result * x.at(source)
      }
      return result
    }
  }
}
