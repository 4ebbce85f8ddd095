extension FamilyArchitecture {
  /// What is special about the model beside its family and sizes, for people.
  public var options: [String] {
    let c = configuration
    var options: [String] = []
    func add(_ text: String, when holds: Bool) { if holds { options.append(text) } }
    add("encoder only", when: structure.encoderDecoder && !c.hasDecoder)
    add("decoder only", when: structure.encoderDecoder && !c.hasEncoder)
    add("embeddings of width \(c.embeddingSize), projected to \(c.hiddenSize)", when: c.projection)
    add("token table of width \(c.embeddingSize), multiplied to \(c.hiddenSize)", when: c.factor)
    add("no segments", when: c.segments == 0 && structure.position == .absolute)
    add("segments are rows of the token table", when: c.sharesSegments)
    add(
      "attention keys of \(c.keySize) and values of \(c.headSize) for hidden \(c.hiddenSize)",
      when: !structure.gatedUnit
        && (c.keySize * c.heads != c.hiddenSize || c.headSize * c.heads != c.hiddenSize))
    add(
      "gated feed-forward (\(([c.activation] + c.gates).map(\.rawValue).joined(separator: " · ")))",
      when: !c.gates.isEmpty)
    if let alpha = c.hierarchicalPosition { options.append("hierarchical positions (\(alpha))") }
    add("positions are an input", when: c.givenPositions)
    add("values are rotated too", when: c.rotatesValues)
    add("residual attention scores", when: c.residualScores)
    add("talking heads", when: c.talkingHeads)
    add(
      "norms conditioned on a vector of \(c.conditionSize)"
        + (c.conditionHiddenSize > 0 ? " through \(c.conditionHiddenSize)" : ""),
      when: c.conditionSize > 0)
    add("norms have offsets", when: c.normOffset)
    add("cross-attention has the position bias", when: c.hasDecoder && c.crossPositionBias)
    add("output weights of its own", when: heads.contains(.lm) && !c.tiesDecoder)
    add("\(c.mask.rawValue) mask", when: c.mask != .bidirectional)
    return options
  }
}
