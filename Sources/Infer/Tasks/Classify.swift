import Glibc

/// Labels for texts or pairs of texts.
public struct Classify: TextTask {
  /// One text's labels.
  public struct Answer: TaskAnswer, Equatable {
    /// All labels in the model's order.
    public var labels: [Label]
    public var activation: SequenceHead.Activation
    /// From which score on a label holds, where each does or not.
    public var threshold: Double

    /// The labels, the best first; equal ones in order.
    public var ranked: [Label] { labels.map(\.score)[...].largest(labels.count).map { labels[$0] } }

    /// The label, or of each label whether it holds.
    public var decisions: [Decision] {
      switch activation {
      case .softmax:
        let best = labels.map(\.logit)[...].largest(2)
        guard let first = best.first else { return [] }
        return [
          Decision(
            "label", labels[first].name,
            margin: best.count == 2
              ? Double(labels[best[0]].logit) - Double(labels[best[1]].logit) : nil)
        ]
      case .sigmoid:
        let border = Double.log(threshold / (1 - threshold))
        return labels.map { label in
          Decision(
            label.name, Double(label.score) >= threshold ? "yes" : "no",
            margin: abs(Double(label.logit) - border))
        }
      case .none: return []
      }
    }

    public var numbers: [Float] { activation == .none ? labels.map(\.score) : [] }
  }

  /// A label and how sure of it the model is.
  public struct Label: Sendable, Equatable {
    public var name: String
    public var logit: Float
    /// The probability; of a regression the number itself.
    public var score: Float
  }

  public let prepare: @Sendable (TaskInput) throws -> Encoding
  private let session: TextSession
  private let head: SequenceHead
  private let activation: SequenceHead.Activation
  private let names: [String]
  private let threshold: Double

  public var mixesLengths: Bool { session.mixesLengths }

  /// - Parameters:
  ///   - activation: instead of what the head has.
  ///   - names: the labels' names, as many as the head is wide.
  ///   - threshold: between 0 and 1; from there on a label holds, where each does or not.
  public init(
    _ model: any TextModel, _ tokenization: Tokenization, head: SequenceHead,
    activation: SequenceHead.Activation? = nil, names: [String], threshold: Double = 0.5,
    threads: Int? = nil
  ) throws {
    self.head = head
    self.activation = activation ?? head.activation
    self.names = names
    self.threshold = threshold
    session = try model.texts(
      returning: [head.value], padding: tokenization.tokenizer.special.padding, threads: threads)
    prepare = { try tokenization.encoding($0.text, pair: $0.pair) }
  }

  public func length(_ prepared: Encoding) -> Int { prepared.count }

  public func answers(_ batch: [Encoding]) throws -> [Answer] {
    guard let logits = try session.run(batch)[head.value] else { return [] }
    return batch.indices.map { row in
      let row = logits.vector(row)
      let total = Logits.logarithmOfSum(row)
      return Answer(
        labels: zip(names, row).map { name, logit in
          let score =
            switch activation {
            case .softmax: Double.exp(Double(logit) - total)
            case .sigmoid: 1 / (1 + Double.exp(-Double(logit)))
            case .none: Double(logit)
            }
          return Label(name: name, logit: logit, score: Float(score))
        }, activation: activation, threshold: threshold)
    }
  }
}
