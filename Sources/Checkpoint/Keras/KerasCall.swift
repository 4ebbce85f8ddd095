/// An argument with which a layer is called: a tensor, a constant, or a list of arguments.
public indirect enum KerasArgument<Value: Sendable>: Sendable {
  case tensor(Value)
  case constant(JSON)
  case list([KerasArgument])

  /// The tensors in it, in order.
  public var tensors: [Value] {
    switch self {
    case .tensor(let value): [value]
    case .constant: []
    case .list(let items): items.flatMap(\.tensors)
    }
  }

  /// The same with other values in the tensors' places.
  public func map<Other, Failure: Error>(
    _ transform: (Value) throws(Failure) -> Other
  ) throws(Failure) -> KerasArgument<Other> {
    switch self {
    case .tensor(let value): return .tensor(try transform(value))
    case .constant(let json): return .constant(json)
    case .list(let items):
      var mapped: [KerasArgument<Other>] = []
      for item in items { mapped.append(try item.map(transform)) }
      return .list(mapped)
    }
  }

  public var constant: JSON? {
    if case .constant(let json) = self { json } else { nil }
  }
}

/// One application of a layer: what it takes.
public struct KerasCall<Value: Sendable>: Sendable {
  /// What stands without a name; a layer of several inputs takes one list.
  public var arguments: [KerasArgument<Value>]
  /// What stands by name (`mask`, `initial_state`, `training`, an operation's constants), in order.
  public var keywords: [(name: String, argument: KerasArgument<Value>)]

  public init(
    _ arguments: [KerasArgument<Value>],
    keywords: [(name: String, argument: KerasArgument<Value>)] = []
  ) {
    self.arguments = arguments
    self.keywords = keywords
  }

  /// A call with tensors alone.
  public init(_ tensors: [Value]) {
    self.init(
      tensors.count == 1 ? [.tensor(tensors[0])] : [.list(tensors.map { .tensor($0) })])
  }

  /// The tensors among the arguments without a name.
  public var inputs: [Value] { arguments.flatMap(\.tensors) }

  /// The only input.
  ///
  /// - Throws: ``CheckpointError`` where there are none, or several.
  public func only() throws(CheckpointError) -> Value {
    let inputs = inputs
    guard inputs.count == 1 else {
      throw CheckpointError(.mismatch, Place(), "takes one tensor; it is given \(inputs.count)")
    }
    return inputs[0]
  }

  /// All tensors, those by name last.
  public var tensors: [Value] { inputs + keywords.flatMap(\.argument.tensors) }

  public subscript(keyword: String) -> KerasArgument<Value>? {
    keywords.first { $0.name == keyword }?.argument
  }

  public func map<Other, Failure: Error>(
    _ transform: (Value) throws(Failure) -> Other
  ) throws(Failure) -> KerasCall<Other> {
    var mapped: [KerasArgument<Other>] = []
    for argument in arguments { mapped.append(try argument.map(transform)) }
    var named: [(name: String, argument: KerasArgument<Other>)] = []
    for (name, argument) in keywords { named.append((name, try argument.map(transform))) }
    return KerasCall<Other>(mapped, keywords: named)
  }
}
