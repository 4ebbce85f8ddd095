/// PaddlePaddle's `.pdparams` and `.pdopt`: a pickle of NumPy arrays, whose bytes lie in the pickle.
///
/// Source: `python/paddle/framework/io.py` and `io_utils.py` of PaddlePaddle. Any other pickle of
/// NumPy arrays is read likewise. Paddle keeps bfloat16 as 16-bit integers without a note, so such
/// tensors are u16 here.
public struct Paddle: Format {
  public init() {}

  public var name: String { "paddle" }
  public var aliases: [String] { ["pdparams"] }
  public var summary: String {
    "PaddlePaddle weights (.pdparams, .pdopt), and pickled NumPy arrays"
  }
  public var suffixes: [String] { ["pdparams", "pdopt"] }
  public var customaryNames: [String] { ["model_state.pdparams", "model.pdparams"] }
  public var writes: Bool { false }

  /// The entry that gives each parameter the name that the program has for it.
  private static let nameTable = "StructuredToParameterName@@"
  /// The entry that tells of arrays in several parts, as protocols 2 and 3 need for large ones.
  private static let partTable = "UnpackBigParamInfor@@"

  /// A pickle of protocol 2 or later that is not PyTorch's.
  public func recognises(_ probe: Probe) -> Bool {
    guard probe.head.count > 2, probe.head[0] == 0x80, (2...5).contains(probe.head[1]),
      PickleOpcode(rawValue: probe.head[2]) != nil
    else { return false }
    return !TorchStream.recognises(probe.head)
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      let whole = try FileSlice(probe.file, offset: 0, length: probe.file.size)
      let pickle = try PickleMachine.read(.file(whole))
      guard pickle.end == probe.file.size else {
        throw CheckpointError(
          .damaged, Place(offset: pickle.end),
          "\(probe.file.size - pickle.end) bytes follow the pickle")
      }
      var tree = PickleTree(pickle, PaddleVocabulary())
      var names: [String: String] = [:]
      if let entries = pickle.entries(pickle.root) {
        guard !entries.contains(where: { pickle.text($0.key) == Paddle.partTable }) else {
          throw CheckpointError(
            .unsupported, Place(member: Paddle.partTable),
            "holds an array in several parts", hint: "save it with paddle.save(…, protocol=4)")
        }
        let table = entries.first { pickle.text($0.key) == Paddle.nameTable }
        for entry in pickle.entries(table?.value) ?? [] {
          if let key = pickle.text(entry.key) { names[key] = pickle.text(entry.value) }
        }
        let others = entries.filter { pickle.text($0.key) != Paddle.nameTable }
        try tree.add(.dictionary(others), "", depth: 0)
      } else {
        try tree.flatten(rootName: Paths.stem(of: probe.path))
      }
      var tensors = tree.tensors
      let taken = Set(tensors.map(\.name))
      for index in tensors.indices {
        guard let alias = names[tensors[index].name], !taken.contains(alias) else { continue }
        tensors[index].aliases = [alias]
      }
      return Checkpoint(
        path: probe.path, format: name, groups: [Group(name: "", tensors: tensors)],
        attributes: tree.attributes, unreadable: tree.unreadable)
    } catch {
      throw error.at(.file(probe.path))
    }
  }
}

/// How Paddle pickles its tensors.
private struct PaddleVocabulary: PickleVocabulary {
  func value(
    of call: Pickle.Call, _ name: String, in tree: PickleTree, depth: Int
  ) throws(CheckpointError) -> PickledValue? {
    let pickle = tree.pickle
    let arguments = pickle.elements(call.arguments) ?? []
    switch name {
    case "builtins.tuple", "__builtin__.tuple":
      // A tensor: tuple((name, array)).
      guard let pair = pickle.elements(arguments.first), pair.count == 2,
        pickle.text(pair[0]) != nil,
        case .tensor(let tensor) = try tree.meaning(of: pair[1], depth: depth + 1)
      else { return nil }
      return .tensor(tensor)
    case "builtins.eval", "__builtin__.eval":
      // A tensor of a static program: eval('data', {'data': array}), which is only looked at.
      guard arguments.count == 2, pickle.text(arguments[0]) == "data",
        let entries = pickle.entries(arguments[1]), entries.count == 1,
        pickle.text(entries[0].key) == "data"
      else { return nil }
      return try tree.meaning(of: entries[0].value, depth: depth + 1)
    default: return nil
    }
  }
}
