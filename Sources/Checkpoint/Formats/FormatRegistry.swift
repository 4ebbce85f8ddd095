/// The list of formats; detection, the command line and the tests go by it.
public enum FormatRegistry {
  public static let all: [any Format] = [
    KerasHDF5(),
    Keras(),
    Safetensors(),
    NPZ(),
    TFCheckpoint(),
    NPY(),
    Torch(),
    Paddle(),
    GGUF(),
    ONNX(),
    FlaxMsgpack(),
  ]

  /// The formats that can be written.
  public static var writable: [any Format] { all.filter(\.writes) }

  /// The format of that name.
  public static func named(_ name: String) throws(CheckpointError) -> any Format {
    let wanted = name.lowercased()
    if let format = all.first(where: { $0.name == wanted || $0.aliases.contains(wanted) }) {
      return format
    }
    throw CheckpointError(
      .usage, Place(), "there is no format \"\(name)\"",
      hint: "known formats: \(all.map(\.name).joined(separator: ", "))")
  }

  /// The format whose suffix `path` has.
  public static func suffixed(_ path: String) -> (any Format)? {
    let name = Paths.name(of: path).lowercased()
    return all.first { $0.suffixes.contains { name.hasSuffix("." + $0) } }
  }

  /// The file to open for a path at which there is no file.
  public static func entry(for path: String) -> String? {
    all.lazy.compactMap { $0.entry(for: path) }.first
  }

  /// The format that recognises the content.
  public static func recognise(_ probe: Probe) throws(CheckpointError) -> any Format {
    if let format = all.first(where: { $0.recognises(probe) })
      ?? all.first(where: { $0.recognisesBehindHead(probe) })
    {
      return format
    }
    let head = probe.head.prefix(8).map { Hex.encode([$0]) }.joined(separator: " ")
    throw CheckpointError(
      .notRecognised, .file(probe.path),
      probe.file.size == 0
        ? "is empty" : "is of no known format (it starts with the bytes \(head))",
      hint: "known formats: \(all.map(\.name).joined(separator: ", ")); --format chooses one")
  }
}
