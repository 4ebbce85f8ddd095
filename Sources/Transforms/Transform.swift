public import Checkpoint

/// A pure function on models: it never opens a file and reads payload only when its result is read.
///
/// A new transform is one file with one conforming type and one line in ``TransformRegistry``. Its
/// documentation states the algebra, the preconditions and where it comes from; its test is its
/// definition: outputs before and after agree as ``contract`` says.
public protocol Transform: Sendable {
  /// The name on the command line.
  var name: String { get }
  /// One line for people.
  var summary: String { get }
  /// What it promises of the outputs.
  var contract: Correspondence.Contract { get }
  /// What `--apply name=VALUE:key=value` takes, for people; empty without arguments.
  var usage: String { get }

  /// The transformed model and how it relates to `model`.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` when a precondition does not hold, `usage`
  ///   when the arguments are wrong.
  func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> (Model, Correspondence)
}

extension Transform {
  public var usage: String { "" }
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
    var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    let head = parts.removeFirst().split(separator: "=", maxSplits: 1).map(String.init)
    transform = try TransformRegistry.named(head.first ?? "")
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
  public static let all: [any Transform] = [Untie()]

  /// The transform of that name.
  public static func named(_ name: String) throws(CheckpointError) -> any Transform {
    if let transform = all.first(where: { $0.name == name }) { return transform }
    throw CheckpointError(
      .usage, Place(), "there is no transform \"\(name)\"",
      hint: "known transforms: \(all.map(\.name).joined(separator: ", "))")
  }

  /// Applies steps one after the other.
  public static func apply(
    _ steps: [TransformStep], to model: Model
  ) throws(CheckpointError) -> (Model, Correspondence) {
    var model = model
    var whole = Correspondence()
    for step in steps {
      let (next, relation) = try step.transform.apply(to: model, step.arguments)
      model = try next.checked()
      whole = whole.followed(by: relation)
    }
    return (model, whole)
  }
}
