/// What a checkpoint's tensors are for, and how many numbers and bytes each part takes.
public struct Composition: Sendable {
  public enum Role: String, Sendable, CaseIterable {
    case trainable
    /// Computed tables, running means, masks, counters: training does not change them, or not by gradients.
    case fixed
    case optimizer
    /// A second place of weights that are told elsewhere, such as an output layer tied to the embeddings.
    case copy
  }

  /// Such as the embeddings, the layers, a head, or a layer on top.
  public struct Part: Sendable {
    public var name: String
    public var role: Role
    /// Equal blocks that it is made of, such as the layers; 1 where it is no stack.
    public var blocks: Int
    public var tensors: Int
    /// Elements.
    public var parameters: Int
    public var bytes: Int
    /// Elements of all blocks, without what stands beside them, such as a stack's last norm.
    public var blockParameters = 0

    /// Elements of one block.
    public var parametersPerBlock: Int {
      blocks > 1 ? blockParameters / blocks : parameters
    }
  }

  /// In order of use; what belongs to no model comes last.
  public private(set) var parts: [Part] = []
  /// Of every tensor, by its stored name.
  public private(set) var roles: [String: Role] = [:]
  /// Bytes by type, the largest first.
  public private(set) var dtypes: [(dtype: DType, bytes: Int, tensors: Int)] = []

  /// Elements of a role.
  public func parameters(_ role: Role) -> Int {
    parts.reduce(0) { $0 + ($1.role == role ? $1.parameters : 0) }
  }

  public func bytes(_ role: Role) -> Int {
    parts.reduce(0) { $0 + ($1.role == role ? $1.bytes : 0) }
  }

  /// - Parameters:
  ///   - model: what the tensors mean, where that is known; it may lack weights.
  ///   - keras: the same where a graph of layers tells it.
  public init(_ checkpoint: Checkpoint, model: Model? = nil, keras: KerasModel? = nil) {
    var known: [String: (part: String, role: Role)] = [:]
    var blocks: [String: Set<String>] = [:]
    var inBlocks: [String: Int] = [:]
    let sizes = Dictionary(checkpoint.tensors.map { ($0.name, $0.shape.count) }) { first, _ in first
    }
    if let model {
      for weight in model.weights {
        let (part, block) = Composition.part(of: weight.name)
        if let block { blocks[part, default: []].insert(block) }
        let isFixed = weight.name == "embeddings.relative_position"
        for source in weight.sources where known[source] == nil {
          known[source] = (part, isFixed ? .fixed : .trainable)
          if block != nil { inBlocks[part, default: 0] += sizes[source] ?? 0 }
        }
      }
      for group in model.carried {
        for tensor in group.tensors { known[tensor.name] = ("carried", .trainable) }
      }
      for leftover in model.redundant {
        let isBuffer = Composition.isFixed(leftover.tensor)
        let isCopy = leftover.reason.hasPrefix("equals ")
        known[leftover.tensor.name] =
          isCopy && !isBuffer ? ("tied copies", .copy) : ("buffers", .fixed)
      }
      for leftover in model.left { known[leftover.tensor.name] = ("another model", .trainable) }
    }
    if let keras {
      let fixed = Set(keras.variables.filter { !$0.isTrainable }.map(\.name))
      for weight in keras.weights {
        let layer = keras.network.layerName(of: weight.name)
        for source in weight.sources where known[source] == nil {
          known[source] = (layer, fixed.contains(weight.name) ? .fixed : .trainable)
        }
      }
    }
    let outline = model == nil ? Outline(checkpoint) : nil
    let unnamed = Composition.unnamedState(checkpoint.tensors.map(\.name))
    var order: [String: Int] = [:]
    for tensor in checkpoint.tensors {
      var (part, role) =
        known[tensor.name] ?? (outline?.part(of: tensor.name) ?? "others", Role.trainable)
      if TrainingState.includes(tensor.name) {
        (part, role) = ("optimizer", .optimizer)
      } else if role == .trainable, unnamed.contains(tensor.name) || Composition.isFixed(tensor) {
        role = .fixed
      }
      roles[tensor.name] = role
      count(tensor, part, role, &order)
    }
    for index in parts.indices where parts[index].role == .trainable {
      parts[index].blocks = max(1, blocks[parts[index].name]?.count ?? 1)
      parts[index].blockParameters = inBlocks[parts[index].name] ?? parts[index].parameters
    }
    let ranks = Composition.order
    // An order of the file's own is kept; that of the alphabet puts layer 10 before layer 2.
    let names = checkpoint.tensors.map(\.name)
    let isAlphabetical = zip(names, names.dropFirst()).allSatisfy { $0 < $1 }
    parts = parts.enumerated().sorted { a, b in
      let (x, y) = (ranks[a.element.name] ?? 5, ranks[b.element.name] ?? 5)
      guard x == y, isAlphabetical else { return (x, a.offset) < (y, b.offset) }
      return Natural.less(a.element.name, b.element.name)
    }.map(\.element)
    dtypes.sort { $0.bytes > $1.bytes }
  }

  private mutating func count(
    _ tensor: Tensor, _ part: String, _ role: Role, _ order: inout [String: Int]
  ) {
    let key = "\(part)\0\(role)"
    let index = order[key] ?? parts.count
    if index == parts.count {
      order[key] = index
      parts.append(Part(name: part, role: role, blocks: 1, tensors: 0, parameters: 0, bytes: 0))
    }
    parts[index].tensors += 1
    parts[index].parameters += tensor.shape.count
    parts[index].bytes += tensor.byteCount
    let place = dtypes.firstIndex { $0.dtype == tensor.dtype } ?? dtypes.count
    if place == dtypes.count { dtypes.append((tensor.dtype, 0, 0)) }
    dtypes[place].bytes += tensor.byteCount
    dtypes[place].tensors += 1
  }

  private static let order: [String: Int] = [
    "embeddings": 0, "layers": 1, "encoder": 1, "decoder": 2, "final norm": 3, "pooler": 4,
    "carried": 6, "others": 6, "another model": 7, "tied copies": 8, "buffers": 9, "optimizer": 10,
  ]

  /// The part of a canonical weight, and the block inside it.
  private static func part(of name: String) -> (part: String, block: String?) {
    let parts = name.split(separator: ".").map(String.init)
    guard let first = parts.first else { return (name, nil) }
    switch first {
    case "layers", "groups":
      return ("layers", parts.prefix(first == "groups" ? 3 : 2).joined(separator: "."))
    case "encoder", "decoder":
      let isBlock = parts.count > 2 && (parts[1] == "layers" || parts[1] == "groups")
      return (
        first, isBlock ? parts.prefix(parts[1] == "groups" ? 4 : 3).joined(separator: ".") : nil
      )
    case "final_norm": return ("final norm", nil)
    case "head": return (parts.prefix(2).joined(separator: "."), nil)
    default: return (first, nil)
    }
  }

  /// Whether a tensor is none that gradients change, by its name and type.
  static func isFixed(_ tensor: Tensor) -> Bool {
    let name = tensor.name.lowercased()
    let base = name.hasSuffix(":0") ? String(name.dropLast(2)) : name
    let last = base.split { $0 == "/" || $0 == "." }.last.map(String.init) ?? base
    if buffers.contains(last) { return true }
    // A narrow integer may be a quantized weight.
    switch tensor.dtype {
    case .i64, .i32, .i16, .u64, .u32, .u16, .bool: return true
    default: return false
    }
  }

  /// What Keras 3 numbers and does not name, of what no gradient changes: metrics, statistics of data, and
  /// the running mean and variance, which are a batch normalization's last two variables.
  private static func unnamedState(_ names: [String]) -> Set<String> {
    var state: Set<String> = []
    var running: [Substring: [(number: Int, name: String)]] = [:]
    for name in names {
      let parts = name.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count > 2, parts[parts.count - 2] == "vars",
        let number = Int(parts[parts.count - 1])
      else { continue }
      // `batch_normalization`, `batch_normalization_3`.
      let layer = parts[parts.count - 3]
      let digits = layer.reversed().prefix { $0.isASCII && $0.isNumber }.count
      let trimmed = digits > 0 ? layer.dropLast(digits) : layer
      let kind = digits > 0 && trimmed.hasSuffix("_") ? trimmed.dropLast() : layer
      if parts[0] == "metrics" || kind == "normalization" {
        state.insert(name)
      } else if kind == "batch_normalization" {
        let prefix = name.dropLast(parts[parts.count - 1].count)
        running[prefix, default: []].append((number, name))
      }
    }
    for variables in running.values {
      state.formUnion(variables.sorted { $0.number < $1.number }.suffix(2).map(\.name))
    }
    return state
  }

  /// Last parts of the names that Keras and PyTorch give to running means, masks and tables.
  private static let buffers: Set<String> = [
    "moving_mean", "moving_variance", "running_mean", "running_var", "num_batches_tracked",
    "position_ids", "token_type_ids", "inv_freq", "masked_bias", "seed_generator_state",
  ]
}

/// The parts of a checkpoint of no known family: Keras' layers, or the first parts of names.
private struct Outline {
  private var parts: [String: String] = [:]

  init(_ checkpoint: Checkpoint) {
    let named = checkpoint.groups.filter { !$0.name.isEmpty && !$0.tensors.isEmpty }
    if named.count > 1 {
      for group in checkpoint.groups {
        for tensor in group.tensors { parts[tensor.name] = group.name }
      }
      return
    }
    let names = checkpoint.tensors.map(\.name).filter { !TrainingState.includes($0) }
    let split = names.map { $0.split { $0 == "." || $0 == "/" }.map(String.init) }
    // What all begin with tells nothing.
    var common = split.first.map { $0.count - 1 } ?? 0
    for parts in split {
      let shared = zip(parts, split[0]).prefix { $0 == $1 }.count
      common = min(common, shared, max(0, parts.count - 1))
    }
    for (name, split) in zip(names, split) {
      guard split.indices.contains(common) else { continue }
      // A number alone tells nothing.
      let isNumber = common > 0 && split[common].allSatisfy { $0.isASCII && $0.isNumber }
      parts[name] = (isNumber ? split[common - 1] + "." : "") + split[common]
    }
  }

  func part(of name: String) -> String { parts[name] ?? name }
}
