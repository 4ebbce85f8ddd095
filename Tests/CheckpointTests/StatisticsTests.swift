import CStatistics
import Checkpoint
import TestSupport
import Testing

/// Statistics against NumPy's (`fixtures/generate_statistics.py`), and the same however bytes are kept and
/// threads are counted.
@Suite struct StatisticsTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let tensor: Tensor
    let expected: JSON

    var testDescription: String { name }
  }

  static let cases: [Case] = {
    do {
      let text = try File.contents(of: Fixtures.path("statistics", "statistics.json"))
      let file = try Opening(Fixtures.path("statistics", "numbers.safetensors")).checkpoint
      let stored = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
      return try (JSON(parsing: text).array ?? []).compactMap { json in
        guard let name = json["name"]?.string, let tensor = stored[name],
          let dtype = json["dtype"]?.string.flatMap({ DType(rawValue: $0) }),
          let extents = json["shape"]?.array?.compactMap(\.int)
        else { return nil }
        return Case(
          name: name,
          tensor: Tensor(
            name: name, dtype: dtype, shape: Shape(extents), payload: tensor.payload),
          expected: json)
      }
    } catch {
      return []
    }
  }()

  /// Every value, to compare by.
  struct Values: Equatable {
    var counts: [Int]
    var bits: [UInt64]

    init(_ statistics: Statistics) {
      counts = [
        statistics.count, statistics.nan, statistics.positiveInfinite, statistics.negativeInfinite,
        statistics.zeros, statistics.negativeZeros, statistics.subnormals,
      ]
      let numbers =
        [
          statistics.minimum, statistics.maximum, statistics.mean, statistics.standardDeviation,
          statistics.norm,
        ].map { $0 ?? .nan } + statistics.sample + statistics.sketch.map { $0.isNaN ? 0 : $0 }
      bits = numbers.map(\.bitPattern)
    }
  }

  @Test func `the fixture has every type of numbers`() {
    let types = Set(Self.cases.map(\.tensor.dtype))
    #expect(DType.allCases.filter { !$0.isQuantized && !types.contains($0) }.isEmpty)
  }

  @Test(arguments: cases) func `statistics are NumPy's`(_ test: Case) throws {
    let found = try Statistics(test.tensor)
    let counts = [
      ("count", found.count), ("nan", found.nan), ("positive_infinite", found.positiveInfinite),
      ("negative_infinite", found.negativeInfinite), ("zeros", found.zeros),
      ("negative_zeros", found.negativeZeros), ("subnormals", found.subnormals),
    ]
    for (key, count) in counts { #expect(test.expected[key]?.int == count, "\(key)") }
    let exact = [("min", found.minimum), ("max", found.maximum)]
    for (key, value) in exact { #expect(test.expected[key]?.double == value, "\(key)") }
    let largest = found.largest ?? 0
    let rounded = [
      ("mean", found.mean, largest), ("std", found.standardDeviation, 0), ("norm", found.norm, 0),
    ]
    for (key, value, scale) in rounded {
      guard let wanted = test.expected[key]?.double else {
        // None is finite, or the sum is beyond a Float64.
        #expect(value == nil || value == .infinity, "\(key)")
        continue
      }
      let difference = (try #require(value) - wanted).magnitude
      // A mean of numbers of both signs is near zero by cancelling.
      #expect(
        difference <= 1e-9 * wanted.magnitude || difference <= 1e-14 * scale,
        "\(key): \(String(describing: value)), not \(wanted)")
    }
    let quantiles = [("p1", 0.01), ("median", 0.5), ("p99", 0.99)]
    for (key, share) in quantiles where found.isExact && found.finite > 0 {
      let value = try #require(found.quantile(share))
      let wanted = try #require(test.expected[key]?.double)
      #expect(
        (value - wanted).magnitude <= max(1e-12 * largest, .leastNonzeroMagnitude),
        "\(key): \(value), not \(wanted)")
    }
    if found.finite > 0, found.isExact, let low = found.minimum, let high = found.maximum {
      #expect(found.histogram(bins: 7, from: low, to: high).reduce(0, +) == found.finite)
    }
  }

  /// Numbers of ordinary size with some odd ones among them.
  private static func numbers(_ count: Int, seed: UInt64 = 1) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { index in
      switch index % 50_021 {
      case 7: .nan
      case 8: -.infinity
      case 9: -0.0
      case 10: Float.leastNonzeroMagnitude
      default: Float.random(in: -1...1, using: &generator)
      }
    }
  }

  /// The whole and its file, as raw bytes after an odd header.
  private static func file(_ numbers: [Float], in folder: TemporaryFolder) throws -> Tensor {
    let bytes = numbers.withUnsafeBytes { [UInt8]($0) }
    let path = try folder.file("numbers", [1, 2, 3] + bytes)
    let slice = try FileSlice(File(path), offset: 3, length: bytes.count)
    return Tensor(
      name: "numbers", dtype: .f32, shape: Shape([numbers.count]), payload: SlicePayload(slice))
  }

  /// Sizes about those of pieces (256 KB) and parts (4 MB).
  @Test(arguments: [65_535, 65_536, 65_537, 1_048_575, 1_048_576, 1_048_577, 2_500_001])
  func `threads and places of bytes change nothing`(_ count: Int) throws {
    let numbers = Self.numbers(count)
    let folder = try TemporaryFolder()
    let stored = try Self.file(numbers, in: folder)
    let whole = Values(try Statistics(Tensor(name: "", shape: Shape([count]), values: numbers)))
    for threads in [1, 2, 7] {
      #expect(Values(try Statistics.of([stored], threads: threads)[0]) == whole)
    }
    let checked = Tensor(
      name: "", dtype: .f32, shape: Shape([count]), payload: Windowed(bytes: stored.payload))
    #expect(Values(try Statistics(checked)) == whole)

    // Against one plain sum in a wider type.
    let finite = numbers.filter(\.isFinite).map { Float80($0) }
    let mean = finite.reduce(0, +) / Float80(finite.count)
    let variance = finite.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float80(finite.count)
    let found = try Statistics(stored)
    #expect((try #require(found.mean) - Double(mean)).magnitude < 1e-12)
    #expect(
      (try #require(found.standardDeviation) - Double(variance.squareRoot())).magnitude < 1e-12)
    #expect(found.nan == numbers.count(where: \.isNaN))
    #expect(found.negativeZeros == numbers.count { $0 == 0 && $0.sign == .minus })
    #expect(found.subnormals == numbers.count(where: \.isSubnormal))

    // A rank of the sample is off by its own error: four standard deviations of it are allowed.
    let ordered = finite.sorted()
    for share in [0.01, 0.5, 0.99] {
      let value = try #require(found.quantile(share))
      let rank = Double(ordered.count { $0 <= Float80(value) }) / Double(ordered.count)
      let error = (share * (1 - share) / Double(Statistics.sampleSize)).squareRoot()
      #expect((rank - share).magnitude < 4 * error, "\(share): \(rank)")
    }
    #expect(!found.isExact && found.sampleCount <= Statistics.sampleSize)
  }

  /// Windows of an odd size, as what is unpacked has.
  struct Windowed: Payload {
    let bytes: any Payload
    var byteCount: Int { bytes.byteCount }
    var storage: String { "windows" }
    var isWindowed: Bool { true }
    func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
      try bytes.read(at: offset, into: &buffer)
    }
  }

  @Test func `a transposed view has the same moments`() throws {
    let numbers = Self.numbers(700 * 300)
    let matrix = Tensor(name: "", shape: [700, 300], values: numbers)
    let (found, turned) = (try Statistics(matrix), try Statistics(matrix.transposed()))
    #expect(Values(found).counts == Values(turned).counts)
    #expect(found.minimum == turned.minimum && found.maximum == turned.maximum)
    let (a, b) = (try #require(found.norm), try #require(turned.norm))
    #expect((a - b).magnitude < 1e-12 * a)
  }

  /// Blocks stand for as many numbers as the shape says, and for those that decoding gives.
  @Test(arguments: DType.allCases.filter(\.isQuantized))
  func `blocks count as what they stand for`(_ dtype: DType) throws {
    let count = dtype.block.elements * 700
    var generator = SeededGenerator(seed: 5)
    let bytes = (0..<dtype.byteCount(of: count)).map { _ in
      UInt8.random(in: 0...255, using: &generator)
    }
    let tensor = Tensor(
      name: "", dtype: dtype, shape: [700, dtype.block.elements], payload: BytesPayload(bytes))
    let decoded = try tensor.doubles()
    let found = try Statistics(tensor)
    #expect(found.count == count && decoded.count == count)
    #expect(found.nan == decoded.count(where: \.isNaN))
    let finite = decoded.filter(\.isFinite)
    #expect(found.minimum == finite.min() && found.maximum == finite.max())
    #expect(found.zeros == finite.count { $0 == 0 })
    let windowed = Tensor(
      name: "", dtype: dtype, shape: tensor.shape, payload: Windowed(bytes: tensor.payload))
    #expect(Values(try Statistics(windowed)) == Values(found))
  }

  @Test func `one that cannot be read does not stop the others`() throws {
    let folder = try TemporaryFolder()
    let good = try Self.file(Self.numbers(10), in: folder)
    let bad = Tensor(name: "short", dtype: .f32, shape: [4], payload: BytesPayload([1, 2, 3]))
    let results = Statistics.each(of: [bad, good])
    #expect(throws: CheckpointError.self) { try results[0].get() }
    #expect(try results[1].get().count == 10)
    #expect(throws: CheckpointError.self) { try Statistics.of([good, bad]) }
  }

  /// The loops are compiled several times; sums go in one order in all of them.
  @Test(arguments: cases) func `every instruction set gives the same bits`(_ test: Case) throws {
    let type: ckpt_numbers? =
      switch test.tensor.dtype {
      case .f32: CKPT_F32
      case .f64: CKPT_F64
      case .f16: CKPT_F16
      case .bf16: CKPT_BF16
      default: nil
      }
    guard let type else { return }
    let bytes = try test.tensor.bytes()
    let results = (0...ckpt_widest_instructions().rawValue).map { level in
      bytes.withUnsafeBytes { bytes in
        ckpt_measure_by(
          ckpt_instructions(rawValue: level), type, bytes.baseAddress,
          bytes.count / test.tensor.dtype.size, 1e-30)
      }
    }
    for result in results {
      #expect(
        [result.mean, result.deviation, result.minimum, result.maximum].map(\.bitPattern)
          == [results[0].mean, results[0].deviation, results[0].minimum, results[0].maximum].map(
            \.bitPattern))
      #expect(result.finite == results[0].finite && result.subnormals == results[0].subnormals)
      #expect(result.zeros == results[0].zeros && result.exponent == results[0].exponent)
    }
  }
}
