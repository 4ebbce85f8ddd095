import ArgumentParser
import Checkpoint

/// `ckpt hash`: what identifies the content, whatever the format.
struct Hash: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the content hash: equal for equally named, equal tensors in any format.",
    discussion: """
      A tensor's digest is SHA-256 over its elements, little-endian and in C order. The hash of the \
      whole is SHA-256 over the lines "name NUL dtype NUL shape NUL digest", sorted by name.
      """)

  @Argument(help: "The checkpoint.", completion: .model) var model: String
  @Flag(help: "Print every tensor's digest too, in the file's order.") var perTensor = false
  @Option(help: "Read as this format (ckpt formats).", completion: .formats)
  var format: String?
  @OptionGroup var output: OutputFlags

  func run() throws {
    var reading = ModelReader.Options()
    reading.format = format
    let checkpoint = try Opening(model, options: reading).checkpoint
    let content = try ContentHash(checkpoint)
    if output.json {
      print(json(content).pretty)
      return
    }
    if perTensor {
      for tensor in content.tensors {
        print("\(tensor.sha256)  \(tensor.name)  \(tensor.dtype.rawValue) \(tensor.shape)")
      }
    }
    print("\(content.hash)  \(model)")
    for entry in checkpoint.unreadable {
      Terminal.printError("warning: \(entry.name) is left out: \(entry.reason)")
    }
  }

  private func json(_ content: ContentHash) -> JSON {
    var json = JSON.object([.init("hash", .string(content.hash))])
    guard perTensor else { return json }
    json.set(
      "tensors",
      .array(
        content.tensors.map { tensor in
          .object([
            .init("name", .string(tensor.name)), .init("dtype", .string(tensor.dtype.rawValue)),
            .init("shape", .array(tensor.shape.extents.map { .number($0) })),
            .init("sha256", .string(tensor.sha256)),
          ])
        }))
    return json
  }
}
