/// A class of Keras layers: what its `config` says, the variables that it has and the shapes that it
/// makes.
///
/// A description is a value made from a layer's config. It is said twice, each in its own place: here,
/// for reading, writing and transforms; and how it is computed, in `Infer/Keras` (`LoweredLayer`). A
/// new class is one description, its line in ``KerasLayerRegistry``, and its lowering.
public protocol KerasLayer: Sendable {
  /// The names of its class, Keras' own first; older and other packages' names follow.
  static var classNames: [String] { get }

  /// Whether a config of one of the class names is this class's: packages reuse Keras' names.
  static func accepts(_ config: KerasConfig) -> Bool

  /// - Throws: ``CheckpointError`` naming the layer, the key and what was expected.
  init(_ config: KerasConfig) throws(CheckpointError)

  /// The variables that it has when it is called so, in the order of Keras' `layer.weights`:
  /// trainable ones first.
  ///
  /// - Throws: ``CheckpointError`` where an extent that a shape goes by is not known or does not fit.
  func variables(_ call: KerasCall<KerasShape>) throws(CheckpointError) -> [KerasVariable]

  /// The shapes of what it returns.
  ///
  /// - Throws: ``CheckpointError`` where the inputs do not fit.
  func outputs(_ call: KerasCall<KerasShape>) throws(CheckpointError) -> [KerasShape]

  /// The stored tensors of an older or faster form (Keras 1's arrays per gate, CuDNN's) as the variables
  /// that ``variables(_:)`` tells; `nil` where they are those already.
  ///
  /// - Parameter stored: the layer's tensors in the order in which the file lists them.
  func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]?

  /// Layers inside this one, by the name of their place in Keras (`layer`, `forward_layer`).
  var inner: [(place: String, layer: KerasNetwork.Layer)] { get }
}

extension KerasLayer {
  public static func accepts(_ config: KerasConfig) -> Bool { true }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] { [] }

  /// As what comes in.
  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { Array(call.inputs.prefix(1)) }

  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? { nil }

  public var inner: [(place: String, layer: KerasNetwork.Layer)] { [] }
}

/// A variable of a layer.
public struct KerasVariable: Sendable, Equatable {
  /// Its name in the layer: `kernel`, `forward.kernel` in a layer that wraps others.
  public var name: String
  public var shape: [Int]
  public var isTrainable: Bool
  /// Where Keras 3 keeps it, below the layer's own group: `vars/0`, `cell/vars/1`.
  public var path: String
  /// Where Keras 3 writes it once more: a wrapper that has a variable of its layer as its own.
  public var alias: String?

  /// - Parameter path: ``KerasVariable/numbered(_:below:)`` fills in an empty one.
  public init(_ name: String, _ shape: [Int], trainable: Bool = true, path: String = "") {
    self.name = name
    self.shape = shape
    self.isTrainable = trainable
    self.path = path
  }

  /// `vars/0`, `vars/1`, …, below a part of the layer such as its cell.
  public static func numbered(
    _ variables: [KerasVariable], below part: String = ""
  ) -> [KerasVariable] {
    variables.enumerated().map { index, variable in
      var copy = variable
      copy.path = (part.isEmpty ? "" : part + "/") + "vars/\(index)"
      return copy
    }
  }

  /// The variable of a layer that another one wraps at a place.
  public func inside(_ place: String, path part: String) -> KerasVariable {
    var copy = self
    copy.name = place + "." + name
    copy.path = part + "/" + path
    copy.alias = alias.map { part + "/" + $0 }
    return copy
  }
}

/// The list of layer classes.
public enum KerasLayerRegistry {
  public static let all: [any KerasLayer.Type] = [
    // bert4keras and keras-bert; names that Keras has too come before Keras' own.
    Bert4kerasEmbedding.self, ScaleOffsetLayer.self, Bert4kerasConcatenation.self,
    HeadsAttentionLayer.self, GatedAttentionLayer.self, PositionLayer.self,
    RelativePositionLayer.self, FeedForwardLayer.self, TransitionLayer.self, SpanLayer.self,
    LossLayer.self, TokenEmbeddingLayer.self, EmbeddingSimilarityLayer.self, ExtractLayer.self,
    // Core.
    InputLayer.self, DenseLayer.self, ActivationLayer.self, IdentityLayer.self, FlattenLayer.self,
    NetworkLayer.self,
    // Convolutions.
    ConvolutionLayer.self, DepthwiseConvolutionLayer.self, SeparableConvolutionLayer.self,
    TransposedConvolutionLayer.self, LocallyConnectedLayer.self,
    // Pooling.
    PoolingLayer.self, GlobalPoolingLayer.self, AdaptivePoolingLayer.self,
    // Normalization.
    BatchNormalizationLayer.self, LayerNormalizationLayer.self, GroupNormalizationLayer.self,
    InstanceNormalizationLayer.self, RMSNormalizationLayer.self, UnitNormalizationLayer.self,
    SpectralNormalizationLayer.self,
    // Recurrent, and wrappers.
    RecurrentLayer.self, ConvLSTMLayer.self, BidirectionalLayer.self, TimeDistributedLayer.self,
    // Attention.
    KerasMultiHeadAttention.self, PlainAttentionLayer.self,
    // Activations.
    SoftmaxLayer.self, ReLULayer.self, RectifierLayer.self, TrainedActivationLayer.self,
    // Shapes.
    ReshapeLayer.self, PermuteLayer.self, RepeatVectorLayer.self, BorderLayer.self,
    UpSamplingLayer.self, ResizingLayer.self,
    // Merging.
    MergeLayer.self, ConcatenateLayer.self, DotLayer.self, OldMergeLayer.self,
    // Embedding.
    EmbeddingLayer.self, ReversibleEmbeddingLayer.self, MaskingLayer.self,
    // Preprocessing.
    RescalingLayer.self, NormalizationLayer.self, DiscretizationLayer.self,
    CategoryEncodingLayer.self,
    // Products.
    EinsumDenseLayer.self, HighwayLayer.self, MaxoutDenseLayer.self,
    // Operations.
    OperationLayer.self, LambdaLayer.self,
    // keras_contrib.
    ContribCRF.self,
  ]

  private static let byName: [String: [any KerasLayer.Type]] = Dictionary(
    all.flatMap { type in type.classNames.map { ($0, [type]) } }, uniquingKeysWith: +)

  /// The description of a layer's class, also under a registered name such as
  /// `keras_nlp>TokenEmbedding`; of several of that name the first that accepts the config.
  static func type(of config: KerasConfig) -> (any KerasLayer.Type)? {
    var name = config.className
    if name.hasPrefix(KerasNetwork.operationPrefix) { return OperationLayer.self }
    if byName[name] == nil, let mark = name.lastIndex(of: ">") {
      name = String(name[name.index(after: mark)...])
    }
    return byName[name]?.first { $0.accepts(config) }
  }
}
