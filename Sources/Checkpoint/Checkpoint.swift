/// A checkpoint as stored: ordered groups of tensors plus what else the files say.
public struct Checkpoint: Sendable {
  /// The path that was opened.
  public var path: String
  /// Every file that it is read from; none of them may be overwritten.
  public var files: [String]
  /// The name of the format that read it.
  public var format: String
  /// Tensors in the file's order; one nameless group where a format has none.
  public var groups: [Group]
  /// Attributes of the file itself (Keras: of the root and of `model_weights`).
  public var attributes: [Attribute]
  /// Entries that the file lists but that are no tensors ckpt can hold, with the reason.
  public var unreadable: [Unreadable]
  /// What a reader wants people to know: a guess, an oddity, a preference.
  public var warnings: [String]

  public init(
    path: String = "", files: [String] = [], format: String = "", groups: [Group] = [],
    attributes: [Attribute] = [],
    unreadable: [Unreadable] = [], warnings: [String] = []
  ) {
    self.path = path
    self.files = files.isEmpty && !path.isEmpty ? [path] : files
    self.format = format
    self.groups = groups
    self.attributes = attributes
    self.unreadable = unreadable
    self.warnings = warnings
  }

  /// All tensors, in file order.
  public var tensors: [Tensor] { groups.flatMap(\.tensors) }

  /// Elements of all tensors.
  public var elementCount: Int { tensors.reduce(0) { $0 + $1.shape.count } }

  /// Bytes of all tensors.
  public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// The value of a text attribute of the file.
  public func text(_ name: String) -> String? {
    attributes.first { $0.name == name }?.text
  }

  /// Replaces or adds an attribute of the file.
  public mutating func set(_ attribute: Attribute) {
    if let index = attributes.firstIndex(where: { $0.name == attribute.name }) {
      attributes[index] = attribute
    } else {
      attributes.append(attribute)
    }
  }
}

/// A named run of tensors: a Keras layer, or everything in formats without groups.
public struct Group: Sendable {
  public var name: String
  public var attributes: [Attribute]
  public var tensors: [Tensor]

  public init(name: String, attributes: [Attribute] = [], tensors: [Tensor] = []) {
    self.name = name
    self.attributes = attributes
    self.tensors = tensors
  }
}

/// An entry that is listed in a file but cannot be held as a tensor.
public struct Unreadable: Sendable, Equatable {
  public var name: String
  public var reason: String

  public init(name: String, reason: String) {
    self.name = name
    self.reason = reason
  }
}
