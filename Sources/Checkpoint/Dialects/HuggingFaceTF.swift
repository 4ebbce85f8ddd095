/// transformers' TensorFlow classes: `tf_model.h5`, one HDF5 group per Keras layer, names such as
/// `tf_bert_model/bert/encoder/layer_._0/attention/self/query/kernel:0`.
///
/// The names are PyTorch's in another script, with the class before them: `/` for `.`, `layer_._0` for
/// `layer.0`, `mlm___cls` for `cls`, kernel, gamma and embeddings for weight, beta for bias. Kernels are
/// `[in, out]`. Source: files of transformers 4.38.2; the classes are gone from transformers 5.
public struct HuggingFaceTF: Dialect {
  public init() {}

  private let torch = HuggingFace(storage: .tensorFlow)

  public var name: String { "huggingface-tf" }
  public var aliases: [String] { ["hf-tf", "tf_model"] }
  public var summary: String {
    "transformers' TensorFlow classes: names such as bert/encoder/layer_._0/output/dense/kernel:0"
  }
  public var families: [String] { torch.families }
  public var format: String { "keras-h5" }
  public var fileName: String { "tf_model.h5" }
  public var writes: Bool { false }

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let names = Names(checkpoint)
    guard !names.plain.isEmpty else { return nil }
    return torch.recognise(names.checkpoint, configuration: configuration)
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    let names = Names(checkpoint)
    var binding = try torch.bind(names.checkpoint, family: family)
    names.restore(&binding)
    // A layer that uses another's weights stores them again.
    for (copy, original) in names.repeated {
      guard try copy.hasBytes(of: original) else {
        throw CheckpointError(
          .mismatch, .tensor(copy.name), "differs from \(original.name), which is the same weight")
      }
      binding.redundant.append(Leftover(copy, "equals \(original.name)"))
    }
    return binding
  }

  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    let names = Names(checkpoint)
    binding.carried = binding.carried.map { names.translated($0) }
    try torch.bindTops(
      &binding, of: names.checkpoint, configuration: configuration, said: said)
    names.restore(&binding)
  }

  public func translated(_ configuration: JSON, family: String) -> JSON {
    torch.translated(configuration, family: family)
  }

  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    torch.defaults(binding, family: family, configuration: configuration)
  }

  public func activation(_ name: String) -> Activation? { torch.activation(name) }

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    torch.computed(architecture)
  }

  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    throw CheckpointError(
      .usage, Place(), "tf_model.h5 is only read: transformers 5 has no TensorFlow classes",
      hint: "use --to huggingface; TensorFlow classes of transformers 4 load it with from_pt=True")
  }
}

/// A file's tensors under PyTorch's names, and back.
private struct Names {
  /// Each weight once, under PyTorch's name.
  private(set) var checkpoint: Checkpoint
  /// PyTorch's name by stored name.
  private(set) var plain: [String: String] = [:]
  private(set) var repeated: [(copy: Tensor, original: Tensor)] = []
  private var stored: [String: String] = [:]

  init(_ source: Checkpoint) {
    checkpoint = source
    var tensors: [Tensor] = []
    var originals: [String: Tensor] = [:]
    for group in source.groups {
      for tensor in group.tensors {
        guard let name = Names.plain(tensor.name.replacingPrefix(group.name + "/", with: "")) else {
          tensors.append(tensor)
          continue
        }
        plain[tensor.name] = name
        if let original = originals[name] {
          repeated.append((tensor, original))
        } else {
          originals[name] = tensor
          stored[name] = tensor.name
          tensors.append(tensor.renamed(name))
        }
      }
    }
    checkpoint.groups = [Group(name: "", tensors: tensors)]
  }

  /// `tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0` → `bert.encoder.layer.0.output.dense.weight`.
  private static func plain(_ name: String) -> String? {
    var parts = name.split(separator: "/").map(String.init)
    guard parts.count > 1, let last = parts.last,
      let leaf = leaves[last.split(separator: ":").first.map(String.init) ?? last]
    else { return nil }
    parts.removeFirst()  // the class
    parts[parts.count - 1] = leaf
    return parts.map { part in
      // What TensorFlow's scopes cannot spell: a list's index, and a module under another name.
      let module = part.firstRange(of: "___").map { String(part[$0.upperBound...]) } ?? part
      return module.replacing("_._", with: ".")
    }.joined(separator: ".")
  }

  private static let leaves = [
    "kernel": "weight", "weight": "weight", "embeddings": "weight", "gamma": "weight",
    "bias": "bias", "beta": "bias",
  ]

  func translated(_ group: Group) -> Group {
    var group = group
    group.tensors = group.tensors.map { $0.renamed(plain[$0.name] ?? $0.name) }
    return group
  }

  /// Names tensors as the file does.
  func restore(_ binding: inout Binding) {
    for index in binding.weights.indices {
      binding.weights[index].sources = binding.weights[index].sources.map { stored[$0] ?? $0 }
    }
    binding.carried = binding.carried.map { group in
      var group = group
      group.tensors = group.tensors.map { $0.renamed(stored[$0.name] ?? $0.name) }
      return group
    }
    binding.redundant = binding.redundant.map { leftover in
      Leftover(
        leftover.tensor.renamed(stored[leftover.tensor.name] ?? leftover.tensor.name),
        leftover.reason)
    }
  }
}
