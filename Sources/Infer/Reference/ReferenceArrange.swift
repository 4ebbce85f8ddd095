/// Calls `body` with every place of a shape in C order, and its index in that order.
func forEachPlace(of shape: [Int], _ body: (_ index: Int, _ place: [Int]) -> Void) {
  let count = shape.reduce(1, *)
  var place = [Int](repeating: 0, count: shape.count)
  for index in 0..<count {
    body(index, place)
    var axis = shape.count - 1
    while axis >= 0 {
      place[axis] += 1
      if place[axis] < shape[axis] { break }
      place[axis] = 0
      axis -= 1
    }
  }
}

extension NDArray {
  /// The value at a place: an index for each axis.
  func at(_ place: [Int]) -> Scalar {
    var index = 0
    for axis in place.indices { index = index * shape[axis] + place[axis] }
    return values[index]
  }

  /// The value that stands at a place of the shape to which this array repeats.
  func repeated(at place: [Int]) -> Scalar {
    var index = 0
    let skipped = place.count - shape.count
    for axis in shape.indices {
      index = index * shape[axis] + (shape[axis] == 1 ? 0 : place[axis + skipped])
    }
    return values[index]
  }

  /// An array of this shape from its value at every place.
  static func filled(_ shape: [Int], _ value: (_ place: [Int]) -> Scalar) -> NDArray {
    var result = NDArray(zeros: shape)
    forEachPlace(of: shape) { result.values[$0] = value($1) }
    return result
  }
}

extension Reshape {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: operands[0].values)
  }
}

extension Transpose {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    var source = [Int](repeating: 0, count: axes.count)
    return .filled(shape) { place in
      for (axis, old) in axes.enumerated() { source[old] = place[axis] }
      return operands[0].at(source)
    }
  }
}

extension Slice {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    .filled(shape) { place in
      operands[0].at(place.indices.map { starts[$0] + place[$0] * steps[$0] })
    }
  }
}

extension Pad {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let extents = operands[0].shape
    return .filled(shape) { place in
      var source = place
      for axis in place.indices {
        let index = place[axis] - before[axis]
        let last = extents[axis] - 1
        switch mode {
        case .constant(let value):
          guard 0...max(last, 0) ~= index, last >= 0 else { return S(value) }
          source[axis] = index
        case .reflect: source[axis] = index < 0 ? -index : index > last ? 2 * last - index : index
        case .symmetric:
          source[axis] = index < 0 ? -index - 1 : index > last ? 2 * last + 1 - index : index
        case .edge: source[axis] = min(max(index, 0), last)
        }
      }
      return operands[0].at(source)
    }
  }
}

extension Concatenate {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let axis = axis.counted(of: shape.count)
    return .filled(shape) { place in
      var place = place
      for operand in operands {
        if place[axis] < operand.shape[axis] { return operand.at(place) }
        place[axis] -= operand.shape[axis]
      }
      return .nan
    }
  }
}

extension BroadcastTo {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    .filled(shape) { operands[0].repeated(at: $0) }
  }
}

extension Upsample {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    .filled(shape) { place in operands[0].at(zip(place, factors).map { $0 / $1 }) }
  }
}

extension GatherAxis {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, indices) = (operands[0], operands[1])
    let axis = axis.counted(of: x.shape.count)
    return .filled(shape) { place in
      let chosen = indices.at(Array(place[axis..<(axis + indices.shape.count)]))
      guard let index = index(chosen, of: x.shape[axis]) else { return .nan }
      return x.at(place[..<axis] + [index] + place[(axis + indices.shape.count)...])
    }
  }
}

extension OneHot {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    .filled(shape) { place in
      operands[0].at(place.dropLast()) == S(place[place.count - 1]) ? 1 : 0
    }
  }
}
