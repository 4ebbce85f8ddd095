public import Checkpoint

/// A pure function on models or on checkpoints that never opens a file.
///
/// What it changes is computed when the result is read; only what it must know beforehand (how far layers
/// are apart) is read at once.
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
  /// The least that it promises of the outputs; a step's ``ModelChange/correspondence`` may say more.
  var contract: Correspondence.Contract { get }
  /// What a model must be, for people; empty where any will do.
  var precondition: String { get }
  /// The step that undoes it, for people; empty where none does.
  var inverse: String { get }
  /// What stands behind `name=`.
  var value: TransformValue { get }
  /// What may follow as `:key=value`.
  var options: [TransformOption] { get }
  /// Whether it needs ``Model/vocabulary``, where there is one.
  var usesVocabulary: Bool { get }
}

extension Transform {
  public var precondition: String { "" }
  public var inverse: String { "" }
  public var value: TransformValue { .none }
  public var options: [TransformOption] { [] }
  public var usesVocabulary: Bool { false }

  /// How a step is written, for people: `widen-key-size=N[:fresh=zeros|half]`.
  public var usage: String {
    let head =
      switch value {
      case .none: name
      case .optional(let what): "\(name)[=\(what)]"
      case .required(let what), .text(let what), .file(let what): "\(name)=\(what)"
      }
    return head + options.map { "[:\($0.name)=\($0.values)]" }.joined()
  }
}

/// What a transform takes behind `name=`; each says what it is, for people.
public enum TransformValue: Sendable, Equatable {
  case none
  case optional(String)
  case required(String)
  /// All that follows, colons included.
  case text(String)
  /// The path of a file, whose content the transform gets.
  case file(String)
}

/// A value that a transform takes by its name.
public struct TransformOption: Sendable, Equatable {
  public var name: String
  /// What it may be, for people: `zeros|half`, `N`.
  public var values: String
  /// What it does, and what holds without it.
  public var summary: String

  public init(_ name: String, _ values: String, _ summary: String) {
    self.name = name
    self.values = values
    self.summary = summary
  }
}

/// A transform of what tensors mean.
public protocol ModelTransform: Transform {
  /// The transformed model and how it relates to `model`.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` when a precondition does not hold, `usage`
  ///   when the arguments are wrong.
  func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange
}

/// A model and how it came from another.
public struct ModelChange: Sendable {
  /// Weights that were computed are not rounded yet (``Weight/rounded()``).
  public var model: Model
  public var correspondence: Correspondence
  /// What was measured on the way.
  public var findings: [Finding]
  /// What people should know of the result.
  public var remarks: [String]

  public init(
    _ model: Model, _ correspondence: Correspondence = Correspondence(), findings: [Finding] = [],
    remarks: [String] = []
  ) {
    self.model = model
    self.correspondence = correspondence
    self.findings = findings
    self.remarks = remarks
  }
}

/// A number that a transform measured, for people and programs.
public struct Finding: Sendable, Equatable {
  /// The transform's name.
  public var transform: String
  /// What it is about: `layers.3`, `layers.0.attention, head 2`.
  public var subject: String
  /// What was measured: `distance from the mean`.
  public var quantity: String
  public var value: Double

  public init(_ transform: String, _ subject: String, _ quantity: String, _ value: Double) {
    self.transform = transform
    self.subject = subject
    self.quantity = quantity
    self.value = value
  }
}

/// A transform of tensors as they are stored, which needs to know no meaning.
public protocol CheckpointTransform: Transform {
  /// The transformed checkpoint and what became of the tensors.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` when the arguments are wrong or do nothing.
  func apply(
    to checkpoint: Checkpoint, _ arguments: TransformArguments
  ) throws(CheckpointError) -> CheckpointChange

  /// Which of several models in a file remains: the name that its configuration may have.
  func part(_ arguments: TransformArguments) -> String?
}

extension CheckpointTransform {
  public func part(_ arguments: TransformArguments) -> String? { nil }
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
