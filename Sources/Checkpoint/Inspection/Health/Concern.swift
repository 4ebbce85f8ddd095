/// Something about a checkpoint that people should know before they rely on it.
public struct Concern: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    /// An entry that cannot be read or decoded.
    case unreadable
    /// Weights that the family needs and the file lacks.
    case missing
    /// Weights of the family for which the configuration has no place.
    case unexpected
    /// Weights whose shape the configuration contradicts.
    case misshapen
    /// NaN or infinite numbers.
    case notFinite = "not-finite"
    /// Matrices of zeros, and scales of zeros.
    case zero
    /// Matrices that hold one number again and again.
    case constant
    /// Rows of an embedding table that say nothing: zeros, one number, no finite one, or next to no length.
    case deadRows = "dead-rows"
    /// Rows of an embedding table that are equal to the bit.
    case copiedRows = "copied-rows"
    /// A weight that is much larger or smaller than the same one in neighbouring layers.
    case outlier
    /// Finite numbers that float16 cannot hold.
    case float16Overflow = "float16-overflow"
    /// A vocabulary that does not fit the embedding table.
    case vocabulary
    /// Tensors of equal content that are stored more than once.
    case duplicate
    /// Layers that are copies of each other, or nearly.
    case copiedLayers = "copied-layers"
    /// Biases and norms that are as they were made.
    case fresh

    public var severity: Severity {
      switch self {
      case .duplicate, .copiedLayers, .fresh: .note
      default: .warning
      }
    }
  }

  public enum Severity: String, Sendable {
    /// Something is likely wrong.
    case warning
    /// Something that may well be meant.
    case note
  }

  /// A number that the sentence speaks of.
  public struct Measure: Sendable, Equatable {
    public var name: String
    public var value: Double

    public init(_ name: String, _ value: Double) {
      self.name = name
      self.value = value
    }
  }

  public var kind: Kind
  /// Names as the file has them; canonical ones of what is missing.
  public var tensors: [String]
  /// The first element in question, in the first of the tensors.
  public var index: [Int]?
  public var numbers: [Measure]
  /// All of it for people, in one sentence without a full stop.
  public var sentence: String

  public var severity: Severity { kind.severity }

  public init(
    _ kind: Kind, _ tensors: [String], index: [Int]? = nil, numbers: [Measure] = [],
    _ sentence: String
  ) {
    self.kind = kind
    self.tensors = tensors
    self.index = index
    self.numbers = numbers
    self.sentence = sentence
  }
}
