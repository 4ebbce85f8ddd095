/// The names of a transformer's parts: weights go by the stored block, values by the applied layer.
extension FamilyArchitecture {
  /// Each stored block: `layers.3`, `groups.0.1`, `decoder.layers.0`.
  public var storedBlocks: [String] {
    let c = configuration
    guard structure.encoderDecoder else { return c.blocks }
    return (c.hasEncoder ? c.blocks.map { "encoder.\($0)" } : []) + decoderBlocks
  }

  /// Each block as it is applied, under which values are named.
  public var appliedBlocks: [String] {
    let c = configuration
    let layers = (0..<c.depth).map { "layers.\($0)" }
    guard structure.encoderDecoder else { return layers }
    return (c.hasEncoder ? layers.map { "encoder.\($0)" } : []) + decoderBlocks
  }

  /// Each stored attention: `layers.3.attention`, `decoder.layers.0.cross_attention`.
  public var storedAttentions: [String] { attentions(of: storedBlocks) }

  /// Each attention as it is applied.
  public var appliedAttentions: [String] { attentions(of: appliedBlocks) }

  /// Values of every applied attention, such as `query` or `scores`.
  public func attentionValues(_ parts: [String]) -> Set<String> {
    Set(appliedAttentions.flatMap { attention in parts.map { "\(attention).\($0)" } })
  }

  /// Each weight by the place where it is used: `layers.3.…` also where layers are shared.
  public func uses(of weights: some Collection<String>) -> [String: String] {
    var uses: [String: String] = [:]
    let blocks = Set(configuration.blocks)
    // What stands behind the block's name, for each stored block.
    var parts: [String: [Substring]] = [:]
    for name in weights {
      // `layers.3` and `groups.0.1` are the first two and three parts of a name.
      let ends = name.indices.filter { name[$0] == "." }
      guard let end = ends.prefix(3).first(where: { blocks.contains(String(name[..<$0])) }) else {
        uses[name] = name
        continue
      }
      parts[String(name[..<end]), default: []].append(name[end...])
    }
    for depth in 0..<configuration.depth {
      let block = configuration.block(at: depth)
      for part in parts[block] ?? [] { uses["layers.\(depth)\(part)"] = "\(block)\(part)" }
    }
    return uses
  }

  private var decoderBlocks: [String] {
    configuration.hasDecoder
      ? (0..<configuration.decoderLayers).map { "decoder.layers.\($0)" } : []
  }

  private func attentions(of blocks: [String]) -> [String] {
    blocks.flatMap { block in
      block.hasPrefix("decoder.")
        ? ["\(block).attention", "\(block).cross_attention"] : ["\(block).attention"]
    }
  }
}
