public import Checkpoint

/// A pure function on models or on checkpoints: it never opens a file and reads payload only when its
/// result is read.
///
/// A new transform is one file with one type that conforms to ``ModelTransform`` or
/// ``CheckpointTransform`` and one line in ``TransformRegistry``. Its documentation states the algebra,
/// the preconditions and where it comes from; its test is its definition: outputs before and after
/// agree as ``contract`` says.
public protocol Transform: Sendable {
  /// The name on the command line.
  var name: String { get }
  /// One line for people.
  var summary: String { get }
  /// What it promises of the outputs.
  var contract: Correspondence.Contract { get }
  /// What `--apply name=VALUE:key=value` takes, for people; empty without arguments.
  var usage: String { get }
  /// Whether all that follows `name=` is one value, colons included.
  var takesText: Bool { get }
}

extension Transform {
  public var usage: String { "" }
  public var takesText: Bool { false }
}

/// A transform of what tensors mean.
public protocol ModelTransform: Transform {
  /// The transformed model and how it relates to `model`.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` when a precondition does not hold, `usage`
  ///   when the arguments are wrong.
  func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> (Model, Correspondence)
}

/// A transform of tensors as they are stored, which needs to know no meaning.
public protocol CheckpointTransform: Transform {
  /// The transformed checkpoint and what became of the tensors.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` when the arguments are wrong or do nothing.
  func apply(
    to checkpoint: Checkpoint, _ arguments: TransformArguments
  ) throws(CheckpointError) -> CheckpointChange
}

/// A checkpoint and how it came from another.
public struct CheckpointChange: Sendable {
  public var checkpoint: Checkpoint
  /// Tensors that were left out on purpose, and why.
  public var left: [Leftover]
  /// The earlier names of tensors by those that they have now.
  public var renamed: [String: String]

  public init(
    _ checkpoint: Checkpoint, left: [Leftover] = [], renamed: [String: String] = [:]
  ) {
    self.checkpoint = checkpoint
    self.left = left
    self.renamed = renamed
  }

  /// This change followed by another.
  func followed(by next: CheckpointChange) -> CheckpointChange {
    var names = renamed
    for (new, old) in next.renamed { names[new] = renamed[old] ?? old }
    return CheckpointChange(next.checkpoint, left: left + next.left, renamed: names)
  }
}

/// What stands behind a transform's name: `name=VALUE:key=value:…`.
public struct TransformArguments: Sendable, Equatable {
  public var value: String?
  public var options: [String: String]

  public init(value: String? = nil, options: [String: String] = [:]) {
    self.value = value
    self.options = options
  }
}

/// A transform with its arguments, as a user asks for it.
public struct TransformStep: Sendable {
  public let transform: any Transform
  public let arguments: TransformArguments

  /// Parses `name`, `name=VALUE` or `name=VALUE:key=value:key=value`.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage`.
  public init(parsing text: String) throws(CheckpointError) {
    let name = text.prefix { $0 != "=" && $0 != ":" }
    transform = try TransformRegistry.named(String(name))
    var parts =
      transform.takesText
      ? [text] : text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    let head = parts.removeFirst().split(separator: "=", maxSplits: 1).map(String.init)
    var options: [String: String] = [:]
    for part in parts {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2, options.updateValue(pair[1], forKey: pair[0]) == nil else {
        throw CheckpointError(
          .usage, Place(member: "--apply \(text)"), "\"\(part)\" is not key=value, or stands twice")
      }
    }
    arguments = TransformArguments(value: head.count > 1 ? head[1] : nil, options: options)
    if transform.usage.isEmpty, arguments != TransformArguments() {
      throw CheckpointError(
        .usage, Place(member: "--apply \(text)"), "\(transform.name) takes no arguments")
    }
  }
}

/// The list of transforms.
public enum TransformRegistry {
  public static let all: [any Transform] = [
    Untie(), FoldDecoderScale(), FoldDecoderScale(inverse: true), StripOptimizer(), Rename(),
  ]

  /// The transform of that name.
  public static func named(_ name: String) throws(CheckpointError) -> any Transform {
    if let transform = all.first(where: { $0.name == name }) { return transform }
    throw CheckpointError(
      .usage, Place(), "there is no transform \"\(name)\"",
      hint: "known transforms: \(all.map(\.name).joined(separator: ", "))")
  }

  /// Applies the steps that need a model, one after the other.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` when a step on stored tensors follows one of them.
  public static func apply(
    _ steps: [TransformStep], to model: Model
  ) throws(CheckpointError) -> (Model, Correspondence) {
    var model = model
    var whole = Correspondence()
    for step in steps {
      guard let transform = step.transform as? any ModelTransform else {
        throw CheckpointError(
          .usage, Place(member: "--apply \(step.transform.name)"),
          "works on tensors as they are stored, so it comes before steps on the model")
      }
      let (next, relation) = try transform.apply(to: model, step.arguments)
      model = try next.checked()
      whole = whole.followed(by: relation)
    }
    return (model, whole)
  }

  /// Applies the steps on stored tensors that come first.
  ///
  /// - Returns: what they made of the checkpoint, and the steps that remain.
  public static func apply(
    _ steps: [TransformStep], to checkpoint: Checkpoint
  ) throws(CheckpointError) -> (CheckpointChange, rest: [TransformStep]) {
    var change = CheckpointChange(checkpoint)
    var rest = steps[...]
    while let step = rest.first, let transform = step.transform as? any CheckpointTransform {
      change = change.followed(by: try transform.apply(to: change.checkpoint, step.arguments))
      rest.removeFirst()
    }
    return (change, Array(rest))
  }
}
