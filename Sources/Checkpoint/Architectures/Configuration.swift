/// The numbers and choices that, together with a family's name, say what its weights mean.
public struct Configuration: Sendable, Equatable {
  /// Rows of the token table.
  public var vocabularySize = 0
  /// Rows that the token table had before some were left out; 0 where it has all of them.
  public var originalVocabularySize = 0
  /// Width of the embeddings; different from `hiddenSize` where they are factorized.
  public var embeddingSize = 0
  public var hiddenSize = 0
  /// Layers as the framework counts them: applications of a group, in ALBERT.
  public var layers = 0
  public var heads = 0
  /// Width of a head's queries and keys.
  public var keySize = 0
  /// Width of a head's values.
  public var headSize = 0
  public var intermediateSize = 0
  /// Rows of the position table.
  public var positions = 0
  /// Rows of the segment table.
  public var segments = 0
  /// Of the feed-forward layers, and of the MLM transform unless ``headActivation`` says otherwise.
  public var activation = Activation.geluErf
  /// Of the further factors of a gated feed-forward (arXiv 2002.05202); none where it is plain.
  public var gates: [Activation] = []
  /// Of the MLM transform, where the framework fixes one.
  public var headActivation: Activation?
  public var poolerActivation = Activation.tanh
  /// Added to the variance, of the embeddings' LayerNorm.
  public var embeddingNormEpsilon = 1e-12
  /// Of the blocks' LayerNorms.
  public var blockNormEpsilon = 1e-12
  /// Of the MLM head's LayerNorm.
  public var headNormEpsilon = 1e-12
  /// ALBERT: groups of shared layers, or `nil` when every layer has its own weights.
  public var groups: Int?
  /// ALBERT: layers inside a group, each applied at every depth of the group.
  public var innerGroups = 1
  /// Whether a dense layer leads from the embeddings to the hidden width.
  public var projection = false
  /// Whether a matrix leads from the token table to the hidden width before anything is added.
  public var factor = false
  /// Segments are rows of the token table.
  public var sharesSegments = false
  /// Share of the coarse row where positions are decomposed (kexue.fm/archives/7947), or `nil`.
  public var hierarchicalPosition: Double?
  /// Positions are an input.
  public var givenPositions = false
  /// The padding token's id; only RoBERTa's positions go by it.
  public var paddingToken = 0
  /// NEZHA: distances beyond this count as this.
  public var relativePositions = 64
  /// T5: rows of the table of distances, and where its logarithmic part ends.
  public var buckets = 32
  public var bucketDistance = 128
  /// T5: the decoder's table of distances is added to its cross-attention too.
  public var crossPositionBias = false
  /// RoFormer of transformers: values are rotated as well.
  public var rotatesValues = false
  /// Each layer's scores are added to the next one's (RealFormer, arXiv 2012.11747).
  public var residualScores = false
  /// Projections between heads before and after the softmax (arXiv 2003.02436).
  public var talkingHeads = false
  public var talkingHeadsBias = false
  /// How scores become weights.
  public var normalization = Normalization.softmax
  /// Width of the condition that norms take (conditional layer normalization), or 0.
  public var conditionSize = 0
  /// Width of a hidden layer for the condition, or 0.
  public var conditionHiddenSize = 0
  public var conditionActivation = Activation.linear
  /// T5 of bert4keras 0.11.0: its norms have a beta.
  public var normOffset = false
  /// T5: which halves there are, and the layers of the second.
  public var hasEncoder = true
  public var hasDecoder = true
  public var decoderLayers = 0
  /// Whether the causal language model's decoder is the token table.
  public var tiesDecoder = true
  /// Whether the decoder's states are divided by √(hidden size) before it.
  public var scalesDecoder = false
  /// What the stored transitions of CRFs and MEMMs are multiplied by: bert4keras' lr_multiplier.
  public var transitionMultiplier = 1.0
  public var mask = AttentionMaskKind.bidirectional
  public var padding = PaddingRule.tokenZero
  public var headOutput = HeadOutput.logits
  /// What stands before every layer's name, where a framework lets its users say so (bert4keras).
  public var layerPrefix = ""

  public init() {}

  /// How padding is known when no mask is given.
  public enum PaddingRule: String, Sendable, CaseIterable {
    /// Token id 0 is padding, except at the first position (bert4keras).
    case tokenZero = "token-zero"
    /// The same, and so is segment id 0: both are ids of one table (bert4keras' shared segments).
    case tokenOrSegmentZero = "token-or-segment-zero"
    /// Token id 0 is padding everywhere (keras-bert).
    case everyTokenZero = "every-token-zero"
    /// Nothing is padding unless `attention_mask` says so (transformers).
    case attentionMask = "attention-mask"
  }

  /// How attention's scores become weights.
  public enum Normalization: String, Sendable, CaseIterable {
    case softmax
    /// Scores are multiplied by log(max(n, 16)) / log(512) first (kexue.fm/archives/8823).
    case softmaxPlus = "softmax_plus"
    /// `relu(x)² / n`, n being the number of visible positions (arXiv 2202.10447).
    case squaredRelu = "squared_relu"
  }

  /// The weights' names of a gated feed-forward's further factors.
  public var gateNames: [String] { Configuration.gateNames(gates.count) }

  static func gateNames(_ count: Int) -> [String] { (0..<count).map(gateName) }

  private static func gateName(_ index: Int) -> String {
    index == 0 ? "gate" : "gate_\(index + 1)"
  }

  /// How many further factors the feed-forward of weights with these canonical names has.
  static func gateCount(in names: some Collection<String>) -> Int {
    var count = 0
    while names.contains(where: { $0.hasSuffix(".feed_forward.\(gateName(count)).kernel") }) {
      count += 1
    }
    return count
  }

  /// What the framework's own model returns at its heads.
  public enum HeadOutput: String, Sendable, CaseIterable {
    case logits, softmax
  }

  /// Width in which token, segment and position are added, and of the MLM transform.
  public var embeddedSize: Int { factor ? hiddenSize : embeddingSize }

  /// How often a block is applied.
  public var depth: Int { layers * innerGroups }

  /// The stored block that is applied at `depth`, such as `layers.3` or `groups.0.1`.
  ///
  /// ALBERT's group of layer i is ⌊i / (layers / groups)⌋.
  public func block(at depth: Int) -> String {
    guard let groups else { return "layers.\(depth)" }
    let layer = depth / innerGroups
    // As transformers computes it, in floating point, so that uneven divisions agree too.
    let group = Int(Double(layer) / (Double(layers) / Double(groups)))
    return "groups.\(min(group, groups - 1)).\(depth % innerGroups)"
  }

  /// The stored blocks, each once.
  public var blocks: [String] {
    guard let groups else { return (0..<layers).map { "layers.\($0)" } }
    return (0..<groups).flatMap { group in
      (0..<innerGroups).map { "groups.\(group).\($0)" }
    }
  }
}
