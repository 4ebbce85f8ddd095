/// What a model computes: named operations over named weights, batch and length symbolic.
///
/// Static single assignment: a value is an input, a weight, a state, or the result of exactly one
/// node, and nodes stand in an order in which they can be run.
public struct Graph: Sendable {
  /// A value's place in ``values``.
  public struct ID: Sendable, Hashable, Comparable {
    public let index: Int
    public static func < (a: ID, b: ID) -> Bool { a.index < b.index }
  }

  public struct Value: Sendable {
    /// The canonical name, or empty for a value that nobody asks for.
    public var name: String
    public var shape: [Dimension]
    public var source: Source
  }

  public enum Source: Sendable {
    case input
    case weight
    /// What a session keeps from one run to the next (``Append``).
    case state
    case node(Int)
  }

  public struct Node: Sendable {
    public var op: any Op
    public var operands: [ID]
    public var result: ID
  }

  /// A name under which a value leaves the graph.
  public struct Output: Sendable {
    public var name: String
    public var value: ID
  }

  public private(set) var values: [Value] = []
  public private(set) var nodes: [Node] = []
  /// What the model answers; a value may leave under several names.
  public private(set) var outputs: [Output] = []

  /// The first of each name, for looking up.
  private var outputByName: [String: ID] = [:]
  private var resultByName: [String: ID] = [:]
  private var weightByName: [String: ID] = [:]
  private var stateByName: [String: ID] = [:]
  private var aliasByName: [String: ID] = [:]
  /// Further names of values, of what only hands on what it takes, in the order in which they were given.
  public private(set) var aliases: [String] = []

  public init() {}

  public subscript(id: ID) -> Value { values[id.index] }

  public var ids: [ID] { values.indices.map(ID.init) }

  /// Inputs in the order in which they were made.
  public var inputs: [ID] {
    ids.filter { if case .input = self[$0].source { true } else { false } }
  }

  /// Weights in the order of first use.
  public var weights: [ID] {
    ids.filter { if case .weight = self[$0].source { true } else { false } }
  }

  /// States in the order of first use.
  public var states: [ID] {
    ids.filter { if case .state = self[$0].source { true } else { false } }
  }

  /// The state in whose memory a value lies: its own, or that to which rows are appended.
  func state(behind id: ID) -> ID? {
    switch self[id].source {
    case .state: id
    case .node(let index) where nodes[index].op is Append: state(behind: nodes[index].operands[0])
    case .input, .weight, .node: nil
    }
  }

  /// The value of that canonical or output name.
  public func value(named name: String) -> ID? {
    // Weights have names too; a weight and the value made with it may share one.
    guard !name.isEmpty else { return nil }
    return outputByName[name] ?? resultByName[name]
      ?? inputs.first { self[$0].name == name } ?? aliasByName[name] ?? weightByName[name]
  }

  /// The names of inner values that can be tapped, in the order in which they are computed.
  public var valueNames: [String] {
    nodes.map { self[$0.result].name }.filter { !$0.isEmpty }
  }

  // MARK: Building

  /// Adds an input.
  public mutating func input(_ name: String, _ shape: [Dimension]) -> ID {
    add(Value(name: name, shape: shape, source: .input))
  }

  /// Adds a weight, or returns the one of that name.
  ///
  /// - Throws: ``InferError`` when it was used with another shape before.
  public mutating func weight(_ name: String, _ shape: [Int]) throws(InferError) -> ID {
    let dimensions = shape.map { Dimension.fixed($0) }
    if let id = weightByName[name] {
      guard self[id].shape == dimensions else {
        throw InferError(.graph, name, "is used as \(self[id].shape) and as \(dimensions)")
      }
      return id
    }
    let id = add(Value(name: name, shape: dimensions, source: .weight))
    weightByName[name] = id
    return id
  }

  /// Adds a state `[batch, capacity or length, width]`, or returns the one of that name.
  ///
  /// - Throws: ``InferError`` when it was used with another shape before.
  public mutating func state(_ name: String, _ shape: [Dimension]) throws(InferError) -> ID {
    if let id = stateByName[name] {
      guard self[id].shape == shape else {
        throw InferError(.graph, name, "is used as \(self[id].shape) and as \(shape)")
      }
      return id
    }
    guard shape.count == 3, shape[0] == .batch, shape[1] == .capacity || shape[1] == .length,
      case .fixed = shape[2]
    else {
      throw InferError(.graph, name, "is a state \(shape); expected [batch, capacity, width]")
    }
    let id = add(Value(name: name, shape: shape, source: .state))
    stateByName[name] = id
    return id
  }

  /// Adds a node; its result's shape follows from the op's rule.
  ///
  /// - Throws: ``InferError`` with the op and all shapes, when the operands do not fit.
  public mutating func apply(
    _ op: any Op, _ operands: ID..., named name: String = ""
  ) throws(InferError) -> ID {
    try apply(op, operands, named: name)
  }

  public mutating func apply(
    _ op: any Op, _ operands: [ID], named name: String = ""
  ) throws(InferError) -> ID {
    let shapes = operands.map { self[$0].shape }
    do {
      let shape = try op.shape(shapes)
      let id = add(Value(name: name, shape: shape, source: .node(nodes.count)))
      nodes.append(Node(op: op, operands: operands, result: id))
      if resultByName[name] == nil { resultByName[name] = id }
      return id
    } catch {
      throw InferError(.graph, name, "\(op.name) expects \(error.expected); it got \(shapes)")
    }
  }

  /// Gives a value a name by which it can be asked for; one that has a name already gets another.
  ///
  /// The first value of a name keeps it.
  public mutating func name(_ id: ID, _ name: String) {
    if case .node = self[id].source, self[id].name.isEmpty {
      values[id.index].name = name
      if resultByName[name] == nil { resultByName[name] = id }
    } else if self[id].name != name, aliasByName[name] == nil {
      aliasByName[name] = id
      aliases.append(name)
    }
  }

  /// Lets a value leave the graph under a name.
  public mutating func output(_ name: String, _ value: ID) {
    outputs.append(Output(name: name, value: value))
    if outputByName[name] == nil { outputByName[name] = value }
  }

  private mutating func add(_ value: Value) -> ID {
    values.append(value)
    return ID(index: values.count - 1)
  }
}
