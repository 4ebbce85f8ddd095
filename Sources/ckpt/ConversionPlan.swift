import Checkpoint
import Transforms

extension Conversion {
  /// What will be written, and what will not.
  struct Plan {
    var dialect: (any Dialect)?
    var model: Model?
    var transformed: Model?
    var correspondence = Correspondence()
    var spelling: Spelling?
    var checkpoint: Checkpoint
    var configuration: JSON?
    /// The vocabulary to write, unless it is the file beside the source as it stands: what the
    /// source's file of weights holds, or what a transform made.
    var vocabulary: Vocabulary?
    /// What transforms measured.
    var findings: [Finding] = []
    /// The steps on the model, each with what it got and made.
    var stages: [TransformStage] = []
    /// How the written model relates to the transformed one.
    var respelled = Correspondence()
    /// The transformed model as it was computed, before weights are rounded and spelled.
    var computed: Model?
    var rows: [Spelling.Row] = []
    var drops: [Drop] = []
    /// Why the models cannot be run for the proof.
    var notRun: String?
    /// The source and the result, where they are graphs of layers.
    var keras: KerasPair?
    /// Whether a known family is written with the graph by which Keras loads it.
    var isWhole = false
    /// The stored names of tensors that were renamed.
    private let formerNames: [String: String]
    private var allowed: AllowedDrops

    init(_ request: Request, _ opening: Opening, _ remarks: inout [String]) throws {
      let (change, steps) = try TransformRegistry.apply(request.steps, to: opening.checkpoint)
      checkpoint = change.checkpoint
      formerNames = change.renamed
      allowed = AllowedDrops(request.allowedDrops)
      drops = opening.checkpoint.unreadable.map {
        Drop(name: $0.name, reason: $0.reason, loses: true)
      }
      drops += change.left.map { Drop(name: $0.tensor.name, reason: $0.reason, loses: false) }
      let casts = steps.filter { $0.transform is Cast }
      if let target = try KerasPair.target(request, opening, checkpoint, steps) {
        try planKeras(target, request, opening, steps, &remarks)
      } else if request.dialect == nil, casts.count == steps.count, request.family == nil {
        try planNames(request, opening, casts, &remarks)
      } else {
        try planModel(request, opening, steps, &remarks)
      }
      for index in drops.indices where drops[index].loses && !drops[index].isAllowed {
        drops[index].isAllowed = allowed.match([drops[index].name] + drops[index].sources)
      }
      remarks += allowed.unused.map { "--allow-drop '\($0)' matches nothing that can be left out" }
    }

    /// Names as they are: every tensor goes over, at most in another precision.
    private mutating func planNames(
      _ request: Request, _ opening: Opening, _ casts: [TransformStep], _ remarks: inout [String]
    ) throws {
      // The meaning is only for the proof; without one there is still the comparison of bytes.
      do {
        switch try opening.meaning(of: checkpoint) {
        case .family(let model): self.model = model
        case .keras(let model): keras = KerasPair(model)
        }
      } catch {
        notRun = error.reason
      }
      transformed = model
      if let model { stages = try TransformRegistry.stages(casts, from: model) }
      remarks += opening.checkpoint.warnings
      for index in checkpoint.groups.indices {
        checkpoint.groups[index].tensors = checkpoint.groups[index].tensors.filter { keeps($0) }
      }
      for step in casts {
        if try !Cast.isExact(checkpoint.tensors, step.arguments) {
          correspondence.contract = .lossy
        }
        checkpoint.groups = try Cast.converted(checkpoint.groups, step.arguments)
      }
      for index in checkpoint.groups.indices {
        checkpoint.groups[index].tensors = try checkpoint.groups[index].tensors.map {
          try $0.converted(to: request.dtype)
        }
      }
      guard opening.checkpoint.tensors.isEmpty || !checkpoint.tensors.isEmpty else {
        throw CheckpointError(
          .usage, Place(member: "--allow-drop"), "would leave nothing of the checkpoint")
      }
      if model != nil || keras != nil, drops.contains(where: \.loses) {
        (model, keras) = (nil, nil)
        notRun = "tensors were dropped"
      }
      rows = checkpoint.tensors.map { tensor in
        Spelling.Row(
          target: tensor.name, sources: [formerNames[tensor.name] ?? tensor.name],
          operation: tensor.payload.storage.hasPrefix("cast") ? tensor.payload.storage : "",
          dtype: tensor.dtype, shape: tensor.shape)
      }
    }

    /// Whether the user does not let the tensor go; one that goes is noted.
    private mutating func keeps(_ tensor: Tensor) -> Bool {
      guard allowed.match([tensor.name]) else { return true }
      drops.append(.asked(tensor.name))
      return false
    }

    private mutating func planModel(
      _ request: Request, _ opening: Opening, _ steps: [TransformStep],
      _ remarks: inout [String]
    ) throws {
      var source = try opening.model(of: checkpoint)
      let target = try DialectRegistry.named(request.dialect ?? source.dialect)
      dialect = target
      model = source
      remarks += source.warnings
      if steps.contains(where: \.transform.usesVocabulary) {
        source.vocabulary =
          try opening.vocabulary.map { path throws(CheckpointError) in
            try Vocabulary(
              contentsOf: path, rule: source.dialect == "bert4keras" ? .firstWords : .lines)
          } ?? DialectRegistry.named(source.dialect).vocabulary(in: opening.checkpoint)
      }
      stages = try TransformRegistry.stages(steps, from: source)
      let change = TransformRegistry.apply(stages, to: source)
      var (result, relation) = (change.model, change.correspondence)
      findings = change.findings
      remarks += change.remarks
      drops += source.left.map { Drop(name: $0.tensor.name, reason: $0.reason, loses: true) }
      drops += source.redundant.map {
        Drop(name: $0.tensor.name, reason: $0.reason, loses: false)
      }
      try dropHeads(&result, &relation)
      dropTops(&result, &relation)
      if let family = request.family { result = try result.relabelled(as: family) }
      result.carried = try result.carried.compactMap { group in
        guard !group.tensors.isEmpty else { return group }
        var group = group
        group.tensors = try group.tensors.filter { keeps($0) }
          .map { try $0.converted(to: request.dtype) }
        return group.tensors.isEmpty ? nil : group
      }
      if !steps.isEmpty { computed = result }
      result.weights = try result.weights.map { weight in
        // What was computed is rounded once, also where another precision is asked for.
        var copy = request.dtype == nil ? weight.rounded() : weight
        copy.tensor = try copy.tensor.converted(to: request.dtype)
        let dtype = copy.tensor.dtype
        if dtype != weight.rounding ?? weight.tensor.dtype {
          copy.operation = [weight.operation, "cast \(dtype.rawValue)"]
            .filter { !$0.isEmpty }.joined(separator: ", ")
        }
        return copy
      }
      if relation.tokens != nil {
        vocabulary = result.vocabulary
        remarks += opening.tokenizers.map {
          "\($0) is of the source's tokens and stays behind: its ids are not the result's"
        }
        if vocabulary == nil {
          remarks.append(
            "there is no vocab.txt to go with the result: whoever makes ids has to renumber them")
        }
      } else if opening.vocabulary == nil {
        vocabulary = try DialectRegistry.named(source.dialect)
          .vocabulary(in: opening.checkpoint)
      }
      let own = vocabulary
      var spelled = try target.joined(spell(result, target, steps)) { () throws(CheckpointError) in
        if let own { return own }
        return try opening.vocabulary.map { path throws(CheckpointError) in
          try Vocabulary(contentsOf: path)
        }
      }
      // The frameworks have no key for it, and pass it over.
      let original = result.architecture.configuration.originalVocabularySize
      if original > 0 {
        spelled.configuration.set(ConfigurationKey.originalVocabulary, .number(original))
      }
      // A layer on top that the framework has otherwise (logits for probabilities) is another value.
      for (own, held) in zip(
        result.architecture.tops, target.held(result.architecture).tops) where own.kind != held.kind
      {
        relation.removed.insert("head.\(own.name)")
        respelled.removed.insert("head.\(own.name)")
      }
      // What the target computes for itself has the digits of its own arithmetic.
      let made = target.made(
        result.architecture.configuration, family: result.architecture.family)
      relation.rewritten.formUnion(made.map(\.name))
      respelled.rewritten.formUnion(made.map(\.name))
      // What the class does not expect would be ignored on loading: lost without a word.
      let carried = Set(result.carried.flatMap(\.tensors).map(\.name))
      for name in spelled.unexpected where !carried.contains(name) {
        drops.append(
          Drop(
            name: spelled.rows.first { $0.target == name }?.canonical.first ?? name,
            reason: "\(spelled.loadsAs) has no place for \(name)", loses: true))
      }
      if opening.checkpoint.text("model_config") != nil {
        try makeWhole(&spelled, result, source, relation, request, opening, &remarks)
      }
      remarks += spelled.remarks
      respelled.contract = spelled.contract
      relation.contract = max(relation.contract, spelled.contract)
      transformed = result
      correspondence = relation
      spelling = spelled
      checkpoint = spelled.checkpoint
      configuration = spelled.configuration
      rows = spelled.rows
    }

    /// Writes what a transform made of a whole model of bert4keras as a whole model, where that can be told.
    private mutating func makeWhole(
      _ spelled: inout Spelling, _ result: Model, _ source: Model, _ relation: Correspondence,
      _ request: Request, _ opening: Opening, _ remarks: inout [String]
    ) throws {
      let format = try Destination(request, DialectRegistry.named(source.dialect), opening).format
      guard request.dialect == nil, request.family == nil, !stages.isEmpty,
        source.dialect == Bert4keras().name, format.name == KerasHDF5().name
      else {
        remarks.append("the result holds weights only: model_config describes the source")
        return
      }
      do throws(CheckpointError) {
        spelled = try Bert4keras.whole(
          spelled, from: opening.checkpoint, heads: result.architecture.configuration.heads,
          place: relation.name)
        isWhole = true
        if opening.checkpoint.text("training_config") != nil {
          remarks.append("how it was compiled is not written: compile it again to train it")
        }
      } catch {
        remarks.append(
          "the result holds weights only: model_config describes the source, and it cannot be told how "
            + "it would be changed: \([error.place.member, error.reason].compactMap(\.self).joined(separator: " "))"
        )
      }
    }

    /// The model spelled for a framework.
    ///
    /// What a transform has made has no names to stay as they are, so that hint gives way to another.
    private func spell(
      _ model: Model, _ target: any Dialect, _ steps: [TransformStep]
    ) throws(CheckpointError) -> Spelling {
      do throws(CheckpointError) {
        return try target.spell(model)
      } catch {
        guard error.hint == DialectRegistry.asStored, !steps.isEmpty else { throw error }
        throw CheckpointError(
          error.kind, error.place, error.reason, hint: DialectRegistry.holding(model))
      }
    }

    /// Leaves out heads whose weights the user lets go, and what cannot be without them.
    private mutating func dropHeads(_ model: inout Model, _ relation: inout Correspondence) throws {
      for head in model.architecture.heads.sorted() {
        let own = model.weights.filter { $0.name.hasPrefix("\(head.rawValue).") }
        let isAllowed = own.filter { allowed.match([$0.name] + $0.sources) }.count == own.count
        // A head without weights of its own is not lost, and not let go.
        guard isAllowed, !own.isEmpty else { continue }
        drops += own.map { .asked($0.name) }
        remove(head, &model, &relation)
      }
      for head in [Head.nsp, .sop]
      where model.architecture.heads.contains(head) && !model.architecture.heads.contains(.pooler)
        && drops.contains(where: { $0.name == "pooler.kernel" })
      {
        drops += model.weights.filter { $0.name.hasPrefix("\(head.rawValue).") }.map {
          Drop(name: $0.name, sources: $0.sources, reason: "stands on the pooler", loses: true)
        }
        remove(head, &model, &relation)
      }
    }

    /// Leaves out layers on top whose weights the user lets go, and those that sit on them.
    private mutating func dropTops(_ model: inout Model, _ relation: inout Correspondence) {
      var gone: Set<String> = []
      for top in model.architecture.tops {
        let names = Set(top.weights.map(\.name))
        let own = model.weights.filter { names.contains($0.name) }
        if own.allSatisfy({ allowed.match([$0.name, $0.tensor.name] + $0.sources) }) {
          drops += own.map { .asked($0.name) }
        } else if case .layer(let below) = top.input, gone.contains(below) {
          drops += own.map {
            Drop(name: $0.name, sources: $0.sources, reason: "sits on \(below)", loses: true)
          }
        } else {
          continue
        }
        gone.insert(top.name)
        model.weights.removeAll { names.contains($0.name) }
        relation.removed.formUnion(["head.\(top.name)", "\(top.name)_logits", "\(top.name)_probs"])
      }
      guard !gone.isEmpty else { return }
      relation.removed.formUnion([
        "logits", "probs", "crf_emissions", "memm_emissions", "span_scores", "start_logits",
        "end_logits",
      ])
      model.architecture.tops.removeAll { gone.contains($0.name) }
    }

    private func remove(_ head: Head, _ model: inout Model, _ relation: inout Correspondence) {
      let name = head.rawValue
      model.weights.removeAll { $0.name.hasPrefix("\(name).") }
      model.architecture.heads.remove(head)
      relation.removed.formUnion([
        name, "\(name)_output", "\(name)_logits", "\(name)_probs", "\(name).transform",
        "\(name).norm",
      ])
      if head == .sop { relation.removed.formUnion(["nsp_logits", "nsp_probs"]) }
    }

  }
}

extension Tensor {
  /// The tensor in another precision; what is no float stays, and so does what cannot be put into
  /// the blocks of a quantized type.
  ///
  /// - Throws: ``CheckpointError`` for blocks that ckpt cannot decode.
  func converted(to dtype: DType?) throws(CheckpointError) -> Tensor {
    guard let dtype else { return self }
    guard !self.dtype.isQuantized || dtype.isQuantized || isCastable else {
      throw CheckpointError(
        .unsupported, .tensor(name), "ckpt cannot decode blocks of \(self.dtype.rawValue)",
        hint: "to go on without it: --allow-drop '\(name)'")
    }
    return canBecome(dtype) ? cast(to: dtype) : self
  }
}

/// The globs of `--allow-drop`, and which of them have matched something.
private struct AllowedDrops {
  private let globs: [Glob]
  private var used: Set<String> = []

  init(_ patterns: [String]) { globs = patterns.map { Glob($0) } }

  /// Whether a glob matches one of the names.
  mutating func match(_ names: [String]) -> Bool {
    let matching = globs.filter { names.contains(where: $0.matches) }
    used.formUnion(matching.map(\.pattern))
    return !matching.isEmpty
  }

  /// The globs that have matched nothing.
  var unused: [String] { globs.map(\.pattern).filter { !used.contains($0) } }
}
