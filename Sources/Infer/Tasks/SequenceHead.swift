import Checkpoint

/// A layer that classifies whole texts: one that a user or a task has put on top, or NSP and SOP.
public struct SequenceHead: Sendable, Equatable {
  /// How scores are made of logits.
  public enum Activation: String, Sendable, CaseIterable {
    /// One label holds.
    case softmax
    /// Each label holds or not.
    case sigmoid
    /// The numbers themselves: a regression.
    case none
  }

  /// What the model calls it: `dense_3`, `classifier`, `nsp`.
  public let name: String
  /// The graph's value that holds its logits, `[batch, size]`.
  let value: String
  public let size: Int
  public let activation: Activation

  /// All of a model's: those on top first, then NSP and SOP.
  ///
  /// - Parameter problem: `problem_type` of transformers' configuration.
  public static func all(of model: RunnableModel, problem: String?) -> [SequenceHead] {
    let graph = model.graph
    func width(_ output: String) -> Int? {
      guard let id = graph.outputs.first(where: { $0.name == output })?.value else { return nil }
      let shape = graph[id].shape
      guard shape.count == 2, shape[0] == .batch, case .fixed(let width) = shape[1] else {
        return nil
      }
      return width
    }
    let below = Set(
      model.architecture.tops.compactMap { top in
        if case .layer(let name) = top.input { name } else { nil }
      })
    let answering = model.architecture.tops.filter { top in
      if case .dense = top.kind { !below.contains(top.name) } else { false }
    }
    let tops = answering.compactMap { top -> SequenceHead? in
      let value = answering.count == 1 ? "logits" : "\(top.name)_logits"
      guard let size = width(value) else { return nil }
      return SequenceHead(
        name: top.name, value: value, size: size, activation: activation(top, size, problem))
    }
    let pairs = [Head.nsp, .sop].filter(model.architecture.heads.contains).map { head in
      SequenceHead(
        name: head.rawValue, value: "\(head.rawValue)_logits", size: 2, activation: .softmax)
    }
    return tops + pairs
  }

  /// What the layer itself says, else what transformers' pipeline goes by.
  private static func activation(_ top: TopLayer, _ size: Int, _ problem: String?) -> Activation {
    switch top.kind {
    case .dense(.softmax): return .softmax
    case .dense(.activated(.sigmoid)): return .sigmoid
    default: break
    }
    return switch problem {
    case "regression": .none
    case "multi_label_classification": .sigmoid
    default: size == 1 ? .sigmoid : .softmax
    }
  }

  /// The one of that name; without a name, the only one on top.
  ///
  /// - Throws: ``InferError`` when there is none, or more than one to choose from.
  public static func named(
    _ name: String?, of model: any TextModel, problem: String?
  ) throws -> SequenceHead {
    let all = try model.sequenceHeads(problem: problem)
    let names = all.map(\.name).joined(separator: ", ")
    if let name {
      guard let head = all.first(where: { $0.name == name }) else {
        throw InferError(
          .input, "--head \(name)", "the model has no such head for whole texts",
          hint: names.isEmpty ? nil : "it has \(names)")
      }
      return head
    }
    let tops = all.filter { $0.name != Head.nsp.rawValue && $0.name != Head.sop.rawValue }
    guard tops.count < 2 else {
      throw InferError(
        .input, "classify", "the model has several heads for whole texts",
        hint: "choose one: --head \(tops.map(\.name).joined(separator: " or "))")
    }
    guard let head = tops.first else {
      throw InferError(
        .unsupported, "classify", "the model has no layer on top that classifies whole texts",
        hint: names.isEmpty
          ? "say where a layer sits: --set head.NAME=first-token,softmax" : "use --head \(names)")
    }
    return head
  }

  /// What the labels of NSP and SOP mean.
  public var labels: [String]? {
    switch name {
    case Head.nsp.rawValue: ["next", "random"]
    case Head.sop.rawValue: ["in order", "swapped"]
    default: nil
    }
  }
}
