import Checkpoint

// Windows as plain loops over three axes; ops over fewer have axes of one element in front.

extension Convolution {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, kernel) = (operands[0], operands[1])
    let (extent, places, size) = (
      spatial(x.shape), spatial(shape), spatial([1] + kernel.shape.dropLast())
    )
    let (stride, pad, step) = (three(strides, 1), three(before, 0), three(dilation, 1))
    let (channels, filters) = (x.shape[x.shape.count - 1], shape[shape.count - 1])
    let (part, perGroup) = (channels / groups, filters / groups)
    var result = NDArray<S>(zeros: shape)
    x.values.withUnsafeBufferPointer { x in
      kernel.values.withUnsafeBufferPointer { kernel in
        result.values.withUnsafeMutableBufferPointer { result in
          for place in 0..<(result.count / filters) {
            let image = place / places.count
            let o = places.place(place % places.count)
            for tap in 0..<size.count {
              let k = size.place(tap)
              let i = (
                o.0 * stride[0] + k.0 * step[0] - pad[0], o.1 * stride[1] + k.1 * step[1] - pad[1],
                o.2 * stride[2] + k.2 * step[2] - pad[2]
              )
              guard let pixel = extent.index(i) else { continue }
              let source = (image * extent.count + pixel) * channels
              for filter in 0..<filters {
                let from = source + filter / perGroup * part
                var sum: S = 0
                for channel in 0..<part {
                  sum += x[from + channel] * kernel[(tap * part + channel) * filters + filter]
                }
                result[place * filters + filter] += sum
              }
            }
          }
        }
      }
    }
    return result.finished(operands, activation)
  }
}

extension ConvolutionTranspose {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, kernel) = (operands[0], operands[1])
    let (extent, target, size) = (
      spatial(x.shape), spatial(shape), spatial([1] + kernel.shape.dropLast())
    )
    let (stride, cut, step) = (three(strides, 1), three(before, 0), three(dilation, 1))
    let (channels, filters) = (x.shape[x.shape.count - 1], shape[shape.count - 1])
    let (part, perGroup) = (channels / groups, filters / groups)
    var result = NDArray<S>(zeros: shape)
    x.values.withUnsafeBufferPointer { x in
      kernel.values.withUnsafeBufferPointer { kernel in
        result.values.withUnsafeMutableBufferPointer { result in
          for pixel in 0..<(x.count / channels) {
            let image = pixel / extent.count
            let i = extent.place(pixel % extent.count)
            for tap in 0..<size.count {
              let k = size.place(tap)
              let o = (
                i.0 * stride[0] + k.0 * step[0] - cut[0], i.1 * stride[1] + k.1 * step[1] - cut[1],
                i.2 * stride[2] + k.2 * step[2] - cut[2]
              )
              guard let place = target.index(o) else { continue }
              for filter in 0..<filters {
                let row = (tap * perGroup + filter % perGroup) * channels
                let first = filter / perGroup * part
                var sum: S = 0
                for channel in first..<(first + part) {
                  sum += x[pixel * channels + channel] * kernel[row + channel]
                }
                result[(image * target.count + place) * filters + filter] += sum
              }
            }
          }
        }
      }
    }
    return result.finished(operands, activation)
  }
}

extension Pool {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let (extent, places) = (spatial(x.shape), spatial(shape))
    let size = spatial([1] + window + [1])
    let (stride, pad, channels) = (three(strides, 1), three(before, 0), shape[shape.count - 1])
    var result = NDArray<S>(zeros: shape)
    guard channels > 0 else { return result }
    for place in 0..<(result.values.count / channels) {
      let o = places.place(place % places.count)
      for channel in 0..<channels {
        var (largest, sum, count): (S, S, Int) = (-.infinity, 0, 0)
        for tap in 0..<size.count {
          let k = size.place(tap)
          let i = (
            o.0 * stride[0] + k.0 - pad[0], o.1 * stride[1] + k.1 - pad[1],
            o.2 * stride[2] + k.2 - pad[2]
          )
          guard let pixel = extent.index(i) else { continue }
          let element =
            x.values[(place / places.count * extent.count + pixel) * channels + channel]
          if element > largest || element.isNaN { largest = element }
          sum += element
          count += 1
        }
        result.values[place * channels + channel] =
          switch kind {
          case .max: largest
          case .average: sum / S(count)
          }
      }
    }
    return result
  }
}

extension BatchNorm {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let width = shape[shape.count - 1]
    let gamma = hasGamma ? operands[3].values : [S](repeating: 1, count: width)
    let beta = hasBeta ? operands[hasGamma ? 4 : 3].values : [S](repeating: 0, count: width)
    var result = operands[0]
    for index in result.values.indices {
      let c = index % width
      let deviation = (operands[2].values[c] + S(epsilon)).squareRoot()
      let normal = (result.values[index] - operands[1].values[c]) / deviation
      result.values[index] = activation(gamma[c] * normal + beta[c])
    }
    return result
  }
}

extension NDArray where Scalar: ReferenceScalar {
  /// With the bias, the third operand, and the activation.
  fileprivate func finished(_ operands: [NDArray], _ activation: Activation) -> NDArray {
    var result = self
    for index in result.values.indices {
      let biased = operands.count == 3 ? operands[2].values[index % operands[2].values.count] : 0
      result.values[index] = activation(result.values[index] + biased)
    }
    return result
  }
}

/// Three extents of a block in C order.
private struct Block {
  let extents: [Int]
  var count: Int { extents[0] * extents[1] * extents[2] }

  func place(_ index: Int) -> (Int, Int, Int) {
    (index / (extents[1] * extents[2]), index / extents[2] % extents[1], index % extents[2])
  }

  /// `nil` outside.
  func index(_ place: (Int, Int, Int)) -> Int? {
    guard 0..<extents[0] ~= place.0, 0..<extents[1] ~= place.1, 0..<extents[2] ~= place.2 else {
      return nil
    }
    return (place.0 * extents[1] + place.1) * extents[2] + place.2
  }
}

private func three(_ values: [Int], _ filler: Int) -> [Int] {
  [Int](repeating: filler, count: 3 - values.count) + values
}

/// The axes between the first and the last.
private func spatial(_ shape: [Int]) -> Block {
  Block(extents: three(Array(shape.dropFirst().dropLast()), 1))
}
