public import Checkpoint

/// Leaves out layers; those that remain are counted anew, in their order: `drop-layers=3,6-11`.
///
/// Algebra: each block adds to the states that it gets, so the block after a gap takes what came before
/// it. No weight changes; the function does (arXiv 1909.11556, 2004.03844), and by how much is measured
/// at every layer that stays. Where layers are shared, applied layers are left out: the shared ones stay,
/// as long as each of those that remain is still applied at its place. An encoder's and a decoder's
/// layers are told apart: `encoder.3,decoder.0-1`. At least one of each stack must stay. There is no
/// inverse.
public struct DropLayers: ModelTransform {
  public init() {}

  public var name: String { "drop-layers" }
  public var summary: String { "layers are left out, the others are counted anew" }
  public var contract: Correspondence.Contract { .lossy }
  public var value: TransformValue { .required("LIST") }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    let dropped = try DropLayers.layers(architecture, arguments)
    var result = model
    var correspondence = Correspondence(contract: contract, removed: dropped)
    var kept: [[String]] = []
    for stack in architecture.stacks {
      let rest = stack.blocks.filter { !dropped.contains($0) }
      guard !rest.isEmpty else {
        throw arguments.wrong(
          "leaves out every layer\(stack.owner), and at least one must stay")
      }
      for (number, block) in rest.enumerated() where block != stack.name(number) {
        correspondence.renamed[block] = stack.name(number)
      }
      kept.append(rest)
    }
    if architecture.configuration.groups != nil {
      try share(&result, kept[0].compactMap { Int($0.dropFirst("layers.".count)) })
      return ModelChange(result, correspondence)
    }
    var names: [String: String] = [:]
    for block in kept.joined() { names[block] = correspondence.renamed[block] ?? block }
    result.renameBlocks(names)
    for (stack, rest) in zip(architecture.stacks, kept) {
      if stack.prefix == "decoder." {
        result.architecture.configuration.decoderLayers = rest.count
      }
      // A lone decoder's layers are its model's.
      if stack.prefix != "decoder." || kept.count == 1 {
        result.architecture.configuration.layers = rest.count
      }
    }
    return ModelChange(result, correspondence)
  }

  // MARK: Shared layers

  /// - Parameter depths: the applied layers that remain.
  private func share(_ model: inout Model, _ depths: [Int]) throws(CheckpointError) {
    let before = model.architecture.configuration
    var after = before
    let blocks = depths.map(before.block)
    // `groups.0.1` is in `groups.0`; groups that are not applied any more go.
    func group(_ block: String) -> Substring {
      block[..<(block.lastIndex(of: ".") ?? block.endIndex)]
    }
    var groups: [Substring: Int] = [:]
    for block in blocks where groups[group(block)] == nil { groups[group(block)] = groups.count }
    after.groups = groups.count
    after.layers = depths.count / before.innerGroups
    var names: [String: String] = [:]
    for block in before.blocks {
      guard let number = groups[group(block)] else { continue }
      names[block] = "groups.\(number)" + block.dropFirst(group(block).count)
    }
    let fits =
      depths.count.isMultiple(of: before.innerGroups)
      && blocks.enumerated().allSatisfy { names[$1] == after.block(at: $0) }
    guard fits else {
      throw refusal(
        "the layers are shared in \(before.groups ?? 1) groups of \(before.innerGroups), and what would "
          + "remain of the \(before.depth) applied layers cannot be told by groups",
        hint: "give each layer its own weights first: --apply untie")
    }
    if after.groups == after.layers, after.layers > 1, after.innerGroups == 1 {
      // Nothing is shared any more.
      after.groups = nil
      names = names.mapValues { "layers." + $0.dropFirst("groups.".count).dropLast(".0".count) }
    }
    model.renameBlocks(names)
    model.architecture.configuration = after
  }

  // MARK: Arguments

  /// The names of the applied layers that a list means.
  static func layers(
    _ architecture: FamilyArchitecture, _ arguments: TransformArguments
  ) throws(CheckpointError) -> Set<String> {
    var layers: Set<String> = []
    for item in (arguments.value ?? "").split(separator: ",", omittingEmptySubsequences: false) {
      let start = item.lastIndex(of: ".").map { item.index(after: $0) } ?? item.startIndex
      var prefix = String(item[..<start])
      if prefix.hasSuffix("layers.") { prefix.removeLast("layers.".count) }
      let stacks = architecture.stacks
      guard
        let stack = stacks.first(where: { $0.prefix == prefix })
          ?? (prefix.isEmpty && stacks.count == 1 ? stacks.first : nil)
      else {
        throw arguments.wrong(
          prefix.isEmpty
            ? "\"\(item)\" does not say whose layer: the encoder's or the decoder's"
            : "\"\(item)\" is no layer here",
          hint: "layers are written "
            + stacks.map { "\($0.prefix)0 to \($0.prefix)\($0.blocks.count - 1)" }
            .joined(separator: ", "))
      }
      let ends = item[start...].split(separator: "-", omittingEmptySubsequences: false)
      let numbers = ends.compactMap { $0.allSatisfy { "0"..."9" ~= $0 } ? Int($0) : nil }
      guard numbers.count == ends.count, numbers.count <= 2, let first = numbers.first,
        let last = numbers.last, first <= last
      else {
        throw arguments.wrong("\"\(item)\" is no layer and no range of layers such as 6-11")
      }
      guard last < stack.blocks.count else {
        throw arguments.wrong(
          "there is no layer \(last)\(stack.owner): they are 0 to \(stack.blocks.count - 1)")
      }
      for number in first...last { layers.insert(stack.name(number)) }
    }
    return layers
  }
}

/// Layers that are applied one after the other.
struct AppliedStack {
  /// `encoder.`, `decoder.`, or nothing where there is just one stack.
  let prefix: String
  let blocks: [String]

  /// For people: ` of the decoder`, or nothing.
  var owner: String { prefix.isEmpty ? "" : " of the \(prefix.dropLast())" }

  func name(_ number: Int) -> String { "\(prefix)layers.\(number)" }
}

extension FamilyArchitecture {
  /// The stacks of applied layers.
  var stacks: [AppliedStack] {
    guard structure.encoderDecoder else { return [AppliedStack(prefix: "", blocks: appliedBlocks)] }
    return ["encoder.", "decoder."].compactMap { prefix in
      let blocks = appliedBlocks.filter { $0.hasPrefix(prefix) }
      return blocks.isEmpty ? nil : AppliedStack(prefix: prefix, blocks: blocks)
    }
  }
}
