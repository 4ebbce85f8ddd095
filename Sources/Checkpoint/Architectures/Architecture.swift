/// A family's name, configuration and heads: enough to know every weight and its shape.
public struct FamilyArchitecture: Sendable, Equatable {
  /// The family's name in ``ArchitectureRegistry``.
  public var family: String
  public var configuration: Configuration
  /// The heads whose weights are there, in ``Head``'s order.
  public var heads: Set<Head>
  /// Layers that a user or a task has put on top, in order of use.
  public var tops: [TopLayer]

  public init(
    family: String, configuration: Configuration, heads: Set<Head>, tops: [TopLayer] = []
  ) {
    self.family = family
    self.configuration = configuration
    self.heads = heads
    self.tops = tops
  }

  /// How the family's blocks are put together; a BERT's where there is no such family.
  public var structure: Structure {
    (try? ArchitectureRegistry.named(family).structure) ?? Structure()
  }
}

/// A part on top of the encoder that a file may or may not hold.
public enum Head: String, Sendable, CaseIterable, Comparable {
  /// Dense over the first token, with an activation.
  case pooler
  /// Next sentence prediction over the pooler.
  case nsp
  /// Sentence order prediction over the pooler (ALBERT).
  case sop
  /// Masked language model; its decoder is the embedding table.
  case mlm
  /// Causal language model; its decoder is the embedding table or a table of its own (T5 1.1).
  case lm
  /// Replaced-token detection (ELECTRA).
  case discriminator

  public static func < (a: Head, b: Head) -> Bool {
    (allCases.firstIndex(of: a) ?? 0) < (allCases.firstIndex(of: b) ?? 0)
  }
}

/// A canonical weight that an architecture must have.
public struct WeightSpec: Sendable, Equatable {
  /// The canonical name, such as `layers.3.attention.query.kernel`.
  public var name: String
  /// Kernels are `[in, out]`, embeddings `[rows, width]`.
  public var shape: Shape
  /// The head that it belongs to, or `nil` for the encoder.
  public var head: Head?

  public init(_ name: String, _ shape: Shape, head: Head? = nil) {
    self.name = name
    self.shape = shape
    self.head = head
  }
}
