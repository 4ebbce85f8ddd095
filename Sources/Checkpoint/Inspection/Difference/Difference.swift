/// How two checkpoints differ: which tensors belong together, how far apart each pair is, and what
/// the whole looks like.
public struct CheckpointDifference: Sendable {
  /// The two checkpoints, in the order in which they were given.
  public var first: Side
  public var second: Side
  /// How tensors were matched.
  public var matching: Matching
  public var tolerance: Tolerance
  /// What the two models say differently of themselves; none where they are matched by name.
  public var settings: [Setting]
  /// Tensors that belong together, in the first checkpoint's order.
  public var pairs: [Pair]
  /// Tensors that have no partner.
  public var onlyInFirst: [Entry]
  public var onlyInSecond: [Entry]
  /// Tensors that need no partner, because their content is told elsewhere in their own file.
  public var redundantInFirst: [Entry]
  public var redundantInSecond: [Entry]
  /// The changes by part of the model, such as `layers.3`, in the first checkpoint's order.
  public var parts: [Part]
  /// What the numbers amount to.
  public var verdict: Verdict
  public var evidence: Evidence
  /// Whether nothing differs beyond the tolerance, no tensor is without partner, and the two state the same
  /// of themselves.
  public var isEqual: Bool
  /// What people should know: what was not compared, what was taken for granted.
  public var notes: [String]

  /// One of the two checkpoints.
  public struct Side: Sendable, Equatable {
    public var path: String
    public var format: String
    /// `nil` where no dialect knows the names.
    public var dialect: String?
    public var family: String?
    /// Tensors that were compared, as they are stored, and their elements and bytes.
    public var tensors: Int
    public var parameters: Int
    public var bytes: Int
    /// Element types, the one with the most bytes first.
    public var dtypes: [DType]
  }

  /// By what tensors were matched.
  public enum Matching: String, Sendable, CaseIterable {
    /// By canonical names: what the weights are for, whatever they are called.
    case meaning
    /// By stored names and aliases.
    case name
  }

  /// Two numbers a and b pass when |a − b| ≤ absolute + relative · |b|, as in `numpy.isclose`.
  public struct Tolerance: Sendable, Equatable {
    public var absolute: Double
    public var relative: Double

    public init(absolute: Double = 0, relative: Double = 0) {
      self.absolute = absolute
      self.relative = relative
    }

    public static let exact = Tolerance()
    public var isExact: Bool { absolute == 0 && relative == 0 }
  }

  /// A configuration value or list of heads that the two state differently.
  public struct Setting: Sendable, Equatable {
    /// A configuration key, `family`, `applied layers` or `heads`.
    public var key: String
    public var first: String
    public var second: String
    /// Whether at least one of the two leaves it open, and this is only what its framework would use.
    public var isAssumed: Bool
  }

  /// A tensor as it is stored.
  public struct Entry: Sendable, Equatable {
    /// The stored name.
    public var name: String
    /// The canonical name, where the meaning is known.
    public var canonical: String?
    public var dtype: DType
    /// As stored.
    public var shape: Shape
    /// Why it is apart: `optimizer state`, `equals …`.
    public var reason: String?
    /// The tensor of the other checkpoint that has the same content though it has a partner already.
    public var copyOf: String?

    public init(
      name: String, canonical: String? = nil, dtype: DType, shape: Shape, reason: String? = nil,
      copyOf: String? = nil
    ) {
      self.name = name
      self.canonical = canonical
      self.dtype = dtype
      self.shape = shape
      self.reason = reason
      self.copyOf = copyOf
    }
  }

  /// Two tensors that belong together.
  public struct Pair: Sendable {
    public var first: Entry
    public var second: Entry
    /// What brought them together.
    public var ground: Ground
    /// How the second lies against the first.
    public var layout: Layout
    /// The shape in which they were compared, that of ``TensorDifference/Place/index``; where they were not,
    /// the first's in canonical layout.
    public var shape: Shape
    /// The second's in the same layout.
    public var shapeOfSecond: Shape
    /// The numbers; `nil` where shapes do not allow it.
    public var difference: TensorDifference?
    /// Rows that both have, where the shapes differ along the first axis only.
    public var rows: Rows?

    /// The canonical name, or the first's stored name.
    public var name: String { first.canonical ?? first.name }
    /// Whether the stored names are the same.
    public var sameName: Bool { first.name == second.name }

    /// How the pair stands.
    public var state: State {
      guard let difference else { return .otherShape }
      if difference.isIdentical { return first.dtype == second.dtype ? .identical : .equal }
      if difference.differing == 0 { return .equal }
      if difference.rounded != nil { return .rounded }
      return difference.beyond == 0 ? .close : .changed
    }
  }

  /// How a pair stands, from best to worst.
  public enum State: String, Sendable, CaseIterable {
    /// Every bit.
    case identical
    /// Every value: in another type, or but for the sign of zeros.
    case equal
    /// One is the other rounded to a narrower type.
    case rounded
    /// Within the tolerance.
    case close
    /// Beyond it.
    case changed
    /// The shapes differ.
    case otherShape = "shape"
  }

  /// What brought two tensors together.
  public enum Ground: String, Sendable, CaseIterable {
    /// The same canonical name.
    case meaning
    /// The same stored name.
    case name
    /// A name of one is an alias of the other.
    case alias
    /// The same content, under another name: a guess that every element confirms.
    case content
    /// Of the same shape and nearest of all: a guess.
    case nearest
  }

  /// How the stored second tensor lies against the stored first one.
  public struct Layout: Sendable, Equatable {
    /// The second is the first with its axes turned round or in another order.
    public var isTransposed = false
    /// The second has the same elements in another shape.
    public var isReshaped = false
    /// The piece of a larger tensor that is one side of the pair.
    public var piece: Piece?

    public static let same = Layout()
  }

  /// A part of a tensor in which others are put together.
  public struct Piece: Sendable, Equatable {
    /// Whether the first checkpoint has the larger one.
    public var isOfFirst: Bool
    /// The axis of the stored tensor along which they lie, and the first index there.
    public var axis: Int
    public var start: Int
    /// Indices in a row.
    public var length: Int
    /// How often there are as many, each `step` indices after the other: once for plain stacking, as often
    /// as there are heads where these are interleaved.
    public var count: Int
    public var step: Int
  }

  /// Rows of two tables of different lengths.
  public struct Rows: Sendable, Equatable {
    public var first: Int
    public var second: Int
    /// Rows of the shorter one that are rows of the longer one, to the bit.
    public var kept: Int
    /// Whether they are in the same order.
    public var isOrdered: Bool
    /// Whether they are the longer one's first rows.
    public var isPrefix: Bool

    /// Whether every row of the shorter table is one of the longer.
    public var isSubset: Bool { kept == min(first, second) }
  }

  /// The pairs of one part of the model together.
  public struct Part: Sendable {
    public var name: String
    /// Pairs that were compared, and those of them with a changed value.
    public var tensors: Int
    public var changed: Int
    /// ‖Δ‖ / ‖A‖ over all of them, of finite values.
    public var relative: Double
    /// Of all as one vector.
    public var cosine: Double
    public var largest: Double
  }
}

extension CheckpointDifference {
  /// What two checkpoints are to each other.
  public enum Verdict: String, Sendable, CaseIterable {
    /// The same tensors with the same names, to the bit.
    case identical
    /// The same weights under other names, in other layouts or types.
    case sameWeights = "same-weights"
    /// The same weights, and a configuration that says otherwise.
    case otherSettings = "other-settings"
    /// Differences within the tolerance.
    case withinTolerance = "within-tolerance"
    /// The same weights, rounded to a narrower type.
    case rounded
    /// What both have is the same, and one of them, or each, has more.
    case subset
    /// Tables have other rows, those that both have are the same, and so is all else.
    case resized
    /// Few values differ.
    case edited
    /// Trained on from the other: many values differ, and weights still point the same way.
    case fineTuned = "fine-tuned"
    /// The same tensors with other weights: trained apart.
    case unrelated
    /// No tensors in common.
    case disjoint
    /// None of these.
    case different
  }

  /// The numbers from which the verdict was drawn.
  public struct Evidence: Sendable, Equatable {
    /// Numbers in all pairs that were compared, and those that differ and that are beyond the tolerance.
    public var numbers = 0
    public var differing = 0
    public var beyond = 0
    /// Pairs of matrices (two axes or more) that were compared, those that point the same way (cosine at
    /// least ``nearCosine``), and those that have nothing to do with each other (at most ``farCosine``).
    public var matrices = 0
    public var near = 0
    public var far = 0
    /// The median of ‖Δ‖ / ‖A‖ and of the cosine over matrices that changed.
    public var typicalChange: Double?
    public var typicalCosine: Double?
    /// The pair whose matrix changed most, relative to its norm, of those that are near.
    public var mostChanged: String?

    public static let nearCosine = 0.9
    public static let farCosine = 0.3
  }
}
