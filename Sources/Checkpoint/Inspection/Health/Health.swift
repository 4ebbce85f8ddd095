/// What a look at every tensor of a checkpoint finds: what is shared, alike, or wrong.
///
/// Thresholds are set so that ordinary models, fresh or trained, give no warning.
public struct Health: Sendable {
  /// Warnings first, then notes, each in the order of ``Concern/Kind``.
  public internal(set) var concerns: [Concern] = []
  /// Names that stand for the same weights.
  public internal(set) var ties: [Tie] = []
  /// Stored blocks that are copies of each other, or nearly.
  public internal(set) var copies: [BlockCopies] = []
  /// Of all numbers; `nil` where they were not read.
  public internal(set) var numbers: Numbers?
  /// By the names of tensors whose numbers were read.
  public internal(set) var statistics: [String: Statistics] = [:]
  /// Rows of the embedding tables; empty where numbers were not read.
  public internal(set) var tables: [EmbeddingRows] = []

  public struct Tie: Sendable, Equatable {
    public enum Kind: String, Sendable {
      /// One tensor under several names.
      case alias
      /// Several tensors over the same bytes of a file.
      case storage
      /// Stored again, and equal.
      case copy
    }

    public var kind: Kind
    /// The first one holds the weights.
    public var names: [String]
  }

  public struct BlockCopies: Sendable, Equatable {
    /// `layers.3`, `layers.4`.
    public var blocks: [String]
    /// Of their matrices as one vector, the least between neighbours of the list.
    public var cosine: Double
    /// Whether all their tensors are equal to the bit.
    public var isExact: Bool
  }

  /// Sums over the checkpoint.
  public struct Numbers: Sendable {
    public var count = 0
    public var nan = 0
    public var infinite = 0
    public var zeros = 0
    /// The largest magnitude of a finite weight, and where it is.
    public var largest = 0.0
    public var largestTensor: String?
    /// Weights that are wider than float16, and of them what rounding to it would make infinite: exact.
    public var wide = 0
    public var overflowing = 0
    /// Of them what would become zero, and what would lose precision: from samples, as shares of ``wide``.
    public var vanishing = 0.0
    public var subnormal = 0.0
    /// Whether the samples held every number.
    public var isExact = true
  }

  /// A tensor with what is known of it.
  struct Entry: Sendable {
    var tensor: Tensor
    var role: Composition.Role
    /// The weights that it holds.
    var canonical: [String]
    var statistics: Statistics?

    /// Whether it is a weight that training makes.
    var isWeight: Bool { role == .trainable }
    /// Whether more than one axis counts: `(1, 8, 1)` is a vector.
    var isMatrix: Bool { tensor.shape.extents.count { $0 > 1 } > 1 }
  }

  /// Looks at names and, unless told otherwise, once at every number.
  ///
  /// What cannot be read becomes a concern.
  ///
  /// - Parameters:
  ///   - model: what the tensors mean, where that is known; it may lack weights.
  ///   - isComplete: whether its configuration is known, so that weights may be missing or left over.
  ///   - vocabulary: whose tokens are the rows of the token table.
  ///   - progress: called from any thread with the bytes that were read since it was last called.
  public init(
    _ checkpoint: Checkpoint, _ composition: Composition, model: Model? = nil,
    isComplete: Bool = true, vocabulary: Vocabulary? = nil, readingNumbers: Bool = true,
    progress: (@Sendable (Int) -> Void)? = nil
  ) {
    addUnreadable(checkpoint.unreadable)
    if let model, isComplete { checkWeights(of: model) }
    let canonical = model?.canonicalNames ?? [:]
    var entries = checkpoint.tensors.map {
      Entry(
        tensor: $0, role: composition.roles[$0.name] ?? .trainable,
        canonical: canonical[$0.name] ?? [], statistics: nil)
    }
    findTies(entries, model)
    checkVocabulary(vocabulary, model)
    if readingNumbers {
      measure(&entries, progress)
      statistics = Dictionary(
        entries.compactMap { entry in entry.statistics.map { (entry.tensor.name, $0) } }
      ) { first, _ in first }
      checkNumbers(entries)
      checkConstants(entries)
      checkRows(entries, model, vocabulary)
      let stacks = BlockStack.all(in: entries, model)
      checkOutliers(stacks)
      findCopies(stacks)
      findDuplicates(entries, stacks)
    }
    let ranks = Dictionary(
      uniqueKeysWithValues: Concern.Kind.allCases.enumerated().map { ($1, $0) })
    concerns = concerns.enumerated().sorted { a, b in
      (ranks[a.element.kind] ?? 0, a.offset) < (ranks[b.element.kind] ?? 0, b.offset)
    }.map(\.element)
  }

  /// Fills in statistics; what cannot be read is told and left without.
  private mutating func measure(
    _ entries: inout [Entry], _ progress: (@Sendable (Int) -> Void)?
  ) {
    var unreadable: [Unreadable] = []
    let found = Statistics.each(of: entries.map(\.tensor), progress: progress)
    for (index, result) in found.enumerated() {
      switch result {
      case .success(let statistics): entries[index].statistics = statistics
      case .failure(let error):
        unreadable.append(Unreadable(name: entries[index].tensor.name, reason: error.reason))
      }
    }
    addUnreadable(unreadable)
  }

  /// Names that differ in numbers and cannot be read for one reason are told together.
  private mutating func addUnreadable(_ entries: [Unreadable]) {
    var order: [String] = []
    var byReason: [String: [String]] = [:]
    for entry in entries {
      if byReason[entry.reason] == nil { order.append(entry.reason) }
      byReason[entry.reason, default: []].append(entry.name)
    }
    for reason in order {
      for group in NamePattern.groups(of: byReason[reason] ?? []) {
        concerns.append(Concern(.unreadable, group.names, "\(group.counted): \(reason)"))
      }
    }
  }

  // MARK: Names

  private mutating func checkWeights(of model: Model) {
    guard let misfits = try? model.misfits() else { return }
    let family = model.architecture.family
    for group in NamePattern.groups(of: misfits.missing.map(\.name)) {
      let shape = misfits.missing.first { $0.name == group.names[0] }?.shape
      concerns.append(
        Concern(
          .missing, group.names, numbers: [.init("tensors", Double(group.names.count))],
          "\(family) needs \(group.counted), of shape \(shape ?? []), and the file has none"))
    }
    let extra = misfits.unexpected + misfits.repeated
    for group in NamePattern.groups(of: extra.map(\.tensor.name)) {
      let canonical = extra.first { $0.tensor.name == group.names[0] }?.name ?? ""
      concerns.append(
        Concern(
          .unexpected, group.names, numbers: [.init("tensors", Double(group.names.count))],
          "\(group.counted) (\(canonical)) has no place in \(family) with this configuration"))
    }
    // The same weight of each layer has the same wrong shape.
    var order: [[Shape]] = []
    var misshapen: [[Shape]: [String]] = [:]
    for (weight, needed) in misfits.misshapen {
      let shapes = [weight.tensor.shape, needed]
      if misshapen[shapes] == nil { order.append(shapes) }
      misshapen[shapes, default: []].append(weight.tensor.name)
    }
    for shapes in order {
      for group in NamePattern.groups(of: misshapen[shapes] ?? []) {
        let verb = group.names.count > 1 ? "have" : "has"
        concerns.append(
          Concern(
            .misshapen, group.names,
            "\(group.counted) \(verb) shape \(shapes[0]); the configuration needs \(shapes[1])"))
      }
    }
  }

  private mutating func checkVocabulary(_ vocabulary: Vocabulary?, _ model: Model?) {
    guard let vocabulary, let rows = model?["embeddings.token"]?.tensor.shape.extents.first,
      vocabulary.idCount > rows
    else { return }
    let name = model?["embeddings.token"]?.sources.first ?? "embeddings.token"
    concerns.append(
      Concern(
        .vocabulary, [name],
        numbers: [.init("tokens", Double(vocabulary.idCount)), .init("rows", Double(rows))],
        "the vocabulary has \(vocabulary.idCount) tokens, the table only \(rows) rows"))
  }

  /// Names of the same weights, and tensors of the same bytes in a file.
  private mutating func findTies(_ entries: [Entry], _ model: Model?) {
    struct Run: Hashable {
      var file: File.Identity
      var offset: Int
      var length: Int
    }
    var runs: [Run: Int] = [:]
    for entry in entries {
      let tensor = entry.tensor
      if !tensor.aliases.isEmpty {
        ties.append(Tie(kind: .alias, names: [tensor.name] + tensor.aliases))
      }
      guard let slice = tensor.payload.slice, slice.length > 0 else { continue }
      let run = Run(file: slice.file.identity, offset: slice.offset, length: slice.length)
      if let index = runs[run] {
        ties[index].names.append(tensor.name)
      } else {
        runs[run] = ties.count
        ties.append(Tie(kind: .storage, names: [tensor.name]))
      }
    }
    for leftover in model?.redundant ?? [] where leftover.reason.hasPrefix("equals ") {
      let original = String(leftover.reason.dropFirst("equals ".count))
      ties.append(Tie(kind: .copy, names: [original, leftover.tensor.name]))
    }
    ties.removeAll { $0.names.count < 2 }
  }
}

extension NamePattern {
  /// `layers.*.norm.gamma (12 tensors)`, or the only name.
  var counted: String { names.count == 1 ? names[0] : "\(pattern) (\(names.count) tensors)" }
}
