import Checkpoint
import Infer
import Testing

/// Annealed Langevin dynamics against the same loop in NumPy (literals), and a distribution whose samples are known.
@Suite struct SamplingTests {
  /// A normal distribution of the data: with noise of variance σ² the score is (m − x) / (s² + σ²).
  private struct Normal: ScoreModel {
    var mean = 0.3
    var variance = 0.16
    let sampleShape = [1]

    func score(_ x: NDArray<Float>, at level: NoiseLevel) throws -> NDArray<Float> {
      NDArray(
        shape: x.shape,
        values: x.values.map {
          Float((mean - Double($0)) / (variance + level.sigma * level.sigma))
        })
    }
  }

  @Test func `noise is what Box and Muller make of SplitMix64`() {
    var noise = GaussianNoise(seed: 7)
    let expected = [
      0.9884743323187353, 0.10465664748899398, -1.8642558067312274, -1.0700431037183418,
      0.00392020721518934,
    ]
    for value in expected { #expect(abs(noise.next() - value) < 1e-12) }
    var uniform = GaussianNoise(seed: 7)
    #expect(uniform.uniform() == 0.3898297483912715 && uniform.uniform() == 0.01678829452815611)
  }

  @Test func `a run with given noise is NumPy's loop`() throws {
    let dynamics = try LangevinDynamics(sigmas: [1, 0.5], steps: 2, stepSize: 0.05)
    #expect(dynamics.step(at: dynamics.levels[0]) == 0.2 && dynamics.evaluations == 5)
    let z: [[[Float]]] = [[[0.25, -0.5], [1, 0]], [[-0.75, 0.5], [0.125, -1.5]]]
    var trace: [[Float]] = []
    let result = try dynamics.run(
      NDArray(shape: [2, 1], values: [0.5, -1]), Normal(), noise: { z[$0][$1] },
      observe: { trace.append($0.x.values) })
    let expected = [
      [0.5945620195646447, -1.1115378322327376], [1.0163823375159264, -0.989853536350605],
      [0.8049953893549101, -0.7994005316005787], [0.8021538372837239, -1.067774110445024],
      [0.4959624730863313, -0.2337655065151314],
    ]
    #expect(trace.count == 5 && result.values == trace[4])
    for (found, row) in zip(trace, expected) {
      for (a, b) in zip(found, row) { #expect(abs(Double(a) - b) < 1e-6) }
    }
  }

  @Test func `samples of a normal distribution have its mean and variance`() throws {
    let dynamics = try LangevinDynamics(sigmas: [1, 0.3, 0.1], steps: 100, stepSize: 0.01)
    var noise = GaussianNoise(seed: 3)
    let count = 4000
    let result = try dynamics.run(
      NDArray(shape: [count, 1], values: noise.array(count)), Normal(),
      noise: { _, _ in noise.array(count) })
    let mean = result.values.reduce(0) { $0 + Double($1) } / Double(count)
    let variance =
      result.values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
    #expect(abs(mean - 0.3) < 0.03, "\(mean)")
    // Denoising takes (s² / (s² + σ²))² of s² + σ² away: 0.1506.
    #expect(abs(variance - 0.1506) < 0.015, "\(variance)")
  }

  @Test(arguments: [
    ([], 1, 0.1), ([0.1, 1], 1, 0.1), ([1, 0], 1, 0.1), ([1], 0, 0.1), ([1], 1, -1),
  ])
  func `what is no schedule is refused`(sigmas: [Double], steps: Int, stepSize: Double) {
    #expect(throws: InferError.self) {
      try LangevinDynamics(sigmas: sigmas, steps: steps, stepSize: stepSize)
    }
  }

  @Test func `numbers that grow without end are an error`() throws {
    struct Growing: ScoreModel {
      let sampleShape = [1]
      func score(_ x: NDArray<Float>, at level: NoiseLevel) throws -> NDArray<Float> {
        NDArray(shape: x.shape, values: x.values.map { $0 * 1e20 })
      }
    }
    let dynamics = try LangevinDynamics(sigmas: [1], steps: 9)
    let error = #expect(throws: InferError.self) {
      try dynamics.run(NDArray(shape: [1, 1], values: [1]), Growing(), noise: { _, _ in [0] })
    }
    #expect(error?.hint?.contains("--step-size") == true)
  }

  @Test func `a Keras denoiser has the score (r(x) − x) ÷ σ²`() throws {
    let json = """
      {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"name": "image", "batch_input_shape": [null, 2]}},
        {"class_name": "Dense", "config": {"name": "out", "units": 2, "activation": "linear"}}]}}
      """
    let group = Group(
      name: "out",
      tensors: [
        Tensor(name: "out/kernel:0", shape: Shape([2, 2]), values: [0.5, 0.1, 0.2, 0.4]),
        Tensor(name: "out/bias:0", shape: Shape([2]), values: [0.05, -0.02]),
      ])
    let model = try KerasModel(
      Checkpoint(groups: [group], attributes: [Attribute("model_config", text: json)]))
    let network = try NetworkScore(model, .denoiser)
    #expect(network.noiseInput == nil && network.sampleShape == [2] && network.input == "image")
    let dynamics = try LangevinDynamics(sigmas: [0.5], steps: 1, stepSize: 0.1)
    var before: [Float] = []
    let result = try dynamics.run(
      NDArray(shape: [2, 2], values: [1, -0.5, 0.25, 0.75]), network,
      noise: { _, _ in [0.1, 0.2, -0.3, 0.4] },
      observe: { if $0.step == 0 { before = $0.x.values } })
    let expected = [
      0.9216227766016838, -0.3607544467966324, 0.17013167019494863, 0.7874911064067353,
    ]
    let denoised = [
      0.43866049894151543, -0.07213950105848459, 0.2925640563788214, 0.312009609582189,
    ]
    for (a, b) in zip(before + result.values, expected + denoised) {
      #expect(abs(Double(a) - b) < 1e-6)
    }
    // As a score network: x + σ²·output at the end.
    let score = try NetworkScore(model, .score)
    let x = NDArray<Float>(shape: [1, 2], values: [1, -0.5])
    let level = NoiseLevel(sigma: 0.5, index: 0)
    #expect(try score.score(x, at: level) == network(x, at: level))
    let end = try score.denoised(x, at: level).values
    #expect(abs(end[0] - 1.1125) < 1e-6 && abs(end[1] + 0.53) < 1e-6)
  }
}
