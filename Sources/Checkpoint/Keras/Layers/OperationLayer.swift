/// An operation between layers, as layers of their own: what ``KerasOperation`` lists.
public struct OperationLayer: KerasLayer {
  public static let classNames = ["TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"]

  /// The names of operations, as they are looked up.
  public static var operations: [String] { OperationTable.names }

  private let config: KerasConfig
  /// Its name in the file: `tf.math.add`, `keras.ops.Add`.
  public let name: String
  private let rule: OperationTable.Rule

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    let key: String
    switch config.className {
    case let name where name.hasPrefix(KerasNetwork.operationPrefix):
      key = KerasNames.snakeCase(String(name.dropFirst(KerasNetwork.operationPrefix.count)))
      self.name = name
    case "TensorFlowOpLayer":
      let reader = try TensorFlowNode.reader(config, KerasCall([]))
      key = KerasNames.snakeCase(reader.name)
      name = reader.name
    default:
      let function = try config.text("function")
      key = OperationLayer.plainName(function)
      name = "tf." + function
    }
    guard let rule = OperationTable.rule(named: key) else {
      throw config.error(
        "is the operation \(name), which ckpt does not know", kind: .unsupported,
        hint:
          "what comes before it can be run with --tap; docs/keras-layers.md lists the operations")
    }
    self.rule = rule
  }

  /// Modules of TensorFlow and Keras whose functions are in the table.
  private static let modules: Set<String> = [
    "", "math", "nn", "linalg", "__operators__", "compat.v1", "compat.v1.math", "compat.v1.nn",
    "compat.v1.linalg", "compat.v1.image", "image", "keras.backend", "keras.activations",
    "keras.ops", "raw_ops", "experimental.numpy",
  ]

  /// `math.reduce_mean` → `reduce_mean`; a function of another module keeps its name, which is in no table.
  private static func plainName(_ function: String) -> String {
    guard let dot = function.lastIndex(of: ".") else { return function }
    let name = String(function[function.index(after: dot)...])
    guard modules.contains(String(function[..<dot])) else { return function }
    // Raw operations are named like nodes.
    return function.hasPrefix("raw_ops.") ? KerasNames.snakeCase(name) : name
  }

  /// The operation, and which of the call's tensors or which numbers it works on.
  ///
  /// - Throws: ``CheckpointError`` where arguments are missing or none that are known.
  public func reading<Value: Sendable>(
    _ call: KerasCall<Value>
  ) throws(CheckpointError) -> (operation: KerasOperation, operands: [KerasOperand]) {
    var next = 0
    let numbered: KerasCall<Int> = call.map { (_: Value) throws(Never) -> Int in
      defer { next += 1 }
      return next
    }
    return try rule(try reader(numbered))
  }

  private func reader(_ call: KerasCall<Int>) throws(CheckpointError) -> OperationReader {
    if config.className == "TensorFlowOpLayer" { return try TensorFlowNode.reader(config, call) }
    let isKeras3 = config.className.hasPrefix(KerasNetwork.operationPrefix)
    return OperationReader(
      name: name, arguments: call.arguments, keywords: call.keywords,
      members: isKeras3 ? (config.json.members ?? []).filter { $0.key != "name" } : [],
      version: isKeras3 ? 3 : 2)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let (operation, operands) = try reading(call)
    let shapes = call.tensors
    return try operation.outputs(
      operands.map { operand in
        switch operand {
        case .tensor(let index): shapes[index]
        case .numbers(let numbers): KerasShape(numbers.shape.map { $0 })
        }
      })
  }
}
