public import ArgumentParser
import Checkpoint
public import Infer

extension LabelScheme: ExpressibleByArgument {}
extension MarkovModel.Direction: ExpressibleByArgument {}

/// How `tag` and `spans` decode labels.
struct LabellingOptions: ParsableArguments {
  /// Whether `[CLS]` and `[SEP]` are labelled as well.
  enum SpecialTokens: String, ExpressibleByArgument { case include, exclude }

  @Option(
    help: """
      tag: how labels make words or entities: none, bio, bmes or bioes (default: by the labels' \
      names).
      """)
  var scheme: LabelScheme?
  @Option(
    help: """
      tag: labels that may come first, by name or number with a comma between them, or any \
      (default: 0 for a CRF or MEMM with [CLS] and [SEP], as in bert4keras' examples).
      """)
  var starts: String?
  @Option(help: "tag: labels that may come last; as --starts.") var ends: String?
  @Option(help: "tag: the best paths, so many.") var kBest = 1
  @Flag(help: "tag: the probability of each label of each token.") var marginals = false
  @Option(
    help: """
      tag: [CLS] and [SEP] are labelled too (include) or not (exclude; default: include for a CRF \
      or MEMM, as bert4keras' examples train them).
      """)
  var special: SpecialTokens?
  @Option(
    help: """
      tag with a MEMM: what is best: viterbi (sums, as bert4keras' ViterbiDecoder), or the \
      probability forward, backward or average (of both logarithms).
      """)
  var memm = MarkovModel.Direction.viterbi
  @Option(help: "spans: the score above which a span counts.") var spanThreshold: Float = 0
  @Flag(help: "spans: of those that overlap only the best.") var flat = false

  private static let mostPaths = 1000

  func validate() throws {
    guard 1...Self.mostPaths ~= kBest else {
      throw ValidationError("--k-best must be between 1 and \(Self.mostPaths).")
    }
    guard spanThreshold.isFinite else {
      throw ValidationError("--span-threshold must be a number.")
    }
  }

  /// Labels by name or by number; `nil` for any.
  ///
  /// - Throws: `CheckpointError` when there is no such label.
  static func choice(
    _ words: String?, of labels: [String], flag: String
  ) throws(CheckpointError) -> [Int]? {
    guard let words, words != "any" else { return nil }
    var chosen: [Int] = []
    for part in words.split(separator: ",", omittingEmptySubsequences: false) {
      let word = String(part)
      let number = Int(word).flatMap { labels.indices.contains($0) ? $0 : nil }
      guard let label = labels.firstIndex(of: word) ?? number else {
        throw CheckpointError(
          .usage, Place(member: "\(flag) \(words)"), "there is no label \(word)",
          hint: "labels: \(labels.prefix(20).joined(separator: ", ")), or numbers from 0, or any")
      }
      chosen.append(label)
    }
    return chosen
  }
}
