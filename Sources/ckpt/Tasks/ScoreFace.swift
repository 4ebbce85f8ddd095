import Checkpoint
import Infer

/// `--task score`: how likely a model finds texts.
struct ScoreFace: TaskFace {
  static let name = "score"

  let task: Score
  let notes: [String]
  private let isPerToken: Bool
  private let tokenization: Tokenization

  init(_ context: TaskContext) throws {
    let model = try context.runnable()
    let prompting = try context.prompting(model)
    var paired: Prompting?
    if prompting.kind == .masked, context.options.text.mask == nil {
      paired = try context.prompting(context.runnable(mask: .unilm))
    }
    task = try Score(model, prompting, paired: paired, threads: context.threads)
    tokenization = context.tokenization
    isPerToken = context.options.decoding.perToken
    notes =
      prompting.kind == .masked
      ? [
        "a text without a target gets pseudo-log-likelihoods: each token is masked in turn, and "
          + "sees both sides"
      ] : []
  }

  func json(_ answer: Score.Answer, to input: TaskInput) -> [JSON.Member] {
    [
      .init("log_likelihood", .number(answer.logLikelihood)),
      .init("perplexity", answer.perplexity.map { .number($0) } ?? .null),
      .init(
        "tokens",
        .array(
          answer.tokens.map { token in
            .object([
              .init("token", .string(token.token)), .init("id", .number(Int(token.id))),
              .init("log_likelihood", token.logLikelihood.map { .number($0) } ?? .null),
            ])
          })),
    ]
  }

  func lines(_ answer: Score.Answer, to input: TaskInput) -> [String] {
    let count = answer.tokens.count { $0.logLikelihood != nil }
    guard let perplexity = answer.perplexity else { return ["  no token to judge"] }
    let head =
      "  perplexity \(Figure.text(perplexity)) · log-likelihood "
      + "\(Figure.text(answer.logLikelihood)) of \(Text.plural(count, "token"))"
    guard isPerToken else { return [head] }
    var table = Table([.left, .right, .right], header: ["  token", "log p", "p"])
    for token in answer.tokens {
      let value = token.logLikelihood
      table.add(
        "  " + tokenization.readable(token.id), value.map { Text.decimal($0, 3) } ?? "–",
        value.map { Text.decimal(Double.exp($0), 4) } ?? "–")
    }
    return [head] + table.lines(.output, columns: Terminal.output.columns)
  }
}
