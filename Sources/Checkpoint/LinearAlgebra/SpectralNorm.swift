extension Matrix {
  /// σ₁, the largest factor by which it lengthens a vector.
  ///
  /// Golub–Kahan–Lanczos bidiagonalization with full reorthogonalization, whose small matrix's largest
  /// singular value grows towards σ₁; it ends when that has settled to 10⁻¹² or the matrix is used up.
  /// The start is a fixed vector with no zeros. Source: Golub & Van Loan, Matrix Computations, 10.4.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` where a number is not finite.
  public func spectralNorm() throws(CheckpointError) -> Double {
    let largest = try largest()
    guard largest > 0 else { return 0 }
    guard rows >= columns else { return try transposed().spectralNorm() }
    if columns <= 2 { return try SingularValueDecomposition(self).values.first ?? 0 }
    var scaled = self
    for index in scaled.values.indices { scaled.values[index] /= largest }

    // Numbers between ½ and 1 in no simple pattern, so that no singular vector is missed.
    var v = [Double](repeating: 0, count: columns)
    for index in v.indices {
      let number = (index &* 2_654_435_761) & 0xffff
      v[index] = 0.5 + Double(number) / 131072
    }
    Matrix.normalize(&v)
    var (rights, lefts): ([[Double]], [[Double]]) = ([], [])
    var (diagonal, above): ([Double], [Double]) = ([], [])
    var settled = -1.0
    for step in 0..<columns {
      rights.append(v)
      var u = scaled.image(of: v)
      Matrix.orthogonalize(&u, to: lefts)
      let alpha = Matrix.normalize(&u)
      diagonal.append(alpha)
      lefts.append(u)
      if alpha == 0 { break }
      var next = scaled.transposedImage(of: u)
      Matrix.orthogonalize(&next, to: rights)
      let beta = Matrix.normalize(&next)
      above.append(beta)
      if step % 5 == 4 || step == columns - 1 || beta <= 1e-14 {
        let value = try Matrix.largestOfBidiagonal(diagonal, above)
        if beta <= 1e-14 || value - settled <= 1e-12 * value { return value * largest }
        settled = value
      }
      v = next
    }
    return try Matrix.largestOfBidiagonal(diagonal, above) * largest
  }

  /// The product with a vector.
  private func image(of x: [Double]) -> [Double] {
    var y = [Double](repeating: 0, count: rows)
    unsafe values.withUnsafeBufferPointer { source in
      unsafe y.withUnsafeMutableBufferPointer { target in
        guard let source = source.baseAddress, let target = target.baseAddress else { return }
        for column in 0..<columns {
          unsafe Columns.add(source + column * rows, times: x[column], to: target, rows)
        }
      }
    }
    return y
  }

  /// The transposed matrix's product with a vector.
  private func transposedImage(of y: [Double]) -> [Double] {
    var x = [Double](repeating: 0, count: columns)
    unsafe values.withUnsafeBufferPointer { source in
      unsafe y.withUnsafeBufferPointer { y in
        guard let source = source.baseAddress, let y = y.baseAddress else { return }
        for column in 0..<columns {
          unsafe x[column] = Columns.dot(source + column * rows, y, rows)
        }
      }
    }
    return x
  }

  /// Takes off what lies along unit vectors, twice, which is enough.
  private static func orthogonalize(_ x: inout [Double], to others: [[Double]]) {
    for _ in 0..<2 {
      for other in others {
        let share = zip(x, other).reduce(0) { $0 + $1.0 * $1.1 }
        for index in x.indices { x[index] -= share * other[index] }
      }
    }
  }

  /// Makes it a unit vector, unless it is zero to working precision; its length.
  @discardableResult
  private static func normalize(_ x: inout [Double]) -> Double {
    let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
    guard length > 1e-14 else {
      for index in x.indices { x[index] = 0 }
      return 0
    }
    for index in x.indices { x[index] /= length }
    return length
  }

  private static func largestOfBidiagonal(
    _ diagonal: [Double], _ above: [Double]
  ) throws(CheckpointError) -> Double {
    var small = Matrix(rows: diagonal.count, columns: diagonal.count)
    for index in diagonal.indices {
      small[index, index] = diagonal[index]
      if index + 1 < diagonal.count { small[index, index + 1] = above[index] }
    }
    return try SingularValueDecomposition(small).values.first ?? 0
  }
}
