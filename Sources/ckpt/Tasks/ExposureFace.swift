import ArgumentParser
import Checkpoint
import Infer

/// `--task exposure`: a model with the right words before each token, and with its own.
struct ExposureFace: TaskFace {
  static let name = "exposure"
  static func writes(_ options: TaskOptions) -> Bool { true }
  static let isPaired = true

  let task: Exposure
  let notes: [String]
  let showsText = false
  private var summary = ExposureSummary()

  init(_ context: TaskContext) throws {
    if let path = context.outputs?.path, Paths.suffix(of: path).lowercased() != "png" {
      throw ValidationError("-o \(path): the plot is a PNG image; give a name that ends in .png.")
    }
    let (model, notes) = try context.generator()
    let prompting = try context.prompting(model)
    let decoding = try context.options.decoding(prompting, customs: context.customs)
    guard decoding.beams == 1, decoding.samples == 0 else {
      throw ValidationError("exposure runs greedily: without --beams, --samples, --top-k, --top-p.")
    }
    task = try Exposure(
      model, prompting, decoding, cached: !context.options.decoding.noCache,
      threads: context.threads)
    self.notes = notes
  }

  mutating func receive(_ answer: Exposure.Answer?, to input: TaskInput) {
    if let answer { summary.add(answer) }
  }

  func json(_ answer: Exposure.Answer, to input: TaskInput) -> [JSON.Member] {
    func ids(_ ids: [Int32]) -> JSON { .array(ids.map { .number(Int($0)) }) }
    func numbers(_ values: [Double]) -> JSON { .array(values.map { .number($0) }) }
    return [
      .init("gold", ids(answer.gold)), .init("forced", ids(answer.forced)),
      .init("forced_log_likelihoods", numbers(answer.forcedLogLikelihoods)),
      .init("free", ids(answer.free)),
      .init("free_log_likelihoods", numbers(answer.freeLogLikelihoods)),
      .init("parts_at", answer.partsAt.map { .number($0) } ?? .null),
      .init("rouge_l", .number(answer.rougeL)),
    ]
  }

  func lines(_ answer: Exposure.Answer, to input: TaskInput) -> [String] { [] }

  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    let view = ExposureView(summary)
    var lines = view.lines(.output)
    if let (path, overwrite) = context.outputs {
      let output = Output(overwrite: overwrite, inputs: context.opening.inputs)
      try output.file(path).write(try view.png(), at: 0)
      try output.commit(durable: false)
      lines.append("wrote \(path): accuracy above, mean log p below; blue forced, orange free")
    }
    return (view.json + [.init("image", context.outputs.map { .string($0.path) } ?? .null)], lines)
  }
}
