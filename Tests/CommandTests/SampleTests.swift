import Checkpoint
import TestSupport
import Testing

/// `ckpt sample` on a denoiser that a test makes: r(x) = 0.9·x.
@Suite struct SampleTests {
  private func denoiser(_ folder: TemporaryFolder, width: Int = 4) throws -> String {
    let json = """
      {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"name": "image", "batch_shape": [null, \(width)]}},
        {"class_name": "Dense", "config": {"name": "out", "units": \(width), "use_bias": false}}]}}
      """
    try folder.file("model.json", Array(json.utf8))
    let kernel = (0..<(width * width)).map { Float($0 % (width + 1) == 0 ? 0.9 : 0) }
    let tensor = Tensor(
      name: "layers/dense/vars/0", shape: Shape([width, width]), values: kernel)
    let output = Output(overwrite: true, inputs: [])
    try Safetensors().write(
      Checkpoint(groups: [Group(name: "", tensors: [tensor])]),
      to: folder.file("model.safetensors"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    return folder.file("model.safetensors")
  }

  private func floats(_ path: String, _ name: String) throws -> (shape: [Int], values: [Float]) {
    let tensor = try #require(
      try Opening(path).checkpoint.tensors.first { $0.name == name }, "\(name)")
    return (tensor.shape.extents, try tensor.floats())
  }

  private static let levels = ["--sigma", "1,0.5,0.1", "--steps", "3", "--seed", "5"]

  @Test func `a sample does not depend on the others, a run on its seed alone`() throws {
    let folder = try TemporaryFolder()
    let model = try denoiser(folder)
    func run(_ name: String, _ more: [String]) throws -> [Float] {
      let path = folder.file(name)
      let result = try Command.run(
        Command.path, ["sample", model, "-o", path, "--json"] + Self.levels + more)
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.json?["noise_input"] == .null)
      let last = more.contains("--no-denoise") ? 0 : 1
      #expect(result.json?["evaluations"]?.int == 9 + last)
      return try floats(path, "samples").values
    }
    let five = try run("five.npz", ["--count", "5", "--batch", "2"])
    let three = try run("three.npz", ["--count", "3"])
    #expect(five.count == 20 && Array(five.prefix(12)) == three)
    #expect(Set(five).count == 20)
    #expect(try run("other.npz", ["--count", "3", "--seed", "6"]) != three)
    #expect(try run("raw.npz", ["--count", "3", "--no-denoise"]).count == 12)
  }

  @Test func `a trace is the noise of another run`() throws {
    let folder = try TemporaryFolder()
    let model = try denoiser(folder)
    let (trace, again) = (folder.file("trace.npz"), folder.file("again.npz"))
    let first = try Command.run(
      Command.path,
      [
        "sample", model, "-o", folder.file("a.npz"), "--count", "5", "--batch", "3", "--trace",
        trace,
      ]
        + Self.levels)
    #expect(first.code == 0, "\(first.errors)")
    #expect(try floats(trace, "noise").shape == [3, 3, 5, 4])
    #expect(try floats(trace, "trace").shape == [9, 5, 4])
    let second = try Command.run(
      Command.path,
      ["sample", model, "-o", again, "--noise", trace, "--chain"] + Self.levels)
    #expect(second.code == 0, "\(second.errors)")
    let samples = try floats(trace, "samples").values
    #expect(try floats(again, "samples").values == samples)
    // Rows of a chain: the beginning, a row for each level, the end.
    let chain = try floats(again, "chain")
    #expect(chain.shape == [5, 5, 4] && Array(chain.values.suffix(20)) == samples)
    #expect(Array(chain.values.prefix(20)) == (try floats(trace, "x").values))
    let steps = try floats(trace, "trace").values
    #expect(Array(chain.values[20..<40]) == Array(steps[40..<60]))
    // The loop, by hand: r(x) = 0.9 x, so the score is −0.1 x / σ².
    let (x, z) = (try floats(trace, "x").values, try floats(trace, "noise").values)
    let alpha = 0.2 * 1.0
    for index in 0..<20 {
      let expected =
        Double(x[index]) * (1 - alpha / 2 * 0.1) + alpha.squareRoot() * Double(z[index])
      #expect(abs(Double(steps[index]) - expected) < 1e-5)
    }
  }

  @Test func `images lie in rows and columns`() throws {
    let folder = try TemporaryFolder()
    let model = try denoiser(folder, width: 6)
    let picture = folder.file("grid.png")
    let vector = try Command.run(
      Command.path, ["sample", model, "-o", picture, "--count", "7"] + Self.levels)
    #expect(vector.code == 64 && vector.errors.contains("--image"), "\(vector.errors)")
    let result = try Command.run(
      Command.path,
      ["sample", model, "-o", picture, "--count", "7", "--image", "2x3", "--columns", "4"]
        + Self.levels)
    #expect(result.code == 0, "\(result.errors)")
    let bytes = try File.contents(of: picture)
    func number(_ at: Int) -> Int { bytes[at..<(at + 4)].reduce(0) { $0 << 8 | Int($1) } }
    // 24 pixels for one: 4 columns of 3, 2 rows of 2, and 2 pixels between.
    #expect(number(16) == 4 * (3 * 24 + 2) + 2 && number(20) == 2 * (2 * 24 + 2) + 2)
    let again = try Command.run(
      Command.path, ["sample", model, "-o", picture, "--image", "2x3"] + Self.levels)
    #expect(again.code == 64 && again.errors.contains("--overwrite"))
  }

  @Test(arguments: [
    ["--sigma", "0.1,1"], ["--sigma", "0"], ["--sigma", "1", "--steps", "0"],
    ["--sigma", "1", "--range", "1,0"], ["--sigma", "1", "--step-size", "-1"],
  ])
  func `schedules that are none are usage errors`(options: [String]) throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      Command.path, ["sample", try denoiser(folder), "-o", folder.file("a.npz")] + options)
    #expect(result.code == 64, "\(result.errors)")
  }

  @Test func `models that are none to sample from say why`() throws {
    let folder = try TemporaryFolder()
    let bert = try Command.run(
      Command.path,
      ["sample", Command.fixtures + "/hf-bert", "-o", folder.file("a.npz"), "--sigma", "1"])
    #expect(bert.code == 2 && bert.errors.contains("model of text"), "\(bert.errors)")
    let other = try Command.run(
      Command.path,
      [
        "sample", try denoiser(folder), "-o", folder.file("a.npz"), "--sigma", "1",
        "--noise-input", "level",
      ])
    #expect(other.code == 2 && other.errors.contains("inputs: image"), "\(other.errors)")
    let growing = try Command.run(
      Command.path,
      [
        "sample", try denoiser(folder), "-o", folder.file("a.npz"), "--sigma", "1", "--score",
        "--step-size", "1e6", "--steps", "100",
      ])
    #expect(growing.code == 2 && growing.errors.contains("--step-size"), "\(growing.errors)")
  }
}
