import Checkpoint
import TestSupport
import Testing
import Transforms

@Suite struct CastTests {
  /// A model one weight of which begins with these values.
  private func model(_ values: [Float]) throws -> Model {
    try SampleModel.make("bert", SampleModel.configuration(layers: 1)) { name, index in
      name == "embeddings.token" && index < values.count ? values[index] : 0.1
    }
  }

  @Test func `numbers are rounded to nearest even, where they stand`() throws {
    let model = try model([1 / 3, 2049, 6e-8, -1e-9, .infinity, 65519])
    let change = try apply("cast=f16", to: model)
    #expect(change.correspondence.contract == .lossy)
    let weight = try #require(change.model["embeddings.token"])
    #expect(weight.rounding == nil && weight.tensor.dtype == .f16)
    #expect(
      try weight.tensor.doubles().prefix(6)
        == [Double(Float16(1.0 / 3)), 2048, 0x1p-24, -0.0, .infinity, 65504])
    #expect(change.model.weights.allSatisfy { $0.tensor.dtype == .f16 })
    // What follows computes with rounded numbers.
    let wide = try apply("cast=f16", "widen-ffn=10", to: model).model
    let output = try #require(wide["layers.0.feed_forward.output.kernel"])
    #expect(try output.tensor.doubles()[0] == Double(Float16(0.1)) / 2)
    #expect(output.rounding == .f16)
    // What came before is rounded once, to the type that is asked for.
    let rounded = try apply("widen-ffn=15", "cast=bf16", to: model).model
    let other = try #require(rounded["layers.0.feed_forward.output.kernel"])
    #expect(other.rounding == nil && other.tensor.dtype == .bf16)
    let exact = Double(Float(0.1)) / 3
    #expect(abs(try other.tensor.doubles()[0] / exact - 1) < 0x1p-8)
  }

  @Test(arguments: [
    (DType.f32, "cast=f32", Correspondence.Contract.exact), (.f32, "cast=f64", .exact),
    (.f16, "cast=f32", .exact), (.bf16, "cast=f64", .exact), (.f16, "cast=bf16", .lossy),
    (.bf16, "cast=f16", .lossy), (.f32, "cast=bf16", .lossy), (.f64, "cast=f32", .lossy),
  ])
  func `a type that holds all values is exact`(
    _ dtype: DType, _ step: String, _ contract: Correspondence.Contract
  ) throws {
    let model = try SampleModel.make("bert", SampleModel.configuration(layers: 1), dtype: dtype)
    let change = try apply(step, to: model)
    #expect(change.correspondence.contract == contract)
    for weight in model.weights {
      let new = try #require(change.model[weight.name]).tensor
      #expect(new.dtype.rawValue == step.dropFirst("cast=".count))
      if contract == .exact { #expect(try new.doubles() == weight.tensor.doubles()) }
    }
  }

  @Test func `what was computed is rounded at the place of the step`() throws {
    let model = try model([])
    #expect(try apply("widen-ffn=15", "cast=f32", to: model).correspondence.contract == .rounding)
    let wide = try apply("widen-ffn=15", "cast=f64", to: model)
    #expect(wide.correspondence.contract == .rounding)
    let weight = try #require(wide.model["layers.0.feed_forward.output.kernel"])
    #expect(weight.rounding == nil && weight.tensor.dtype == .f64)
    #expect(try weight.tensor.doubles()[0] == Double(Float(0.1)) * (1.0 / 3))
  }

  @Test(arguments: [
    ("cast=f16", 70000 as Float, nil as Double?), ("cast=f16:overflow=error", -70000, nil),
    ("cast=f16:overflow=inf", 70000, .infinity), ("cast=f16:overflow=clip", 70000, 65504),
    ("cast=f16:overflow=clip", -70000, -65504), ("cast=f16:overflow=clip", .infinity, .infinity),
    ("cast=bf16:overflow=clip", .greatestFiniteMagnitude, 0x1.fep127), ("cast=bf16", 70000, 70144),
    ("cast=bf16", .greatestFiniteMagnitude, nil),
  ])
  func `beyond the range`(_ step: String, _ value: Float, _ expected: Double?) throws {
    let model = try model([value])
    for steps in [[step], ["widen-ffn=10", step]] {
      let change = try TransformRegistry.apply(
        steps.map { try TransformStep(parsing: $0) }, to: model)
      let tensor = try #require(change.model["embeddings.token"]).tensor
      guard let expected else {
        let error = #expect(throws: CheckpointError.self) { try tensor.doubles() }
        #expect(error?.kind == .unsupported)
        continue
      }
      #expect(try tensor.doubles()[0] == expected)
    }
  }

  @Test func `what was computed overflows as it is said`() throws {
    var c = SampleModel.configuration(layers: 2)
    c.layers = 2
    let model = try SampleModel.make("bert", c) { name, _ in
      name.hasPrefix("layers.0") ? 60000 : 80000
    }
    // The mean is 70000.
    let name = "groups.0.0.attention.key.bias"
    let clipped = try apply("tie", "cast=f16:overflow=clip", to: model).model
    #expect(try clipped.numbers(name)[0] == 65504)
    let infinite = try apply("tie", "cast=f16:overflow=inf", to: model).model
    #expect(try infinite.numbers(name)[0] == .infinity)
    let refused = try apply("tie", "cast=f16", to: model).model
    #expect(throws: CheckpointError.self) { try refused.numbers(name) }
  }

  @Test func `tensors of unknown meaning are converted too, whole numbers are not`() throws {
    var model = try model([])
    model.carried = [
      Group(
        name: "dense_73",
        tensors: [
          Tensor(name: "dense_73/kernel:0", shape: [2], values: [1.5, 1 / 3]),
          Samples.tensor("dense_73/ids:0", .i32, [3]),
          Samples.tensor("dense_73/blocks:0", .q8_0, [1, 32]),
        ])
    ]
    let carried = try apply("cast=bf16", to: model).model.carried[0].tensors
    #expect(carried.map(\.dtype) == [.bf16, .i32, .bf16])
  }

  @Test func `quantized blocks become the numbers that they stand for`() throws {
    var model = try SampleModel.make("bert", SampleModel.configuration(layers: 1))
    let index = try #require(model.weights.firstIndex { $0.name == "embeddings.norm.beta" })
    // Any weight will do: what counts is its type.
    let blocks = Tensor(
      name: "w", shape: [2, 32], values: (0..<64).map { Float($0) / 7 - 4 }
    ).cast(to: .q8_0)
    let stored = Tensor(
      name: "w", dtype: .q8_0, shape: [2, 32], payload: BytesPayload(try blocks.bytes()))
    model.weights[index].tensor = stored
    let change = try Cast().apply(to: model, TransformArguments("cast", value: "f32"))
    #expect(change.correspondence.contract == .exact)
    let tensor = change.model.weights[index].tensor
    #expect(tensor.dtype == .f32)
    #expect(try tensor.doubles() == stored.doubles())
  }

  @Test(arguments: ["cast=q8_0", "cast=i32", "cast=F16", "cast=f16:overflow=wrap", "cast"])
  func `another type is a usage error`(_ step: String) throws {
    let model = try model([])
    let error = #expect(throws: CheckpointError.self) { try apply(step, to: model) }
    #expect(error?.kind == .usage)
  }
}
