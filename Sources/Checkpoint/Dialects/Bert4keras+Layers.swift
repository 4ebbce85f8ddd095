/// A bert4keras model as calls of its layers, by their names without a prefix.
///
/// Source: `models.py` of bert4keras 0.11.5. Layers without weights that stand beside the chain
/// (masks, rotary positions, sums of residual scores) move no others and are left out.
struct Bert4kerasLayers {
  private let structure: Structure
  private let configuration: Configuration
  private let architecture: FamilyArchitecture
  /// Whether Dropout layers stand between: bert4keras leaves them out where the rate is 0.
  private let hasDropout: Bool
  private var graph = KerasOrder()

  /// The layers in Keras' order, those without weights included.
  static func names(_ architecture: FamilyArchitecture, hasDropout: Bool) -> [String] {
    var layers = Bert4kerasLayers(architecture, hasDropout)
    let outputs = layers.structure.encoderDecoder ? layers.encoderDecoder() : layers.encoder()
    return layers.graph.layers(outputs: outputs)
  }

  private init(_ architecture: FamilyArchitecture, _ hasDropout: Bool) {
    self.architecture = architecture
    self.hasDropout = hasDropout
    configuration = architecture.configuration
    structure = architecture.structure
  }

  // MARK: One stack

  private mutating func encoder() -> [Int] {
    let c = configuration
    var x = graph.call("Embedding-Token", [graph.call("Input-Token")])
    if c.segments > 0 || c.sharesSegments {
      let segments = graph.call("Input-Segment")
      let row = graph.call(c.sharesSegments ? "Embedding-Token" : "Embedding-Segment", [segments])
      x = graph.call("Embedding-Token-Segment", [x, row])
    }
    if structure.position == .absolute { x = graph.call("Embedding-Position", [x]) }
    if structure.embeddingNorm { x = graph.call("Embedding-Norm", [x]) }
    x = dropout("Embedding", x)
    if c.projection { x = graph.call("Embedding-Mapping", [x]) }
    let distances =
      structure.position == .relative ? graph.call("Embedding-Relative-Position", [x, x]) : nil
    for depth in 0..<c.depth {
      let block = c.groups == nil ? "Transformer-\(depth)" : "Transformer"
      x = structure.gatedUnit ? gatedUnit(block, x) : self.block(block, x, distances)
    }
    return heads(structure.finalNorm ? dropout("Output", graph.call("Output-Norm", [x])) : x)
  }

  private mutating func gatedUnit(_ block: String, _ x: Int) -> Int {
    let unit = "\(block)-GatedAttentionUnit"
    let y = dropout(unit, graph.call(unit, [x]))
    return graph.call("\(unit)-Norm", [graph.call("\(unit)-Add", [x, y])])
  }

  private mutating func block(_ block: String, _ x: Int, _ distances: Int?) -> Int {
    let (attention, feedForward) = ("\(block)-MultiHeadSelfAttention", "\(block)-FeedForward")
    func attend(_ y: Int) -> [Int] { [y, y, y] + [distances].compactMap(\.self) }
    switch structure.placement {
    case .after:
      let y = graph.call("\(attention)-Norm", [residual(attention, x, attend(x))])
      return graph.call("\(feedForward)-Norm", [residual(feedForward, y, [y])])
    case .around:
      let y = residual(attention, x, attend(x))
      let inner = graph.call("\(feedForward)-Norm-0", [y])
      return graph.call("\(feedForward)-Norm-1", [residual(feedForward, y, [inner])])
    case .before:
      let y = residual(attention, x, attend(graph.call("\(attention)-Norm", [x])))
      return residual(feedForward, y, [graph.call("\(feedForward)-Norm", [y])])
    }
  }

  /// `x + Layer(inputs)`.
  private mutating func residual(_ layer: String, _ x: Int, _ inputs: [Int]) -> Int {
    graph.call("\(layer)-Add", [x, dropout(layer, graph.call(layer, inputs))])
  }

  private mutating func dropout(_ name: String, _ x: Int) -> Int {
    hasDropout ? graph.call("\(name)-Dropout", [x]) : x
  }

  // MARK: Heads

  private mutating func heads(_ x: Int) -> [Int] {
    let heads = architecture.heads
    var outputs: [Int] = []
    if heads.contains(.pooler) {
      var y = graph.call("Pooler-Dense", [graph.call("Pooler", [x])])
      if !heads.isDisjoint(with: [.nsp, .sop]) { y = graph.call("NSP-Proba", [y]) }
      outputs.append(y)
    }
    if heads.contains(.mlm) {
      switch structure.maskedHead {
      case .transform:
        let y = graph.call("MLM-Norm", [graph.call("MLM-Dense", [x])])
        let logits = graph.call("MLM-Bias", [graph.call("Embedding-Token", [y])])
        outputs.append(graph.call("MLM-Activation", [logits]))
      case .projection:
        var y = configuration.projection ? graph.call("Output-Mapping", [x]) : x
        y = graph.call("Embedding-Token", [dropout("Output-MLM", y)])
        outputs.append(graph.call("Output-MLM-Activation", [y]))
      }
    }
    if heads.contains(.lm) {
      outputs.append(graph.call("LM-Activation", [graph.call("Embedding-Token", [x])]))
    }
    if heads.contains(.discriminator) {
      let y = graph.call("Discriminator-Dense", [x])
      outputs.append(graph.call("Discriminator-Prediction", [y]))
    }
    return outputs.isEmpty ? [x] : outputs
  }

  // MARK: Encoder and decoder

  private mutating func encoderDecoder() -> [Int] {
    let c = configuration
    let context = c.hasEncoder ? encoderHalf() : graph.call("Input-Context")
    guard c.hasDecoder else { return [context] }
    var x = embedded("Decoder")
    let table = "Decoder-Embedding-Relative-Position"
    let own = graph.call(table, [x, x])
    let cross = c.crossPositionBias ? [graph.call(table, [x, context])] : []
    for index in 0..<c.decoderLayers {
      let block = "Decoder-Transformer-\(index)"
      x = self.half(block, x, own)
      let attention = "\(block)-MultiHeadCrossAttention"
      let y = graph.call("\(attention)-Norm", [x])
      x = residual(attention, x, [y, context, context] + cross)
      x = feedForward(block, x)
    }
    x = dropout("Decoder-Output", graph.call("Decoder-Output-Norm", [x]))
    x = graph.call("Decoder-Output-Scale", [x])
    guard architecture.heads.contains(.lm) else { return [x] }
    if c.projection { x = graph.call("Decoder-Output-Mapping", [x]) }
    guard c.tiesDecoder else { return [graph.call("Decoder-Output-LM", [x])] }
    x = graph.call("Embedding-Token", [x])
    return [graph.call("Decoder-Output-LM-Activation", [x])]
  }

  private mutating func encoderHalf() -> Int {
    var x = embedded("Encoder")
    let distances = graph.call("Encoder-Embedding-Relative-Position", [x, x])
    for index in 0..<configuration.layers {
      let block = "Encoder-Transformer-\(index)"
      x = feedForward(block, half(block, x, distances))
    }
    return dropout("Encoder-Output", graph.call("Encoder-Output-Norm", [x]))
  }

  private mutating func embedded(_ half: String) -> Int {
    let x = graph.call("Embedding-Token", [graph.call("\(half)-Input-Token")])
    let y = dropout("\(half)-Embedding", x)
    return configuration.projection ? graph.call("\(half)-Embedding-Mapping", [y]) : y
  }

  private mutating func half(_ block: String, _ x: Int, _ distances: Int) -> Int {
    let attention = "\(block)-MultiHeadSelfAttention"
    let y = graph.call("\(attention)-Norm", [x])
    return residual(attention, x, [y, y, y, distances])
  }

  private mutating func feedForward(_ block: String, _ x: Int) -> Int {
    let layer = "\(block)-FeedForward"
    return residual(layer, x, [graph.call("\(layer)-Norm", [x])])
  }
}
