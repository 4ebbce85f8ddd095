import Checkpoint
import Infer

/// All samples of a run of `sample`, some at a time, and what is kept of their way.
struct SampleRun {
  /// Where samples begin and what each step adds.
  enum Randomness {
    enum Start {
      /// The mean and the standard deviation.
      case normal(Double, Double)
      case uniform(Double, Double)
    }

    /// Each sample has a generator of its own, so that it does not depend on how many there are.
    case seeded(UInt64, Start, count: Int, [Int])
    /// `[n, …]`, and `[levels, steps, n, …]`.
    case given(NDArray<Float>, NDArray<Float>)
  }

  let dynamics: LangevinDynamics
  let network: NetworkScore
  let randomness: Randomness
  let count: Int
  let batch: Int
  private let keepsTrace: Bool
  private let keepsLevels: Bool
  private let width: Int
  /// `[n, …]`.
  private(set) var samples: NDArray<Float>
  /// `[rows, n, …]`: where they begin, behind each level, and without noise.
  private(set) var levels: NDArray<Float>
  private var start: NDArray<Float>
  private var noise: NDArray<Float>
  private var trace: NDArray<Float>

  init(
    _ dynamics: LangevinDynamics, _ network: NetworkScore, _ randomness: Randomness, batch: Int,
    keepsTrace: Bool, keepsLevels: Bool
  ) {
    (self.dynamics, self.network, self.randomness) = (dynamics, network, randomness)
    (self.keepsTrace, self.keepsLevels) = (keepsTrace, keepsLevels)
    switch randomness {
    case .seeded(_, _, let count, _): self.count = count
    case .given(let x, _): count = x.shape[0]
    }
    self.batch = min(batch, count)
    let shape = [count] + network.sampleShape
    width = network.sampleShape.reduce(1, *)
    let (levels, steps) = (dynamics.levels.count, dynamics.steps)
    samples = NDArray(zeros: shape)
    let rows = 1 + levels + (dynamics.denoises ? 1 : 0)
    self.levels = NDArray(zeros: keepsLevels ? [rows] + shape : [0])
    start = NDArray(zeros: keepsTrace ? shape : [0])
    noise = NDArray(zeros: keepsTrace ? [levels, steps] + shape : [0])
    trace = NDArray(zeros: keepsTrace ? [levels * steps] + shape : [0])
  }

  var batches: Int { (count + batch - 1) / batch }

  /// What `--trace` writes.
  var arrays: [(name: String, array: NDArray<Float>)] {
    [("x", start), ("noise", noise), ("trace", trace), ("samples", samples)]
  }

  /// - Parameter advance: called for each time that the model was asked.
  mutating func run(_ advance: () -> Void) throws {
    for first in stride(from: 0, to: count, by: batch) {
      try run(first..<min(count, first + batch), advance)
    }
  }

  private mutating func run(_ rows: Range<Int>, _ advance: () -> Void) throws {
    /// Where these rows begin in an array of arrays of all samples.
    let (count, width) = (count, width)
    func start(_ place: Int) -> Int { (place * count + rows.lowerBound) * width }
    let shape = [rows.count] + network.sampleShape
    var generators: [GaussianNoise] = []
    var x = NDArray<Float>(zeros: shape)
    switch randomness {
    case .given(let given, _):
      x.values = Array(
        given.values[(rows.lowerBound * width)..<(rows.upperBound * width)])
    case .seeded(let seed, let begin, _, _):
      var seeds = SplitMix64(seed: seed)
      for _ in 0..<rows.lowerBound { _ = seeds.next() }
      generators = rows.map { _ in GaussianNoise(seed: seeds.next()) }
      x.values = generators.indices.flatMap { index in
        (0..<width).map { _ in
          switch begin {
          case .normal(let mean, let deviation):
            Float(mean + deviation * generators[index].next())
          case .uniform(let low, let high):
            Float(low + (high - low) * generators[index].uniform())
          }
        }
      }
    }
    if keepsTrace { SampleRun.put(x.values, at: start(0), &self.start) }
    if keepsLevels { SampleRun.put(x.values, at: start(0), &levels) }
    let steps = dynamics.steps
    var added: [(place: Int, z: [Float])] = []
    var moments: [LangevinDynamics.Moment] = []
    let (keepsTrace, keepsLevels) = (keepsTrace, keepsLevels)
    let result = try dynamics.run(x, network) { level, step in
      let place = level * steps + step
      let z: [Float]
      switch randomness {
      case .given(_, let noise):
        z = Array(noise.values[start(place)..<(start(place) + rows.count * width)])
      case .seeded: z = generators.indices.flatMap { generators[$0].array(width) }
      }
      if keepsTrace { added.append((place, z)) }
      return z
    } observe: { moment in
      advance()
      if keepsTrace || (keepsLevels && moment.step ?? steps >= steps - 1) {
        moments.append(moment)
      }
    }
    for (place, z) in added { SampleRun.put(z, at: start(place), &noise) }
    for moment in moments {
      if keepsTrace, let step = moment.step {
        SampleRun.put(
          moment.x.values, at: start(moment.level.index * steps + step), &trace)
      }
      guard keepsLevels, moment.step ?? steps >= steps - 1 else { continue }
      SampleRun.put(
        moment.x.values, at: start(moment.level.index + (moment.step == nil ? 2 : 1)), &levels)
    }
    SampleRun.put(result.values, at: start(0), &samples)
  }

  private static func put(_ values: [Float], at start: Int, _ whole: inout NDArray<Float>) {
    whole.values.replaceSubrange(start..<(start + values.count), with: values)
  }
}
