import Checkpoint
import Testing
import Transforms

@Suite struct WidenFeedForwardTests {
  private func columns(_ values: [Double], _ width: Int, _ column: Int) -> [Double] {
    stride(from: column, to: values.count, by: width).map { values[$0] }
  }

  @Test(arguments: [6, 10, 13])
  func `each unit is a copy, and copies share what the unit gave`(_ width: Int) throws {
    var c = SampleModel.configuration(layers: 2)
    c.gates = [.linear]
    let model = try SampleModel.make("bert", heads: [.mlm], c)
    let change = try apply("widen-ffn=\(width)", to: model)
    let result = change.model
    #expect(change.correspondence.contract == .rounding)
    #expect(result.architecture.configuration.intermediateSize == width)
    for block in ["layers.0", "layers.1"] {
      for part in ["inner", "gate"] {
        let kernel = "\(block).feed_forward.\(part).kernel"
        let bias = "\(block).feed_forward.\(part).bias"
        let (old, new) = (try model.numbers(kernel), try result.numbers(kernel))
        let (oldBias, newBias) = (try model.numbers(bias), try result.numbers(bias))
        for unit in 0..<width {
          #expect(columns(new, width, unit) == columns(old, 5, unit % 5))
          #expect(newBias[unit] == oldBias[unit % 5])
        }
      }
      let name = "\(block).feed_forward.output.kernel"
      // Float64, before rounding: the rows of a unit's copies are equal and make its row.
      let (old, new) = (try model.numbers(name), try #require(result[name]).tensor.doubles())
      for unit in 0..<5 {
        let copies = stride(from: unit, to: width, by: 5)
        for column in 0..<6 {
          let parts = copies.map { new[$0 * 6 + column] }
          #expect(parts.allSatisfy { $0 == parts[0] })
          #expect(abs(parts.reduce(0, +) - old[unit * 6 + column]) < 1e-15)
        }
      }
      #expect(change.correspondence.name(of: "\(block).feed_forward.inner") == nil)
      #expect(change.correspondence.name(of: "\(block).feed_forward.output") != nil)
    }
    for weight in model.weights where !change.correspondence.rewritten.contains(weight.name) {
      #expect(try result[weight.name]?.tensor.hasBytes(of: weight.tensor) == true)
    }
    #expect(change.correspondence.rewritten.count == 2 * 5)
  }

  @Test func `a gated attention unit's gate and values go together`() throws {
    let model = try SampleModel.make("gau_alpha", SampleModel.configuration(layers: 1))
    let change = try apply("widen-ffn=7", to: model)
    let name = "layers.0.attention.inner.kernel"
    let (old, new) = (try model.numbers(name), try change.model.numbers(name))
    for unit in 0..<7 {
      #expect(columns(new, 18, unit) == columns(old, 14, unit % 5))
      #expect(columns(new, 18, 7 + unit) == columns(old, 14, 5 + unit % 5))
    }
    for column in 0..<4 { #expect(columns(new, 18, 14 + column) == columns(old, 14, 10 + column)) }
    #expect(
      change.correspondence.removed == ["layers.0.attention.inner", "layers.0.attention.context"])
    #expect(
      try change.model["layers.0.attention.query.gamma"]?.tensor.hasBytes(
        of: try #require(model["layers.0.attention.query.gamma"]).tensor) == true)
  }

  @Test func `both halves of a T5 and a shared block are widened once`() throws {
    let t5 = try SampleModel.make("t5", heads: [.lm], SampleModel.configuration(layers: 1))
    let change = try apply("widen-ffn=9", to: t5)
    #expect(change.correspondence.rewritten.count == 4)
    #expect(change.model["decoder.layers.0.feed_forward.output.kernel"]?.tensor.shape == [9, 6])
    var c = SampleModel.configuration(layers: 3)
    c.groups = 1
    let albert = try apply("widen-ffn=9", to: try SampleModel.make("albert", c))
    #expect(albert.correspondence.rewritten.count == 3)
    #expect(albert.correspondence.removed.count == 3)
  }

  @Test func `noise falls on copies only, and is the same every time`() throws {
    var c = SampleModel.configuration(layers: 1)
    (c.hiddenSize, c.intermediateSize, c.gates) = (60, 50, [.linear])
    let model = try SampleModel.make("bert", c)
    let plain = try apply("widen-ffn=120", to: model).model
    let change = try apply("widen-ffn=120:noise=0.1:seed=3", to: model)
    #expect(change.correspondence.contract == .lossy)
    func differences(_ result: Model, _ part: String) throws -> [Double] {
      let name = "layers.0.feed_forward.\(part)"
      let (a, b) = (try #require(plain[name]), try #require(result[name]))
      return zip(try a.tensor.doubles(), try b.tensor.doubles()).map { $1 - $0 }
    }
    let noise = try differences(change.model, "inner.kernel")
    for unit in 0..<50 { #expect(columns(noise, 120, unit).allSatisfy { $0 == 0 }) }
    let copies = (50..<120).flatMap { columns(noise, 120, $0) }
    #expect(!copies.contains(0))
    let mean = copies.reduce(0, +) / Double(copies.count)
    let variance = copies.reduce(0) { $0 + $1 * $1 } / Double(copies.count)
    // 4200 numbers: the mean strays by 0.1/√4200, the variance by 2 % of itself.
    #expect(abs(mean) < 0.008)
    #expect(abs(variance.squareRoot() - 0.1) < 0.006)
    for part in ["inner.bias", "gate.bias", "output.kernel"] {
      #expect(try differences(change.model, part).allSatisfy { $0 == 0 })
    }
    #expect(try differences(change.model, "gate.kernel") != noise)
    let again = try apply("widen-ffn=120:noise=0.1:seed=3", to: model).model
    #expect(try differences(again, "inner.kernel") == noise)
    let other = try apply("widen-ffn=120:noise=0.1:seed=4", to: model).model
    #expect(try differences(other, "inner.kernel") != noise)
    // Part of the rows has the numbers of the whole.
    let tensor = try #require(change.model["layers.0.feed_forward.inner.kernel"]).tensor
    #expect(try tensor.doubles(rows: 7..<9) == Array(try tensor.doubles()[840..<1080]))
  }

  @Test(arguments: [
    "widen-ffn=5", "widen-ffn=4", "widen-ffn=0", "widen-ffn=x", "widen-ffn=8:noise=-1",
    "widen-ffn=8:noise=nan", "widen-ffn=8:seed=1", "widen-ffn=8:noise=0.1:seed=-1",
    "widen-ffn=2000000000",
  ])
  func `a width that adds nothing is a usage error`(_ step: String) throws {
    let model = try SampleModel.make("bert")
    let error = #expect(throws: CheckpointError.self) { try apply(step, to: model) }
    #expect(error?.kind == .usage)
  }
}
