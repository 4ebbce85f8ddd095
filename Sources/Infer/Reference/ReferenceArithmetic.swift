extension Binary {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (a, b) = (operands[0], operands[1])
    return .filled(shape) { function.value(a.repeated(at: $0), b.repeated(at: $0)) }
  }
}

extension Binary.Function {
  /// The function's value.
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  func value<S: ReferenceScalar>(_ a: S, _ b: S) -> S {
    switch self {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .floorDivide: (a / b).rounded(.down)
    case .remainder: Binary.Function.remainder(a, b)
    case .power: S.pow(a, b)
    case .maximum: a > b || a.isNaN ? a : b
    case .minimum: a < b || a.isNaN ? a : b
    case .squaredDifference: (a - b) * (a - b)
    case .arctan2: S.atan2(a, b)
    case .equal: a == b ? 1 : 0
    case .notEqual: a != b ? 1 : 0
    case .less: a < b ? 1 : 0
    case .lessEqual: a <= b ? 1 : 0
    case .greater: a > b ? 1 : 0
    case .greaterEqual: a >= b ? 1 : 0
    case .and: a != 0 && b != 0 ? 1 : 0
    case .or: a != 0 || b != 0 ? 1 : 0
    case .xor: (a != 0) != (b != 0) ? 1 : 0
    }
  }

  /// `a − b · floor(a / b)`, without its rounding.
  static func remainder<S: ReferenceScalar>(_ a: S, _ b: S) -> S {
    let rest = S.fmod(a, b)
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
  }
}

extension Unary {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: operands[0].values.map { function.value($0) })
  }
}

extension Unary.Function {
  /// The function's value.
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  func value<S: ReferenceScalar>(_ x: S) -> S {
    switch self {
    case .negate: -x
    case .abs: x.magnitude
    case .sign: x > 0 ? 1 : x < 0 ? -1 : x
    case .square: x * x
    case .sqrt: x.squareRoot()
    case .rsqrt: 1 / x.squareRoot()
    case .reciprocal: 1 / x
    case .exp: S.exp(x)
    case .expm1: S.expm1(x)
    case .log: S.log(x)
    case .log1p: S.log1p(x)
    case .log2: S.log2(x)
    case .log10: S.log10(x)
    case .sin: S.sin(x)
    case .cos: S.cos(x)
    case .tan: S.tan(x)
    case .asin: S.asin(x)
    case .acos: S.acos(x)
    case .atan: S.atan(x)
    case .sinh: S.sinh(x)
    case .cosh: S.cosh(x)
    case .tanh: S.tanh(x)
    case .asinh: S.asinh(x)
    case .acosh: S.acosh(x)
    case .atanh: S.atanh(x)
    case .floor: x.rounded(.down)
    case .ceil: x.rounded(.up)
    case .round: x.rounded(.toNearestOrEven)
    case .trunc: x.rounded(.towardZero)
    case .erf: S.erf(x)
    case .logicalNot: x == 0 ? 1 : 0
    case .isFinite: x.isFinite ? 1 : 0
    case .isNaN: x.isNaN ? 1 : 0
    case .isInfinite: x.isInfinite ? 1 : 0
    }
  }
}

extension Clip {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (least, most) = (S(min), S(max))
    return NDArray(
      shape: shape,
      values: operands[0].values.map { x in
        let raised = x < least ? least : x
        return raised > most ? most : raised
      })
  }
}

extension Select {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    .filled(shape) { place in
      operands[operands[0].repeated(at: place) != 0 ? 1 : 2].repeated(at: place)
    }
  }
}

extension Bucketize {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let boundaries = boundaries.map { S(Float($0)) }
    return NDArray(
      shape: shape,
      values: operands[0].values.map { x in S(boundaries.count { !(x < $0) }) })
  }
}

extension MatrixProduct {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (a, b) = (operands[0], operands[1])
    let (rows, columns) = (shape[shape.count - 2], shape[shape.count - 1])
    let inner = a.shape[a.shape.count - (transposesA ? 2 : 1)]
    var result = NDArray<S>(zeros: shape)
    let outer = Array(shape.dropLast(2))
    func start(_ x: NDArray<S>, _ place: [Int]) -> Int {
      // The matrix that stands at a place of the outer axes.
      let own = x.shape.dropLast(2)
      let used = place.suffix(own.count)
      let index = zip(own, used).reduce(0) { $0 * $1.0 + ($1.0 == 1 ? 0 : $1.1) }
      return index * x.shape[x.shape.count - 2] * x.shape[x.shape.count - 1]
    }
    forEachPlace(of: outer) { index, place in
      let (startA, startB) = (start(a, place), start(b, place))
      for row in 0..<rows {
        for column in 0..<columns {
          var sum: S = 0
          for k in 0..<inner {
            let left = transposesA ? k * rows + row : row * inner + k
            let right = transposesB ? column * inner + k : k * columns + column
            sum += a.values[startA + left] * b.values[startB + right]
          }
          result.values[(index * rows + row) * columns + column] = sum
        }
      }
    }
    return result
  }
}
