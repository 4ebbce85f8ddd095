import Checkpoint
import Infer
import TestSupport
import Testing
import Transforms

/// Batch normalizations folded in whole models of Keras (fixtures/keras-models): the outputs of the
/// original, and which of them must be gone.
@Suite struct FoldBatchNormModelTests {
  static let models = [
    "bn-branches", "bn-convolution", "bn-dense", "densenet", "mobilenet", "nested", "resnet",
    "xception",
  ]
  static let files = ["keras2", "keras3"]

  private func arrays(_ model: String, _ file: String) throws -> [String: NDArray<Double>] {
    var arrays: [String: NDArray<Double>] = [:]
    for tensor in try NPZ().read(Probe(Fixtures.path("keras-models", model, file))).tensors {
      arrays[tensor.name] = NDArray(
        shape: tensor.shape.extents, values: Elements.decode(try tensor.bytes(), as: tensor.dtype))
    }
    return arrays
  }

  private func open(_ model: String, _ version: String) throws -> KerasModel {
    let archive = Fixtures.path("keras-models", model, "\(version).keras")
    let path =
      Paths.exists(archive) ? archive : Fixtures.path("keras-models", model, "\(version).h5")
    return try Opening(path).keras()
  }

  private func run(
    _ model: KerasModel, _ inputs: [String: NDArray<Float>]
  ) throws -> [String: NDArray<Double>] {
    let runnable = try RunnableKeras(model, inputs: inputs.mapValues(\.shape))
    if let obstacle = runnable.obstacle { throw obstacle }
    return try runnable.reference(Double.self, inputs, returning: runnable.outputNames)
  }

  private func difference(_ a: NDArray<Double>?, _ b: NDArray<Double>?) -> Double {
    guard let a, let b, a.shape == b.shape else { return .infinity }
    let scale = b.values.map(\.magnitude).max() ?? 0
    let largest = zip(a.values, b.values).map { ($0 - $1).magnitude }.max() ?? 0
    return largest.isNaN ? .infinity : largest / max(scale, 1e-30)
  }

  @Test(arguments: models, files)
  func `folded models give the original's outputs`(_ name: String, _ version: String) throws {
    let model = try open(name, version)
    let change = try FoldBatchNorm().apply(to: model, TransformArguments("fold-batchnorm"))
    let given = try arrays(name, "inputs.npz").mapValues { array in
      NDArray(shape: array.shape, values: array.values.map { Float($0) })
    }
    let inputs = try RunnableKeras.inputs(named: given, for: model.network)
    let expected = try arrays(name, "expected.f64.npz")
    var rounded = change.model
    rounded.weights = rounded.weights.map { $0.rounded() }
    // The written configuration describes the same graph.
    rounded.network = try KerasNetwork(
      change.model.network.document, context: change.model.network.context)
    let (exact, written) = (try run(change.model, inputs), try run(rounded, inputs))
    #expect(Set(written.keys) == Set(expected.keys))
    for (output, values) in expected {
      #expect(difference(exact[output], values) < 1e-6, "\(output)")
      #expect(difference(written[output], values) < 1e-5, "\(output), rounded")
    }
  }

  @Test(arguments: ["bn-branches", "bn-convolution", "bn-dense"], files)
  func `folds where it is exact, and only there`(_ name: String, _ version: String) throws {
    let change = try FoldBatchNorm().apply(
      to: open(name, version), TransformArguments("fold-batchnorm"))
    let path = Fixtures.path("keras-models", name, "cases.json")
    let cases = try JSON(parsing: File.contents(of: path, limit: 1 << 20)).members ?? []
    #expect(cases.count > 20)
    let stays = change.remarks.compactMap { remark in
      remark.contains(" stays: ") ? remark.split(separator: " ").first.map(String.init) : nil
    }
    for item in cases {
      let own = stays.filter { stay in
        let layer = stay.split(separator: ".").last.map(String.init) ?? stay
        let names = ["boundary": "tail", "inner_twice": "inner"]
        let prefix = (names[item.key] ?? item.key) + "_"
        guard layer.hasPrefix(prefix) else { return false }
        // `seen_on_bn` is none of `seen`.
        return !cases.contains { other in
          other.key.count > item.key.count && other.key.hasPrefix(item.key)
            && layer.hasPrefix(other.key + "_")
        }
      }
      let mustStay = item.value["fold"]?.string == "no"
      #expect(own.isEmpty != mustStay, "\(item.key): \(own), \(change.remarks)")
    }
  }

  @Test(arguments: files) func `a residual network keeps two, a dense one most`(_ version: String)
    throws
  {
    func stays(_ name: String) throws -> [String] {
      try FoldBatchNorm().apply(to: open(name, version), TransformArguments("fold-batchnorm"))
        .remarks
        .compactMap { remark in
          remark.contains(" stays: ") ? remark.split(separator: " ").first.map(String.init) : nil
        }
    }
    #expect(try Set(stays("resnet")) == ["c_0_bn", "post_bn"])
    #expect(try stays("xception").isEmpty)
    #expect(try stays("mobilenet").isEmpty)
    let dense = try stays("densenet")
    #expect(!dense.isEmpty && !dense.contains("stem_bn"))
    #expect(!dense.contains { $0.hasPrefix("dense") && $0.hasSuffix("_1_bn") })
  }
}
