import CKernels
import Glibc

extension Binary {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let loop = StridedLoop(
      result.shape,
      operands.map { StridedLoop.strides(of: $0.shape, repeatedTo: result.shape) })
    let (a, b, y) = (operands[0].data, operands[1].data, result.data)
    let (stepA, stepB) = (loop.step[0], loop.step[1])
    workers.parallel(loop.count, grain: 4096) { range, _ in
      loop.forEachRun(in: range) { index, offsets, count in
        function.run(a + offsets[0], stepA, b + offsets[1], stepB, y + index, count)
      }
    }
  }
}

extension Binary.Function {
  /// `y[i] = f(a[i · stepA], b[i · stepB])`.
  fileprivate func run(
    _ a: UnsafePointer<Float>, _ stepA: Int, _ b: UnsafePointer<Float>, _ stepB: Int,
    _ y: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    @inline(__always) func each(_ f: (Float, Float) -> Float) {
      // The usual steps have loops of their own, which the compiler turns into vectors.
      switch (stepA, stepB) {
      case (1, 1): for i in 0..<count { y[i] = f(a[i], b[i]) }
      case (1, 0):
        let b = b[0]
        for i in 0..<count { y[i] = f(a[i], b) }
      case (0, 1):
        let a = a[0]
        for i in 0..<count { y[i] = f(a, b[i]) }
      default: for i in 0..<count { y[i] = f(a[i &* stepA], b[i &* stepB]) }
      }
    }
    @inline(__always) func test(_ f: (Float, Float) -> Bool) { each { f($0, $1) ? 1 : 0 } }
    switch self {
    case .add where stepA == 1 && stepB == 1: ckpt_add(a, b, y, count)
    case .multiply where stepA == 1 && stepB == 1: ckpt_hadamard(a, b, y, count)
    case .add: each { $0 + $1 }
    case .subtract: each { $0 - $1 }
    case .multiply: each { $0 * $1 }
    case .divide: each { $0 / $1 }
    case .floorDivide: each { floorf($0 / $1) }
    case .remainder:
      each { a, b in
        let rest = fmodf(a, b)
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
      }
    case .power: each { powf($0, $1) }
    case .maximum: each { $0 > $1 || $0 != $0 ? $0 : $1 }
    case .minimum: each { $0 < $1 || $0 != $0 ? $0 : $1 }
    case .squaredDifference: each { ($0 - $1) * ($0 - $1) }
    case .arctan2: each { atan2f($0, $1) }
    case .equal: test { $0 == $1 }
    case .notEqual: test { $0 != $1 }
    case .less: test { $0 < $1 }
    case .lessEqual: test { $0 <= $1 }
    case .greater: test { $0 > $1 }
    case .greaterEqual: test { $0 >= $1 }
    case .and: test { $0 != 0 && $1 != 0 }
    case .or: test { $0 != 0 || $1 != 0 }
    case .xor: test { ($0 != 0) != ($1 != 0) }
    }
  }
}

extension Unary {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    workers.parallel(result.count, grain: 4096) { range, _ in
      function.run(
        operands[0].data + range.lowerBound, result.data + range.lowerBound, range.count)
    }
  }
}

extension Unary.Function {
  /// `y[i] = f(x[i])`.
  fileprivate func run(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    @inline(__always) func each(_ f: (Float) -> Float) {
      for i in 0..<count { y[i] = f(x[i]) }
    }
    switch self {
    case .negate: each { -$0 }
    case .abs: each { $0.magnitude }
    case .sign: each { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }
    case .square: ckpt_hadamard(x, x, y, count)
    case .sqrt: each { $0.squareRoot() }
    case .rsqrt: each { 1 / $0.squareRoot() }
    case .reciprocal: each { 1 / $0 }
    case .exp: ckpt_activate(CKPT_EXPONENTIAL, x, y, count)
    case .expm1: each { expm1f($0) }
    case .log: each { logf($0) }
    case .log1p: each { log1pf($0) }
    case .log2: each { log2f($0) }
    case .log10: each { log10f($0) }
    case .sin: each { sinf($0) }
    case .cos: each { cosf($0) }
    case .tan: each { tanf($0) }
    case .asin: each { asinf($0) }
    case .acos: each { acosf($0) }
    case .atan: each { atanf($0) }
    case .sinh: each { sinhf($0) }
    case .cosh: each { coshf($0) }
    case .tanh: ckpt_activate(CKPT_TANH, x, y, count)
    case .asinh: each { asinhf($0) }
    case .acosh: each { acoshf($0) }
    case .atanh: each { atanhf($0) }
    case .floor: each { $0.rounded(.down) }
    case .ceil: each { $0.rounded(.up) }
    case .round: each { $0.rounded(.toNearestOrEven) }
    case .trunc: each { $0.rounded(.towardZero) }
    case .erf: each { erff($0) }
    case .logicalNot: each { $0 == 0 ? 1 : 0 }
    case .isFinite: each { $0.isFinite ? 1 : 0 }
    case .isNaN: each { $0.isNaN ? 1 : 0 }
    case .isInfinite: each { $0.isInfinite ? 1 : 0 }
    }
  }
}

extension Clip {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, y, least, most) = (operands[0].data, result.data, Float(min), Float(max))
    workers.parallel(result.count, grain: 4096) { range, _ in
      for i in range {
        let raised = x[i] < least ? least : x[i]
        y[i] = raised > most ? most : raised
      }
    }
  }
}

extension Select {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let loop = StridedLoop(
      result.shape,
      operands.map { StridedLoop.strides(of: $0.shape, repeatedTo: result.shape) })
    let (condition, a, b, y) = (operands[0].data, operands[1].data, operands[2].data, result.data)
    let step = loop.step
    workers.parallel(loop.count, grain: 4096) { range, _ in
      loop.forEachRun(in: range) { index, offsets, count in
        let (condition, a, b) = (condition + offsets[0], a + offsets[1], b + offsets[2])
        for i in 0..<count {
          y[index &+ i] = condition[i &* step[0]] != 0 ? a[i &* step[1]] : b[i &* step[2]]
        }
      }
    }
  }
}

extension Bucketize {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let boundaries = boundaries.map { Float($0) }
    workers.parallel(result.count, grain: 1024) { range, _ in
      for index in range {
        let x = operands[0].data[index]
        var (low, high) = (0, boundaries.count)
        while low < high {
          let middle = (low + high) / 2
          if x < boundaries[middle] { high = middle } else { low = middle + 1 }
        }
        result.data[index] = Float(low)
      }
    }
  }
}
