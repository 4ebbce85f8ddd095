/// A layer that a user or a task has put on top of a model.
///
/// Its weights are `head.NAME.…`, its value is `head.NAME`; NAME is what the framework calls it.
public struct TopLayer: Sendable, Equatable {
  public var name: String
  public var kind: Kind
  public var input: Input
  /// Width of what it takes.
  public var inputSize: Int
  /// Labels; heads of a pointer.
  public var outputSize: Int
  public var hasBias = true

  public enum Kind: Sendable, Equatable {
    /// `activation(x · kernel + bias)`.
    case dense(Output)
    /// A linear-chain conditional random field: transitions `[from, to]`.
    case crf
    /// A maximum entropy Markov model, its transitions factored when `rank` is given.
    case memm(rank: Int?)
    /// GlobalPointer (kexue.fm/archives/8373): per head a query and a key of `size`.
    case globalPointer(size: Int, isRotary: Bool, isTriangular: Bool)
    /// EfficientGlobalPointer (kexue.fm/archives/8877): one query and key of `size`, biases per head.
    case efficientGlobalPointer(size: Int, isRotary: Bool, isTriangular: Bool)
    /// Start and end of an answer: two columns of a dense layer.
    case span
  }

  /// What a dense layer returns.
  public enum Output: Sendable, Equatable {
    case activated(Activation)
    case softmax
  }

  /// What it sits on.
  public enum Input: Sendable, Equatable {
    case sequence
    case firstToken
    case pooler
    /// Another layer on top.
    case layer(String)

    /// `sequence`, `first-token`, `pooler`, or the name of a layer.
    public init(_ text: String) {
      switch text {
      case "sequence": self = .sequence
      case "first-token": self = .firstToken
      case "pooler": self = .pooler
      default: self = .layer(text)
      }
    }

    public var description: String {
      switch self {
      case .sequence: "sequence"
      case .firstToken: "first-token"
      case .pooler: "pooler"
      case .layer(let name): name
      }
    }
  }

  public init(
    _ name: String, _ kind: Kind, on input: Input, inputSize: Int, outputSize: Int,
    hasBias: Bool = true
  ) {
    self.name = name
    self.kind = kind
    self.input = input
    self.inputSize = inputSize
    self.outputSize = outputSize
    self.hasBias = hasBias
  }

  /// Every weight that it must have.
  public var weights: [WeightSpec] {
    let base = "head.\(name)"
    func dense(_ part: String, _ input: Int, _ output: Int) -> [WeightSpec] {
      let kernel = WeightSpec("\(base)\(part).kernel", [input, output])
      return hasBias ? [kernel, WeightSpec("\(base)\(part).bias", [output])] : [kernel]
    }
    return switch kind {
    case .dense: dense("", inputSize, outputSize)
    case .span: dense("", inputSize, 2)
    case .crf, .memm(rank: nil):
      [WeightSpec("\(base).transitions", [outputSize, outputSize])]
    case .memm(let rank?):
      [
        WeightSpec("\(base).left", [outputSize, rank]),
        WeightSpec("\(base).right", [outputSize, rank]),
      ]
    case .globalPointer(let size, _, _): dense("", inputSize, 2 * size * outputSize)
    case .efficientGlobalPointer(let size, _, _):
      dense(".projection", inputSize, 2 * size) + dense(".scores", 2 * size, 2 * outputSize)
    }
  }

  /// One line for people.
  public var summary: String { "\(name): \(meaning)" }

  /// What it does and on what, whatever its name.
  public var meaning: String {
    let what =
      switch kind {
      case .dense(.softmax): "\(outputSize) labels, softmax"
      case .dense(.activated(.linear)): "\(outputSize) wide"
      case .dense(.activated(let activation)): "\(outputSize) wide, \(activation.rawValue)"
      case .crf: "CRF of \(outputSize) labels"
      case .memm(rank: nil): "MEMM of \(outputSize) labels"
      case .memm(let rank?): "MEMM of \(outputSize) labels, rank \(rank)"
      case .globalPointer(let size, _, _): "GlobalPointer, \(outputSize) heads of \(size)"
      case .efficientGlobalPointer(let size, _, _):
        "EfficientGlobalPointer, \(outputSize) heads of \(size)"
      case .span: "start and end of an answer"
      }
    return "\(what), on \(input.description)"
  }
}
