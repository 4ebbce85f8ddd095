import Checkpoint

/// Sentences drawn from a masked language model by Gibbs sampling: one token at a time is masked and drawn anew
/// from what the model makes of the others (kexue.fm/archives/8119, bert4keras'
/// `basic_gibbs_sampling_via_mlm.py`).
public struct Gibbs: TextTask {
  public struct Answer: TaskAnswer, Equatable {
    public var sequences: [Sequence]

    public var decisions: [Decision] {
      sequences.enumerated().map { index, sequence in
        Decision("sample \(index + 1)", sequence.ids.map(String.init).joined(separator: " "))
      }
    }
  }

  /// The state of a chain at its end.
  public struct Sequence: Sendable, Equatable {
    /// With the special tokens around the text.
    public var ids: [Int32]
    public var text: String
  }

  /// Which position is drawn next.
  public enum Order: String, Sendable, CaseIterable {
    /// Any, each as likely as another.
    case random
    /// From left to right, again and again.
    case ordered
  }

  /// Where chains begin, how long they are and how tokens are drawn.
  public struct Options: Sendable {
    /// Chains of each text.
    public var samples = 1
    /// A sweep is as many draws as there are positions.
    public var sweeps = 10
    public var order = Order.random
    /// `[MASK]`s that an empty text begins with.
    public var length = 16
    public var sampler: Sampler
    public var seed: UInt64 = 0

    public init(sampler: Sampler) { self.sampler = sampler }
  }

  /// A text's chains.
  public struct Prepared: Sendable {
    var encoding: Encoding
    var number: Int
  }

  public let prepare: @Sendable (TaskInput) throws -> Prepared
  private let session: Session
  private let tokenization: Tokenization
  private let mask: Int32
  private let options: Options
  private static let logits = "mlm_logits"

  /// - Throws: ``InferError`` when the model has no MLM head or the vocabulary no `[MASK]`.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, _ options: Options, threads: Int? = nil
  ) throws {
    guard model.outputNames.contains(Gibbs.logits) else {
      throw InferError(.unsupported, "gibbs", "the model has no MLM head")
    }
    guard let mask = tokenization.tokenizer.special.mask,
      let spelling = tokenization.tokenizer.token(of: mask)
    else { throw InferError(.input, "[MASK]", "is not in the vocabulary") }
    session = try model.session(returning: [Gibbs.logits], threads: threads)
    self.tokenization = tokenization
    self.mask = mask
    self.options = options
    prepare = { input in
      let text =
        input.text.isEmpty ? String(repeating: spelling, count: options.length) : input.text
      return Prepared(
        encoding: try tokenization.encoding(text, keeping: mask), number: input.number)
    }
  }

  public func length(_ prepared: Prepared) -> Int { prepared.encoding.count }

  private struct Chain {
    var encoding: Encoding
    /// The positions that are drawn: the masks of a text that has some, else all its tokens.
    let places: [Int]
    var random: SplitMix64
    var place = 0
  }

  public func answers(_ batch: [Prepared]) throws -> [Answer] {
    var chains = batch.flatMap { prepared in
      let own = prepared.encoding.ids.indices.filter { prepared.encoding.sources[$0] != nil }
      let masks = own.filter { prepared.encoding.ids[$0] == mask }
      return (0..<options.samples).map { sample in
        Chain(
          encoding: prepared.encoding, places: masks.isEmpty ? own : masks,
          random: SplitMix64(
            seed: options.seed, stream: UInt64(bitPattern: Int64(prepared.number)),
            UInt64(sample)))
      }
    }
    let steps = chains.map { $0.places.count.multipliedReportingOverflow(by: options.sweeps) }
      .map { $0.overflow ? Int.max : $0.partialValue }
    for step in 0..<(steps.max() ?? 0) {
      let live = chains.indices.filter { step < steps[$0] }
      // As many at a time as texts are: samples make no larger runs.
      for start in stride(from: 0, to: live.count, by: max(batch.count, 16)) {
        try draw(&chains, live[start..<min(start + max(batch.count, 16), live.count)], step)
      }
    }
    return batch.indices.map { index in
      Answer(
        sequences: (0..<options.samples).map { sample in
          let encoding = chains[index * options.samples + sample].encoding
          let inner = zip(encoding.ids, encoding.sources).filter { $0.1 != nil }.map(\.0)
          return Sequence(ids: encoding.ids, text: tokenization.tokenizer.text(of: inner))
        })
    }
  }

  /// One token of each of some chains.
  private func draw(_ chains: inout [Chain], _ live: ArraySlice<Int>, _ step: Int) throws {
    for index in live {
      let count = chains[index].places.count
      let place =
        options.order == .random
        ? min(count - 1, Int(chains[index].random.uniform() * Double(count))) : step % count
      chains[index].place = chains[index].places[place]
      chains[index].encoding.ids[chains[index].place] = mask
    }
    let inputs = TextInputs(
      live.map { chains[$0].encoding }, padding: tokenization.tokenizer.special.padding)
    guard let logits = try session.run(inputs.arrays)[Gibbs.logits] else { return }
    for (row, index) in live.enumerated() {
      let distribution = options.sampler.distribution(logits.vector(row, chains[index].place))
      if let token = Sampler.draw(distribution, &chains[index].random) {
        chains[index].encoding.ids[chains[index].place] = token
      }
    }
  }
}
