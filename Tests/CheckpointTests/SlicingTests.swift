import Checkpoint
import TestSupport
import Testing

/// Slices of tensors; NumPy itself is asked by scripts/interop/with_show.py.
@Suite struct SlicingTests {
  static let matrix = Tensor(
    name: "m", shape: [4, 6], values: (0..<24).map { Float($0) })

  /// What NumPy answers of `numpy.arange(24).reshape(4, 6)`.
  static let slices: [(String, [Int], [Double])] = [
    ("0", [6], [0, 1, 2, 3, 4, 5]), ("-1,-1", [], [23]), ("...,0", [4], [0, 6, 12, 18]),
    ("::-2,1:3", [2, 2], [19, 20, 7, 8]), ("1:2,::-3", [1, 2], [11, 8]), ("3:1", [0, 6], []),
    ("-100:100:3,-1", [2], [5, 23]), ("[2, ...]", [6], [12, 13, 14, 15, 16, 17]),
    ("1,", [6], [6, 7, 8, 9, 10, 11]), (":,5:2:-2", [4, 2], [5, 3, 11, 9, 17, 15, 23, 21]),
    (" 1 : 99999999999999999999 : 2 , 0 ", [2], [6, 18]),
    ("::-99999999999999999999,::-9223372036854775808", [1, 1], [23]),
  ]

  @Test(arguments: slices) func `elements are those that NumPy takes`(
    text: String, shape: [Int], values: [Double]
  ) throws {
    let selection = try Slicing(text).selection(of: Self.matrix.shape)
    #expect(selection.shape.extents == shape)
    #expect(try Self.matrix.selecting(selection).doubles() == values)
  }

  @Test(arguments: [
    "a", "1:2:0", "1.5", "...,...", "4", "-5", "0,0,0", ":::", ",", "0,6", "1:2:3:4",
    "99999999999999999999", "1 2", "0:- 1", "0::+",
  ]) func `what is no slice of it is a usage error`(text: String) {
    let error = #expect(throws: CheckpointError.self) {
      _ = try Slicing(text).selection(of: Self.matrix.shape)
    }
    #expect(error?.kind == .usage)
  }

  @Test func `extreme numbers do not overflow`() throws {
    for text in ["9223372036854775807:", ":-9223372036854775807:-1", "::9223372036854775807"] {
      let selection = try Slicing(text).selection(of: [5])
      #expect(
        try Tensor(name: "v", shape: [5], values: [1, 2, 3, 4, 5]).selecting(selection)
          .doubles().count == selection.shape.count)
    }
  }

  @Test(arguments: [DType.f4, .f6_e2m3, .q8_0, .q4_0, .f16, .c64, .u8])
  func `a slice of every kind of type holds the elements of the whole`(dtype: DType) throws {
    let tensor = Samples.tensor("x", dtype, [6, 64])
    let selection = try Slicing("4:0:-2,3:60:7").selection(of: tensor.shape)
    let part = try tensor.selecting(selection)
    let whole: [Double] = Elements.decode(try tensor.bytes(), as: dtype)
    let found: [Double] = Elements.decode(try part.bytes(), as: part.dtype)
    let perElement = dtype == .c64 ? 2 : 1
    var expected: [Double] = []
    for row in [4, 2] {
      for column in stride(from: 3, to: 60, by: 7) {
        let place = (row * 64 + column) * perElement
        expected += whole[place..<(place + perElement)]
      }
    }
    #expect(zip(found, expected).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN })
    #expect(found.count == expected.count)
  }

  @Test func `a packed type that cannot be decoded is said`() throws {
    let tensor = Samples.tensor("x", .q8_k, [1, 256])
    guard !tensor.isCastable else { return }
    let error = #expect(throws: CheckpointError.self) {
      _ = try tensor.selecting(Slicing("0,0").selection(of: tensor.shape))
    }
    #expect(error?.kind == .unsupported)
  }
}

/// Cells and bars, counted over several parts.
@Suite struct GridTests {
  /// A matrix in a file, so large that several threads work on it.
  static func large(_ folder: TemporaryFolder) throws -> (Tensor, [Float]) {
    var values = [Float](repeating: 0, count: 1500 * 1000)
    for index in values.indices { values[index] = Float((index * 7919) % 1009) - 504 }
    (values[1_234_567], values[77]) = (9999, .nan)
    let file = folder.file("x.npy")
    let output = Output(overwrite: true, inputs: [])
    let written = try output.file(file)
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1500, 1000), }"
    let padded = header + String(repeating: " ", count: 117 - header.count) + "\n"
    let start: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(padded.utf8)
    try written.write(start + Elements.encode(values, as: .f32), at: 0)
    try output.commit(durable: false)
    return (try Opening(file).checkpoint.tensors[0], values)
  }

  @Test func `cells hold the largest or the mean of their elements`() throws {
    let (tensor, values) = try Self.large(TemporaryFolder())
    #expect(tensor.parts().count > 2)
    for pooling in Grid.Pooling.allCases {
      let grid = try Grid(tensor, width: 7, height: 11, pooling: pooling)
      var sums = [Double](repeating: 0, count: 77)
      var counts = [Double](repeating: 0, count: 77)
      for row in 0..<1500 {
        for column in 0..<1000 {
          let (cell, value) = (row * 11 / 1500 * 7 + column * 7 / 1000, values[row * 1000 + column])
          guard value.isFinite else { continue }
          counts[cell] += 1
          if pooling == .mean {
            sums[cell] += Double(value)
          } else if Double(value).magnitude > sums[cell].magnitude {
            sums[cell] = Double(value)
          }
        }
      }
      let expected = zip(sums, counts).map { pooling == .mean ? $0 / $1 : $0 }
      #expect(grid.cells[0]?.isNaN == true, "the cell with a NaN")
      for cell in 1..<77 {
        let found = try #require(grid.cells[cell])
        #expect(abs(found - expected[cell]) < 1e-9)
      }
    }
  }

  @Test func `a vector is folded, and what is not there stays empty`() throws {
    let grid = try Grid(
      Tensor(name: "v", shape: [10], values: (0..<10).map { Float($0) }), width: 80, height: 80,
      pooling: .largest)
    #expect((grid.columns, grid.rows) == (5, 2))
    #expect(grid.cells == (0..<10).map { Double($0) })
    let odd = try Grid(
      Tensor(name: "v", shape: [7], values: (0..<7).map { Float($0) }), width: 80, height: 80,
      pooling: .mean)
    #expect(odd.cells.suffix(odd.columns * odd.rows - 7).allSatisfy { $0 == nil })
    #expect(throws: CheckpointError.self) {
      _ = try Grid(
        Tensor(name: "e", shape: [0, 3], values: []), width: 8, height: 8, pooling: .mean)
    }
  }

  @Test func `bars count every number`() throws {
    let (tensor, values) = try Self.large(TemporaryFolder())
    let histogram = try Histogram(tensor, bins: 10)
    var expected = [Int](repeating: 0, count: 10)
    for value in values where value.isFinite {
      expected[min(9, Int((Double(value) + 504) / (9999 + 504) * 10))] += 1
    }
    #expect(histogram.counts == expected)
    #expect(
      histogram.edges.count == 11 && histogram.edges[0] == -504 && histogram.edges[10] == 9999)
  }
}
