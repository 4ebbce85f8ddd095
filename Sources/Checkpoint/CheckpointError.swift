/// What went wrong with a checkpoint: a kind, the place, the reason and the next step.
///
/// Data and text are apart: a test compares ``kind`` and ``place``; the command renders
/// ``description``.
public struct CheckpointError: Error, Sendable, Equatable {
  /// The ways in which work on a checkpoint fails; the command maps them to exit codes.
  public enum Kind: Sendable, Equatable {
    /// The path does not exist or may not be read.
    case cannotRead
    /// No registered format, dialect or family recognises the input.
    case notRecognised
    /// The bytes contradict the format's rules.
    case damaged
    /// The file is sound but holds something that ckpt does not support.
    case unsupported
    /// Weights, configuration and family contradict each other.
    case mismatch
    /// Something would be lost, and nobody said that it may be.
    case wouldDrop
    /// The request itself is wrong: output equals input, output exists, unknown name.
    case usage
    /// The output cannot be written.
    case cannotWrite
  }

  public var kind: Kind
  public var place: Place
  /// What was found, against what was expected.
  public var reason: String
  /// What to do next.
  public var hint: String?

  public init(_ kind: Kind, _ place: Place, _ reason: String, hint: String? = nil) {
    self.kind = kind
    self.place = place
    self.reason = reason
    self.hint = hint
  }

  /// The same error seen from further out: parts of the place that are still unknown are filled.
  public func at(_ outer: Place) -> CheckpointError {
    var copy = self
    copy.place = Place(
      file: place.file ?? outer.file, member: place.member ?? outer.member,
      tensor: place.tensor ?? outer.tensor, offset: place.offset ?? outer.offset)
    return copy
  }

  public static func == (a: CheckpointError, b: CheckpointError) -> Bool {
    a.kind == b.kind && a.place == b.place
  }
}

/// Where in a checkpoint something is: file → member → tensor → byte.
public struct Place: Sendable, Equatable {
  public var file: String?
  /// A dataset, a zip member or a layer group inside the file.
  public var member: String?
  public var tensor: String?
  /// Bytes from the start of the file.
  public var offset: Int?

  public init(
    file: String? = nil, member: String? = nil, tensor: String? = nil, offset: Int? = nil
  ) {
    self.file = file
    self.member = member
    self.tensor = tensor
    self.offset = offset
  }

  public static func file(_ path: String) -> Place { Place(file: path) }
  public static func tensor(_ name: String) -> Place { Place(tensor: name) }
}

extension CheckpointError: CustomStringConvertible {
  public var description: String {
    let place = place.description
    return (place.isEmpty ? reason : "\(place): \(reason)") + (hint.map { "\n  \($0)" } ?? "")
  }
}

extension Place: CustomStringConvertible {
  public var description: String {
    var parts: [String] = []
    if let file { parts.append(file) }
    if let member { parts.append(member) }
    if let tensor { parts.append("tensor \(tensor)") }
    if let offset { parts.append("byte \(offset)") }
    return parts.joined(separator: ", ")
  }
}
