/// What many pairs tell about a model's exposure bias.
public struct ExposureSummary: Sendable, Equatable {
  /// One position of targets, the first being 0.
  public struct Position: Sendable, Equatable {
    /// Targets that are this long.
    public var count = 0
    /// Right tokens after the right ones.
    public var forcedRight = 0
    public var forcedLogLikelihood = 0.0
    /// Right tokens after the model's own; a run that has ended before is wrong.
    public var freeRight = 0
    /// Runs that are this long.
    public var freeCount = 0
    public var freeLogLikelihood = 0.0
    /// Runs that leave their target here.
    public var parting = 0

    public var forcedAccuracy: Double { Double(forcedRight) / Double(max(count, 1)) }
    public var freeAccuracy: Double { Double(freeRight) / Double(max(count, 1)) }
    public var forcedMean: Double? { count > 0 ? forcedLogLikelihood / Double(count) : nil }
    /// Over the runs that have come so far.
    public var freeMean: Double? {
      freeCount > 0 ? freeLogLikelihood / Double(freeCount) : nil
    }
  }

  public private(set) var positions: [Position] = []
  public private(set) var count = 0
  /// Pairs whose free run is the target.
  public private(set) var exact = 0
  private var overlaps: [(candidate: [Int32], reference: [Int32])] = []
  private var rouge = 0.0

  public init() {}

  public mutating func add(_ answer: Exposure.Answer) {
    count += 1
    overlaps.append((answer.candidate, answer.reference))
    rouge += answer.rougeL
    let length = max(answer.gold.count, (answer.partsAt ?? -1) + 1)
    while positions.count < length { positions.append(Position()) }
    for (index, token) in answer.gold.enumerated() {
      positions[index].count += 1
      if index < answer.forced.count, answer.forced[index] == token {
        positions[index].forcedRight += 1
      }
      if index < answer.forcedLogLikelihoods.count {
        positions[index].forcedLogLikelihood += answer.forcedLogLikelihoods[index]
      }
      if index < answer.free.count, answer.free[index] == token { positions[index].freeRight += 1 }
      if index < answer.freeLogLikelihoods.count {
        positions[index].freeCount += 1
        positions[index].freeLogLikelihood += answer.freeLogLikelihoods[index]
      }
    }
    if let parting = answer.partsAt { positions[parting].parting += 1 } else { exact += 1 }
  }

  /// BLEU-4 of the free runs over all pairs, from 0 to 1.
  public var bleu: Double { OverlapMeasures.bleu(overlaps) }

  /// The mean of the pairs' ROUGE-L F1, from 0 to 1.
  public var rougeL: Double { count > 0 ? rouge / Double(count) : 0 }

  /// Over all positions of all targets.
  public var total: Position {
    positions.reduce(into: Position()) { total, position in
      total.count += position.count
      total.forcedRight += position.forcedRight
      total.forcedLogLikelihood += position.forcedLogLikelihood
      total.freeRight += position.freeRight
      total.freeCount += position.freeCount
      total.freeLogLikelihood += position.freeLogLikelihood
      total.parting += position.parting
    }
  }

  public static func == (a: ExposureSummary, b: ExposureSummary) -> Bool {
    a.positions == b.positions && a.count == b.count && a.bleu == b.bleu && a.rouge == b.rouge
  }
}
