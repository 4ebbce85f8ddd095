public import ArgumentParser
import Checkpoint
public import Infer

extension Decoding.Rule: ExpressibleByArgument {}
extension Decoding.EarlyStopping: ExpressibleByArgument {}
extension Gibbs.Order: ExpressibleByArgument {}

/// How `generate` and its like choose tokens.
struct DecodingOptions: ParsableArguments {
  @Option(help: "The most new tokens of an answer, its end included.") var maxNewTokens = 32
  @Option(
    help: "What begins an answer: a token or its id (default: as the configuration says).")
  var startToken: String?
  @Option(
    help: "What ends an answer: a token or its id, more than once if there are several.")
  var endToken: [String] = []
  @Option(help: "Beams; 1 takes the likeliest token at each step.") var beams = 1
  @Option(
    help: """
      Whose decoding: bert4keras (no length penalty; ends as AutoRegressiveDecoder does) or \
      transformers (default: the model's own library).
      """)
  var beamRule: Decoding.Rule?
  @Option(help: "transformers: scores are divided by the length to this power (default: 1).")
  var lengthPenalty: Double?
  @Option(
    help: """
      transformers: stop when there are as many answers as beams (true), when no beam would be \
      better now (false), or when none can become better (never; default: false).
      """)
  var earlyStopping: Decoding.EarlyStopping?
  @Option(help: "bert4keras: an answer ends at its so-manieth end token (default: 1).")
  var minEnds: Int?
  @Option(
    help: """
      bert4keras: the length, start token and end included, from which on an end counts. \
      transformers: new tokens before an end may come.
      """)
  var minLength: Int?
  @Option(help: "How many beams are shown, the best first (transformers).") var returns = 1
  @Option(help: "Draw so many answers at random.") var samples: Int?
  @Option(help: "Logits are divided by this before tokens are drawn.") var temperature = 1.0
  @Option(
    help: "Draw from the likeliest tokens whose probabilities sum up to this.")
  var topP: Double?
  @Option(help: "The seed of everything that is drawn, probes of verify too.") var seed: UInt64 = 0
  @Option(help: "Logits of tokens that stand there already are made smaller by this factor.")
  var repetitionPenalty = 1.0
  @Option(help: "No n-gram of this size twice.") var noRepeatNgram = 0
  @Flag(help: "Keep no keys and values: run whole sequences for each token.") var noCache = false
  @Flag(help: "score: show every token.") var perToken = false
  @Option(help: "gibbs: draws for each position.") var sweeps = 10
  @Option(help: "gibbs: positions in random order, or ordered from left to right.")
  var order = Gibbs.Order.random
  @Option(help: "gibbs: the number of [MASK]s that an empty text, or none, begins with.")
  var length = 16

  func validate() throws {
    guard maxNewTokens > 0, beams > 0, returns > 0, samples ?? 1 > 0, sweeps > 0, length > 0,
      minEnds ?? 1 > 0
    else {
      throw ValidationError(
        """
        --max-new-tokens, --beams, --returns, --samples, --min-ends, --sweeps and --length must be \
        positive.
        """)
    }
    guard beams <= 1000, samples ?? 1 <= 100_000, abs(lengthPenalty ?? 1) <= 100 else {
      throw ValidationError(
        "At most 1000 --beams, 100000 --samples and a --length-penalty from -100 to 100.")
    }
    guard minLength ?? 0 >= 0, noRepeatNgram >= 0 else {
      throw ValidationError("--min-length and --no-repeat-ngram must not be negative.")
    }
    guard temperature > 0, temperature.isFinite, repetitionPenalty > 0, repetitionPenalty.isFinite,
      !(lengthPenalty?.isNaN ?? false)
    else {
      throw ValidationError("--temperature and --repetition-penalty must be positive numbers.")
    }
    guard topP.map({ $0 > 0 && $0 <= 1 }) ?? true else {
      throw ValidationError("--top-p must be above 0 and at most 1.")
    }
    guard samples == nil || beams == 1 else {
      throw ValidationError("Give either --beams or --samples.")
    }
    guard returns <= beams else {
      throw ValidationError("--returns cannot be more than --beams.")
    }
  }
}

extension TaskOptions {
  /// How tokens are chosen.
  ///
  /// - Parameter customs: the dialect whose library decides what was left open.
  /// - Throws: when an option is not one of the rule's.
  func decoding(_ prompting: Prompting, customs: String) throws -> Decoding {
    let own: Decoding.Rule =
      ["bert4keras", "keras-bert", "google"].contains(customs) ? .bert4keras : .transformers
    var decoding = Decoding(decoding.beamRule ?? own, ends: prompting.ends)
    let given = self.decoding
    let isDrawn = given.samples != nil || topK != nil || given.topP != nil
    if isDrawn, given.beams > 1 {
      throw ValidationError("--top-k and --top-p are for --samples, not for --beams.")
    }
    let foreign: [(String, Bool)] =
      decoding.rule == .bert4keras
      ? [
        ("--length-penalty", given.lengthPenalty != nil),
        ("--early-stopping", given.earlyStopping != nil), ("--returns", given.returns > 1),
      ]
      : [
        ("--min-ends", given.minEnds != nil),
        ("--temperature without --samples", !isDrawn && given.temperature != 1),
      ]
    if let (option, _) = foreign.first(where: { $0.1 }) {
      throw ValidationError(
        "\(option) is none of \(decoding.rule.rawValue)' rule; --beam-rule chooses another.")
    }
    decoding.beams = given.beams
    decoding.returns = given.returns
    decoding.samples = isDrawn ? given.samples ?? 1 : 0
    decoding.maxNewTokens = given.maxNewTokens
    decoding.temperature = given.temperature
    decoding.topK = topK
    decoding.topP = given.topP
    decoding.seed = given.seed
    decoding.repetitionPenalty = given.repetitionPenalty
    decoding.noRepeatNGram = given.noRepeatNgram
    if let penalty = given.lengthPenalty { decoding.lengthPenalty = penalty }
    if let early = given.earlyStopping { decoding.earlyStopping = early }
    if let ends = given.minEnds { decoding.minEnds = ends }
    if let length = given.minLength { decoding.minLength = length }
    return decoding
  }
}

extension TaskContext {
  /// The model as one that generates: under the UniLM mask where it sees both sides and nothing else is asked.
  func generator() throws -> (model: RunnableModel, notes: [String]) {
    let architecture = try family().architecture
    let sees =
      architecture.configuration.mask == .bidirectional && !architecture.structure.encoderDecoder
    let model = try runnable(mask: sees ? .unilm : nil)
    let isAssumed = sees && options.text.mask == nil
    return (
      model,
      isAssumed
        ? [
          "under the UniLM mask, which answers the text; with --mask causal the model continues it"
        ] : []
    )
  }

  /// How texts become the model's prompts.
  func prompting(_ model: RunnableModel) throws -> Prompting {
    var configurations: [JSON] = []
    let path = Paths.join(Paths.folder(of: opening.checkpoint.path), "generation_config.json")
    if Paths.isFile(path) {
      do throws(CheckpointError) {
        configurations.append(try JSON(parsing: File.contents(of: path, limit: 16 << 20)))
      } catch {
        throw error.at(.file(path))
      }
    }
    if let own = configuration { configurations.append(own) }
    return try Prompting(
      model, tokenization, configurations: configurations, start: options.decoding.startToken,
      ends: options.decoding.endToken)
  }
}
