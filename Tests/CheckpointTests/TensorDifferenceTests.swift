import Checkpoint
import TestSupport
import Testing

/// Two tensors compared element by element: against plain loops, and where types have their traps.
///
/// NumPy's numbers are compared in `scripts/interop/with_diff.py`.
@Suite struct TensorDifferenceTests {
  private static func random(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: -2...2, using: &generator) }
  }

  /// The same but for every `step`th element, and for NaN and infinities at some places.
  private static func changed(_ values: [Float], step: Int, spoilt: [Int: Float] = [:]) -> [Float] {
    var copy = values
    for index in stride(from: step / 2, to: copy.count, by: step) { copy[index] *= 1.0009765625 }
    for (index, value) in spoilt where index < copy.count { copy[index] = value }
    return copy
  }

  private static func tensor(_ values: [Float], as dtype: DType = .f32) -> Tensor {
    let tensor = Tensor(name: "t", shape: [values.count], values: values)
    return dtype == .f32
      ? tensor
      : Tensor(
        name: "t", dtype: dtype, shape: [values.count],
        payload: BytesPayload(Elements.encode(values, as: dtype)))
  }

  @Test(arguments: [1, 15, 1023, 1024, 1025, 40_000, 1_100_003], [DType.f32, .f64, .f16, .bf16])
  func `what the loops find is what plain ones find`(_ count: Int, _ dtype: DType) throws {
    let values = Self.random(count, seed: UInt64(count))
    let other = Self.changed(
      values, step: 7, spoilt: [700: .nan, 2100: .infinity, 30_000: -.infinity, 35_000: 9])
    let (first, second) = (Self.tensor(values, as: dtype), Self.tensor(other, as: dtype))
    let tolerance = CheckpointDifference.Tolerance(absolute: 1e-4, relative: 2e-4)
    let found = try TensorDifference(first, second, tolerance: tolerance)
    let (a, b) = (try first.doubles(), try second.doubles())
    var (differing, beyond, largest, place) = (0, 0, 0.0, -1)
    var (squares, product) = (0.0, 0.0)
    var mismatch: Int?
    for index in a.indices where a[index] != b[index] {
      differing += 1
      guard b[index].isFinite else {
        beyond += 1
        mismatch = mismatch ?? index
        continue
      }
      let delta = abs(a[index] - b[index])
      if delta > 1e-4 + 2e-4 * abs(b[index]) { beyond += 1 }
      if delta > largest { (largest, place) = (delta, index) }
    }
    for index in a.indices where b[index].isFinite {
      squares += (a[index] - b[index]) * (a[index] - b[index])
      product += a[index] * b[index]
    }
    #expect(found.count == count)
    #expect(found.differing == differing)
    #expect(found.beyond == beyond)
    #expect(found.largest == (mismatch == nil ? largest : .infinity))
    #expect(found.worst?.index == (differing == 0 ? nil : [mismatch ?? place]))
    #expect(abs(found.squaredDifference - squares) <= 1e-12 * squares)
    #expect(abs(found.product - product) <= 1e-12 * max(abs(product), found.squaredFirst))
    #expect(found.isIdentical == (differing == 0))
    #expect(found.nanInSecond == (count > 700 ? 1 : 0))
    #expect(found.infinite == (count > 30_000 ? 2 : count > 2100 ? 1 : 0))
  }

  @Test func `the result is the same to the bit for any number of threads`() throws {
    let values = Self.random(3_000_000, seed: 1)
    let folder = try TemporaryFolder()
    var paths: [String] = []
    for (name, numbers) in [("a", values), ("b", Self.changed(values, step: 3))] {
      paths.append(folder.file("\(name).safetensors"))
      try Written.safetensors(
        [Tensor(name: "t", shape: [3000, 1000], values: numbers)], paths.last ?? "")
    }
    let (first, second) = try (Opening(paths[0]).checkpoint, Opening(paths[1]).checkpoint)
    let found = try [1, 2, 5].map { threads in
      try TensorDifference.of([(first.tensors[0], second.tensors[0])], threads: threads)[0]
    }
    for other in found.dropFirst() {
      #expect(other.squaredDifference.bitPattern == found[0].squaredDifference.bitPattern)
      #expect(other.product.bitPattern == found[0].product.bitPattern)
      #expect(other.worst == found[0].worst)
    }
  }

  @Test func `units in the last place count the numbers between`() throws {
    func ulp(_ a: Float, _ b: Float) throws -> UInt64? {
      try TensorDifference(Self.tensor([a]), Self.tensor([b])).ulp
    }
    #expect(try ulp(1, Float(1).nextUp) == 1)
    #expect(try ulp(1, 2) == 1 << 23)
    #expect(try ulp(0, -0.0) == 0)
    #expect(try ulp(-.leastNonzeroMagnitude, .leastNonzeroMagnitude) == 2)
    #expect(try ulp(-.greatestFiniteMagnitude, .greatestFiniteMagnitude) == 2 * 0x7f7f_ffff)
    #expect(
      try TensorDifference(Self.tensor([1], as: .f16), Self.tensor([1.5], as: .f16)).ulp == 512)
  }

  @Test func `zeros of both signs are equal in value, and not identical`() throws {
    let found = try TensorDifference(Self.tensor([0, 1]), Self.tensor([-0.0, 1]))
    #expect(!found.isIdentical)
    #expect(found.differing == 0)
    #expect(found.cosine == 1)
  }

  @Test func `NaN everywhere is equal to NaN everywhere`() throws {
    let nan = [Float](repeating: .nan, count: 5000)
    let found = try TensorDifference(Self.tensor(nan), Self.tensor(nan.map { -$0 }))
    #expect(found.differing == 0)
    #expect(found.nanInBoth == 5000)
    let against = try TensorDifference(
      Self.tensor(nan), Self.tensor([Float](repeating: 1, count: 5000)),
      tolerance: .init(absolute: .infinity))
    #expect(against.beyond == 5000)
    #expect(against.nanInFirst == 5000)
    #expect(against.cosine.isNaN && against.relativeNorm.isNaN)
    #expect(against.worst?.index == [0])
  }

  @Test func `a matrix that both have turned round is indexed as it is`() throws {
    let values = Self.random(12, seed: 3)
    var other = values
    other[7] = 9
    func turned(_ values: [Float]) -> Tensor {
      Tensor(name: "t", shape: [3, 4], values: values).transposed()
    }
    let found = try TensorDifference(turned(values), turned(other))
    // Element 7 of a (3, 4) matrix is [1, 3], and [3, 1] when it is turned.
    #expect(found.worst?.index == [3, 1])
    #expect(found.worst?.second == 9)
  }

  @Test(arguments: [DType.f16, .bf16, .f8_e4m3, .f8_e5m2, .q8_0])
  func `a cast is the other rounded, unless an element is not`(_ dtype: DType) throws {
    let values = Self.random(64 * 96, seed: 9)
    let wide = Tensor(name: "t", shape: [64, 96], values: values)
    let narrow = wide.cast(to: dtype)
    let found = try TensorDifference(wide, narrow)
    #expect(found.rounded == dtype)
    #expect(try TensorDifference(narrow, wide).rounded == dtype)
    #expect(found.ulp == nil)
    var bytes = try narrow.bytes()
    bytes[dtype.size] ^= 0x10
    let damaged = Tensor(
      name: "t", dtype: dtype, shape: [64, 96], payload: BytesPayload(bytes))
    #expect(try TensorDifference(wide, damaged).rounded == nil)
  }

  @Test func `what casting made infinite or clipped is rounding too`() throws {
    let wide = Self.tensor([1, 70_000, -70_000])
    for overflow in [Overflow.infinite, .clip] {
      let found = try TensorDifference(wide, wide.cast(to: .f16, overflow: overflow))
      #expect(found.rounded == .f16)
      #expect(found.differing == 2)
    }
  }

  @Test func `large integers differ by what Float64 cannot hold`() throws {
    func tensor(_ values: [Int64]) -> Tensor {
      let bytes = values.flatMap { value in
        (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
      }
      return Tensor(name: "t", dtype: .i64, shape: [values.count], payload: BytesPayload(bytes))
    }
    let found = try TensorDifference(tensor([5, 1 << 62, .min]), tensor([5, 1 << 62 + 1, .max]))
    #expect(found.differing == 2)
    #expect(found.beyond == 2)
    #expect(found.largest == 0x1p64)
    #expect(found.worst?.index == [2])
  }

  @Test(arguments: [1e200, 1e-200])
  func `no cosine is made up where Float64 does not hold the squares`(_ size: Double) throws {
    func tensor(_ values: [Double]) -> Tensor {
      Tensor(
        name: "x", dtype: .f64, shape: [values.count],
        payload: BytesPayload(Elements.encode(values, as: .f64)))
    }
    let difference = try TensorDifference(tensor([size, 0]), tensor([0, size]))
    #expect(difference.differing == 2 && difference.largest == size)
    #expect(difference.cosine.isNaN && difference.relativeNorm.isNaN)
    #expect(try TensorDifference(tensor([1, 0]), tensor([0, 1])).cosine == 0)
  }

  @Test func `nothing and one number are compared`() throws {
    let empty = Tensor(name: "t", shape: [0, 3], values: [])
    let found = try TensorDifference(empty, empty)
    #expect(found.isIdentical)
    #expect(found.cosine == 1)
    let one = try TensorDifference(
      Tensor(name: "t", shape: [], values: [2]), Tensor(name: "t", shape: [], values: [-2]))
    #expect(one.worst?.index == [] && one.worst?.first == 2 && one.worst?.second == -2)
    #expect(one.cosine == -1)
  }
}

/// Files that tests write.
enum Written {
  static func safetensors(_ tensors: [Tensor], _ path: String) throws {
    let output = Output(overwrite: true, inputs: [])
    try Safetensors().write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: path, in: output,
      options: WriteOptions())
    try output.commit(durable: false)
  }
}
