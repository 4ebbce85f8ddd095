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
    var rows: [Spelling.Row] = []
    var drops: [Drop] = []
    /// Why the models cannot be run for the proof.
    var notRun: String?

    init(_ request: Request, _ opening: Opening, _ remarks: inout [String]) throws {
      checkpoint = opening.checkpoint
      drops = opening.checkpoint.unreadable.map {
        Drop(name: $0.name, reason: $0.reason, loses: true)
      }
      if request.dialect == nil, request.steps.isEmpty, request.family == nil {
        planNames(request, opening)
      } else {
        try planModel(request, opening, &remarks)
      }
    }

    /// Names as they are: every tensor goes over, at most in another precision.
    private mutating func planNames(_ request: Request, _ opening: Opening) {
      // The meaning is only for the proof; without one there is still the comparison of bytes.
      do {
        model = try opening.model()
      } catch {
        notRun = error.reason
      }
      transformed = model
      checkpoint.groups = checkpoint.groups.map { group in
        var group = group
        group.tensors = group.tensors.filter { tensor in
          !request.allowedDrops.contains { Glob($0).matches(tensor.name) }
        }.map { $0.converted(to: request.dtype) }
        return group
      }
      let kept = Set(checkpoint.tensors.map(\.name))
      for tensor in opening.checkpoint.tensors where !kept.contains(tensor.name) {
        drops.append(Drop(name: tensor.name, reason: "--allow-drop", loses: true))
      }
      if model != nil, !drops.isEmpty {
        model = nil
        notRun = "tensors were dropped"
      }
      rows = checkpoint.tensors.map { tensor in
        Spelling.Row(
          target: tensor.name, sources: [tensor.name],
          operation: tensor.payload.storage.hasPrefix("cast") ? tensor.payload.storage : "",
          dtype: tensor.dtype, shape: tensor.shape)
      }
    }

    private mutating func planModel(
      _ request: Request, _ opening: Opening, _ remarks: inout [String]
    ) throws {
      let source = try opening.model()
      let target = try DialectRegistry.named(request.dialect ?? source.dialect)
      dialect = target
      model = source
      remarks += source.warnings
      var (result, relation) = try TransformRegistry.apply(request.steps, to: source)
      if let family = request.family { result = try result.relabelled(as: family) }
      drops += source.left.map { Drop(name: $0.tensor.name, reason: $0.reason, loses: true) }
      drops += source.redundant.map {
        Drop(name: $0.tensor.name, reason: $0.reason, loses: false)
      }
      dropHeads(request, &result, &relation)
      result.carried = result.carried.map { group in
        var group = group
        group.tensors = group.tensors.filter { tensor in
          let dropped = request.allowedDrops.contains { Glob($0).matches(tensor.name) }
          if dropped {
            drops.append(Drop(name: tensor.name, reason: "--allow-drop", loses: true))
          }
          return !dropped
        }.map { $0.converted(to: request.dtype) }
        return group
      }.filter { !$0.tensors.isEmpty }
      result.weights = result.weights.map { weight in
        guard let dtype = request.dtype, weight.tensor.dtype.isFloat else { return weight }
        var copy = weight
        copy.tensor = weight.tensor.cast(to: dtype)
        if dtype != weight.tensor.dtype {
          copy.operation = [weight.operation, "cast \(dtype.rawValue)"]
            .filter { !$0.isEmpty }.joined(separator: ", ")
        }
        return copy
      }
      let spelled = try target.spell(result)
      // What the class does not expect would be ignored on loading: lost without a word.
      let carried = Set(result.carried.flatMap(\.tensors).map(\.name))
      for name in spelled.unexpected where !carried.contains(name) {
        drops.append(
          Drop(
            name: canonical(name, spelled, result),
            reason: "\(spelled.loadsAs) has no place for \(name)", loses: true))
      }
      if opening.checkpoint.text("model_config") != nil {
        remarks.append("the result holds weights only: model_config describes the source")
      }
      remarks += spelled.remarks
      transformed = result
      correspondence = relation
      spelling = spelled
      checkpoint = spelled.checkpoint
      configuration = spelled.configuration
      rows = spelled.rows
    }

    /// Leaves out heads whose weights the user allows to drop.
    private mutating func dropHeads(
      _ request: Request, _ model: inout Model, _ relation: inout Correspondence
    ) {
      let globs = request.allowedDrops.map { Glob($0) }
      func allowed(_ weight: Weight) -> Bool {
        globs.contains { glob in
          glob.matches(weight.name) || weight.sources.contains(where: glob.matches)
        }
      }
      for head in model.architecture.heads.sorted() {
        let own = model.weights.filter { $0.name.hasPrefix("\(head.rawValue).") }
        guard !own.isEmpty, own.allSatisfy(allowed) else { continue }
        drops += own.map { Drop(name: $0.name, reason: "--allow-drop", loses: true) }
        model.weights.removeAll { $0.name.hasPrefix("\(head.rawValue).") }
        model.architecture.heads.remove(head)
        relation.removed.formUnion(
          [head.rawValue, "\(head.rawValue)_output", "\(head.rawValue)_logits"]
            + ["\(head.rawValue)_probs", "\(head.rawValue).transform", "\(head.rawValue).norm"])
        if head == .sop { relation.removed.formUnion(["nsp_logits", "nsp_probs"]) }
      }
    }

    private func canonical(_ target: String, _ spelled: Spelling, _ model: Model) -> String {
      let sources = spelled.rows.first { $0.target == target }?.sources ?? []
      return model.weights.first { $0.sources == sources }?.name ?? target
    }
  }
}

extension Tensor {
  /// The tensor in another float precision; integers and `nil` leave it as it is.
  fileprivate func converted(to dtype: DType?) -> Tensor {
    guard let dtype, self.dtype.isFloat else { return self }
    return cast(to: dtype)
  }
}
