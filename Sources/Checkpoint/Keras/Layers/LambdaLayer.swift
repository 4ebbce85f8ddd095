/// Python code in a model. It is never executed: ckpt goes by what the code is known to do, or by the
/// function that the user names for the layer.
public struct LambdaLayer: KerasLayer {
  public static let classNames = ["Lambda"]

  public let function: LambdaFunction

  public init(_ config: KerasConfig) throws(CheckpointError) {
    if let given = config.context.lambdas[config.layer] {
      function = try LambdaFunction(named: given, for: config)
    } else if let known = LambdaFunction.recognised(config) {
      function = known
    } else {
      throw config.error(
        "holds Python code, which ckpt does not execute" + LambdaLayer.saying(config),
        kind: .unsupported,
        hint: "say what it computes by --lambda \(config.layer)=FUNCTION; functions: "
          + LambdaFunction.names.joined(separator: ", "))
    }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { try function.outputs(call.inputs) }

  /// What the config says of the code: its name, the shape of its result.
  private static func saying(_ config: KerasConfig) -> String {
    var parts: [String] = []
    let function = config["function"]
    if let name = function?.string ?? function?["config"]?.string, name.utf8.count < 80 {
      parts.append("its function is called \(name)")
    }
    if let shape = config["output_shape"], KerasConfig.items(shape) != nil {
      parts.append("its result has the shape \(shape.compact.prefix(80)) after the batch")
    }
    if let arguments = config["arguments"]?.members, !arguments.isEmpty {
      parts.append("it is given \(arguments.map(\.key).joined(separator: ", ").prefix(80))")
    }
    return parts.isEmpty ? "" : "; " + parts.joined(separator: ", ")
  }

  /// Whether code of a Lambda is `lambda x: x[:, 0]`: its bytecode, which Python 3.6 to 3.12 begin alike, and
  /// its constants `None` and 0.
  ///
  /// - Parameter function: the config's `function`, as Keras 2 or 3 writes it.
  static func takesFirst(_ function: JSON?) -> Bool { takes(function, [0, 0, 0, 0]) }

  /// Whether it is `lambda x: x[:, −1]`.
  static func takesLast(_ function: JSON?) -> Bool { takes(function, [0xFF, 0xFF, 0xFF, 0xFF]) }

  private static func takes(_ function: JSON?, _ place: [UInt8]) -> Bool {
    guard let text = function?.array?.first?.string ?? function?["config"]?["code"]?.string else {
      return false
    }
    let code = Base64.decoded(text)
    return code.firstRange(of: column) != nil
      && (code.firstRange(of: [0x4E, 0xE9] + place) != nil
        || code.firstRange(of: [0x4E, 0x69] + place) != nil)
  }

  /// x, slice(None, None), the second constant, made a tuple, subscripted.
  private static let column: [UInt8] = [
    0x7C, 0, 0x64, 0, 0x64, 0, 0x85, 2, 0x64, 1, 0x66, 2, 0x19, 0,
  ]
}

/// A function by its name, for the place of a Lambda layer's code.
public struct LambdaFunction: Sendable {
  enum Step: Sendable {
    /// Of each tensor alone.
    case each(KerasOperation)
    /// Of all tensors, which become one.
    case all(KerasOperation)
  }

  public let name: String
  /// How many tensors it takes; any number where it is `nil`.
  let count: Int?
  let steps: [Step]

  /// Every name, with the argument that it may have.
  public static let names: [String] = table.map(\.name)

  /// - Parameter text: `mean`, `mean=2`, `scale=0.5`.
  init(named text: String, for config: KerasConfig) throws(CheckpointError) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    func wrong(_ what: String) -> CheckpointError {
      CheckpointError(
        .usage, Place(member: "--lambda \(config.layer)=\(text)"), what,
        hint: "functions: \(LambdaFunction.names.joined(separator: ", "))")
    }
    guard let name = parts.first,
      let entry = LambdaFunction.table.first(where: {
        $0.name.split(separator: "=").first.map(String.init) == name
      })
    else { throw wrong("is no function that ckpt knows") }
    var number: Double?
    if parts.count == 2 {
      guard entry.name.contains("="), let value = Double(parts[1]), value.isFinite,
        abs(value) < Double(KerasConfig.largest)
      else { throw wrong("has an argument that it does not take") }
      number = value
    } else if entry.name.contains("="), !entry.name.contains("=AXIS") {
      throw wrong("needs a number: \(entry.name)")
    }
    if entry.name.contains("=AXIS"), let number, Int(exactly: number) == nil {
      throw wrong("has an axis that is no whole number")
    }
    self.init(name: text, count: entry.count, steps: entry.steps(number))
  }

  private init(name: String, count: Int?, steps: [Step]) {
    (self.name, self.count, self.steps) = (name, count, steps)
  }

  /// What a layer's code is known to do.
  static func recognised(_ config: KerasConfig) -> LambdaFunction? {
    let function = config["function"]
    let name: String
    if LambdaLayer.takesFirst(function) {
      name = "first-token"
    } else if LambdaLayer.takesLast(function) {
      name = "last-token"
    } else if config.layer.hasSuffix("Attention-LM-Mask") {
      name = "causal-mask"
    } else if config.layer.hasSuffix("Attention-UniLM-Mask") {
      name = "prefix-mask"
    } else {
      return nil
    }
    return try? LambdaFunction(named: name, for: config)
  }

  // MARK: The table

  private typealias Entry = (
    name: String, count: Int?, steps: @Sendable (_ argument: Double?) -> [Step]
  )

  private static func unary(_ name: String, _ op: String? = nil) -> Entry {
    (name, 1, { _ in [.all(.unary(op ?? name))] })
  }

  private static func activation(_ name: String) -> Entry {
    (name, 1, { _ in [.all(.activation(KerasActivation(name: name)))] })
  }

  private static func reduction(_ name: String) -> Entry {
    (
      name + "=AXIS", 1,
      { [.all(.reduce(name, axes: [axis($0, 1)], keepsDimensions: false))] }
    )
  }

  private static func position(_ name: String, _ index: Int) -> Entry {
    (name, 1, { _ in [.all(.slice([.range(start: nil, stop: nil, step: 1), .index(index)]))] })
  }

  private static func axis(_ argument: Double?, _ fallback: Int) -> Int {
    argument.flatMap { Int(exactly: $0) } ?? fallback
  }

  private static let sumOfLast = Step.all(.reduce("sum", axes: [-1], keepsDimensions: true))
  private static let lengths = Step.each(.normalize(order: 2, axes: [-1], epsilon: 1e-6))

  private static let table: [Entry] = [
    ("identity", 1, { _ in [.all(.identity)] }),
    position("first-token", 0), position("last-token", -1),
    ("position=AXIS", 1, { [.all(.slice([.range(start: nil, stop: nil, step: 1), .index(axis($0, 0))]))] }),
    reduction("mean"), reduction("max"), reduction("min"), reduction("sum"),
    ("l2-normalize=AXIS", 1, { [.all(.normalize(order: 2, axes: [axis($0, -1)], epsilon: 1e-6))] }),
    ("squeeze=AXIS", 1, { [.all(.squeeze([axis($0, -1)]))] }),
    ("expand-dims=AXIS", 1, { [.all(.expand([axis($0, -1)]))] }),
    ("reverse=AXIS", 1, { [.all(.flip([axis($0, 1)]))] }),
    ("argmax=AXIS", 1,
      { [.all(.argument(isMaximum: true, axis: axis($0, -1), keepsDimensions: false))] }),
    ("softmax=AXIS", 1,
      { [
        .all(.activation(KerasActivation(name: "softmax", parameters: ["axis": Double(axis($0, -1))])))
      ] }),
    unary("abs"), unary("square"), unary("sqrt"), unary("exp"), unary("log"),
    unary("negative", "negate"), unary("round"), unary("sign"),
    activation("relu"), activation("tanh"), activation("sigmoid"), activation("softplus"),
    ("one-minus", 1, { _ in [.all(.unary("negate")), .all(.shift(1))] }),
    ("scale=X", 1, { [.all(.scale($0 ?? 1))] }),
    ("shift=X", 1, { [.all(.shift($0 ?? 0))] }),
    ("not-equal=X", 1, { [.all(.shift(-($0 ?? 0))), .all(.toBoolean)] }),
    ("stop-gradient", 1, { _ in [.all(.identity)] }),
    ("causal-mask", 1, { _ in [.all(.causalMask)] }),
    ("prefix-mask", 1, { _ in [.all(.prefixMask)] }),
    ("add", nil, { _ in [.all(.sum)] }),
    ("subtract", 2, { _ in [.all(.binary("subtract"))] }),
    ("multiply", 2, { _ in [.all(.binary("multiply"))] }),
    ("divide", 2, { _ in [.all(.binary("divide"))] }),
    ("concatenate=AXIS", nil, { [.all(.concatenate(axis: axis($0, -1)))] }),
    ("abs-difference", 2, { _ in [.all(.binary("subtract")), .all(.unary("abs"))] }),
    ("squared-difference", 2, { _ in [.all(.binary("squared_difference"))] }),
    ("l1-distance", 2, { _ in [.all(.binary("subtract")), .all(.unary("abs")), sumOfLast] }),
    ("exp-negative-l1-distance", 2,
      { _ in
        [
          .all(.binary("subtract")), .all(.unary("abs")), sumOfLast, .all(.unary("negate")),
          .all(.unary("exp")),
        ]
      }),
    ("euclidean-distance", 2,
      { _ in
        [
          .all(.binary("squared_difference")), sumOfLast,
          .all(.clip(min: 1e-7, max: .infinity)), .all(.unary("sqrt")),
        ]
      }),
    ("cosine-similarity", 2,
      { _ in [lengths, .all(.binary("multiply")), sumOfLast] }),
    ("cosine-distance", 2,
      { _ in
        [
          lengths, .all(.binary("multiply")), sumOfLast, .all(.unary("negate")), .all(.shift(1)),
        ]
      }),
    ("dot", 2, { _ in [.all(.binary("multiply")), sumOfLast] }),
  ]

  // MARK: What it does

  /// Applies the steps to tensors, or to their shapes.
  ///
  /// - Throws: ``CheckpointError`` where it takes another number of tensors, or what `apply` throws.
  public func applied<Value, Failure: Error>(
    to values: [Value], _ mismatch: (CheckpointError) -> Failure,
    _ apply: (KerasOperation, [Value]) throws(Failure) -> [Value]
  ) throws(Failure) -> [Value] {
    guard count.map({ values.count == $0 }) ?? !values.isEmpty else {
      throw mismatch(
        CheckpointError(
          .mismatch, Place(),
          "computes \(name), which takes \(count ?? 1) tensors; it is given \(values.count)"))
    }
    var values = values
    for step in steps {
      switch step {
      case .each(let operation):
        var results: [Value] = []
        for value in values { results += try apply(operation, [value]) }
        values = results
      case .all(let operation): values = try apply(operation, values)
      }
    }
    return values
  }

  func outputs(_ shapes: [KerasShape]) throws(CheckpointError) -> [KerasShape] {
    try applied(to: shapes, { $0 }) { operation, shapes throws(CheckpointError) in
      try operation.outputs(shapes)
    }
  }
}
