import Checkpoint
import TestSupport
import Testing

/// Decompositions against NumPy's (`fixtures/generate_linear_algebra.py`), and by what they must satisfy.
@Suite struct LinearAlgebraTests {
  struct Case: CustomTestStringConvertible {
    let name: String
    let matrix: Matrix
    let values: [Double]
    let left, right, r: Matrix?

    var testDescription: String { name }
  }

  static let cases: [Case] = {
    let path = Fixtures.path("linear-algebra.json")
    let list = (try? JSON(parsing: File.contents(of: path)).array) ?? []
    return list.map { json in
      Case(
        name: json["name"]?.string ?? "",
        matrix: matrix(json["matrix"]) ?? Matrix(rows: 0, columns: 0),
        values: json["values"]?.array?.compactMap(\.double) ?? [], left: matrix(json["left"]),
        right: matrix(json["right"]), r: matrix(json["r"]))
    }
  }()

  private static func matrix(_ json: JSON?) -> Matrix? {
    guard let rows = json?.array?.map({ $0.array?.compactMap(\.double) ?? [] }) else { return nil }
    return Matrix(rows: rows.count, columns: rows.first?.count ?? 0, inRows: rows.flatMap(\.self))
  }

  /// The largest difference of two matrices, relative to the second's largest element.
  private func difference(_ a: Matrix, _ b: Matrix) -> Double {
    guard a.rows == b.rows, a.columns == b.columns else { return .infinity }
    let largest = b.inRows.map(\.magnitude).max() ?? 0
    let difference = zip(a.inRows, b.inRows).map { ($0 - $1).magnitude }.max() ?? 0
    return largest == 0 ? difference : difference / largest
  }

  private func identity(_ size: Int) -> Matrix {
    var result = Matrix(rows: size, columns: size)
    for index in 0..<size { result[index, index] = 1 }
    return result
  }

  private func check(_ svd: SingularValueDecomposition, of matrix: Matrix) {
    let count = min(matrix.rows, matrix.columns)
    var diagonal = Matrix(rows: count, columns: count)
    for index in 0..<count { diagonal[index, index] = svd.values[index] }
    #expect(
      difference(svd.left.times(diagonal).times(svd.right.transposed()), matrix) < 1e-12)
    for side in [svd.left, svd.right] {
      #expect(difference(side.transposed().times(side), identity(count)) < 1e-12)
    }
    #expect(zip(svd.values, svd.values.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(svd.values.allSatisfy { $0 >= 0 })
    for column in 0..<count {
      let numbers = (0..<matrix.rows).map { svd.left[$0, column] }
      let largest = numbers.map(\.magnitude).max() ?? 0
      #expect((numbers.first { $0.magnitude == largest } ?? 0) > 0)
    }
  }

  @Test(arguments: cases)
  func `singular values and vectors are NumPy's`(_ row: Case) throws {
    let svd = try SingularValueDecomposition(row.matrix)
    check(svd, of: row.matrix)
    let first = row.values.first ?? 0
    for (value, expected) in zip(svd.values, row.values) {
      #expect((value - expected).magnitude <= 1e-14 * max(first, expected))
    }
    for (ours, theirs) in [(svd.left, row.left), (svd.right, row.right)] {
      guard let theirs else { continue }
      // Up to the sign of each column: the products of equal columns are ±1, of others 0.
      let products = ours.transposed().times(theirs)
      for index in 0..<products.columns {
        #expect((products[index, index].magnitude - 1).magnitude < 1e-12)
      }
    }
  }

  @Test func `there are the cases that NumPy has seen`() {
    #expect(LinearAlgebraTests.cases.count == 10)
  }

  @Test(arguments: [("deficient", 4), ("zero columns", 3), ("zeros", 0), ("graded", 6)])
  func `rank is what is not zero`(_ name: String, _ rank: Int) throws {
    let row = try #require(LinearAlgebraTests.cases.first { $0.name == name })
    #expect(try SingularValueDecomposition(row.matrix).rank == rank)
  }

  @Test(arguments: [1, 2, 3, 100])
  func `the triangular factor is NumPy's, whatever the pieces`(_ count: Int) throws {
    for row in LinearAlgebraTests.cases {
      guard let expected = row.r else { continue }
      var factor = TriangularFactor(columns: row.matrix.columns)
      let numbers = row.matrix.inRows
      let width = row.matrix.columns
      for start in stride(from: 0, to: row.matrix.rows, by: count) {
        let end = min(row.matrix.rows, start + count)
        try factor.append(
          Matrix(
            rows: end - start, columns: width,
            inRows: Array(numbers[(start * width)..<(end * width)])))
      }
      #expect(difference(factor.matrix, expected) < 1e-12, "\(row.name)")
    }
  }

  @Test func `fewer rows than columns, and none, have a factor too`() throws {
    let row = try #require(LinearAlgebraTests.cases.first { $0.name == "wide" })
    var factor = TriangularFactor(columns: row.matrix.columns)
    #expect(factor.matrix == Matrix(rows: 7, columns: 7))
    try factor.append(row.matrix)
    let r = factor.matrix
    let (ours, theirs) = (r.transposed().times(r), row.matrix.transposed().times(row.matrix))
    #expect(difference(ours, theirs) < 1e-12)
  }

  @Test func `what is not finite is named`() throws {
    let matrix = Matrix(rows: 2, columns: 2, inRows: [1, 2, .nan, 4])
    let error = try #require(throws: CheckpointError.self) {
      try SingularValueDecomposition(matrix)
    }
    #expect(error.kind == .unsupported)
    #expect(error.reason.hasPrefix("row 1, column 0 is nan"))
    var factor = TriangularFactor(columns: 2)
    #expect(throws: CheckpointError.self) { try factor.append(matrix) }
  }

  @Test func `a matrix of a head's size, of low rank, is decomposed`() throws {
    var random = SeededGenerator(seed: 7)
    func numbers() -> [Double] { (0..<1280).map { _ in .random(in: -1...1, using: &random) } }
    let a = Matrix(rows: 64, columns: 20, inRows: numbers())
    let b = Matrix(rows: 20, columns: 64, inRows: numbers())
    let svd = try SingularValueDecomposition(a.times(b))
    check(svd, of: a.times(b))
    #expect(svd.rank == 20)
  }
}
