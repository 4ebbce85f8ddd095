import Checkpoint

/// How much a text shares with the right one.
public enum OverlapMeasures {
  /// Corpus BLEU-4, from 0 to 1.
  ///
  /// The geometric mean of the clipped n-gram precisions for n from 1 to 4 over all pairs, by the brevity
  /// penalty; one reference, not smoothed. Source: Papineni and others, 2002.
  public static func bleu(_ pairs: [(candidate: [Int32], reference: [Int32])]) -> Double {
    var matched = [Int](repeating: 0, count: 4)
    var total = matched
    for (candidate, reference) in pairs {
      for size in 1...4 {
        let (mine, theirs) = (counts(candidate, size), counts(reference, size))
        total[size - 1] += max(0, candidate.count - size + 1)
        for (gram, count) in mine { matched[size - 1] += min(count, theirs[gram] ?? 0) }
      }
    }
    let candidates = pairs.reduce(0) { $0 + $1.candidate.count }
    let references = pairs.reduce(0) { $0 + $1.reference.count }
    guard candidates > 0, !matched.contains(0) else { return 0 }
    let precision = zip(matched, total).reduce(0.0) {
      $0 + Double.log(Double($1.0) / Double($1.1)) / 4
    }
    let brevity = min(0, 1 - Double(references) / Double(candidates))
    return Double.exp(brevity + precision)
  }

  private static func counts(_ ids: [Int32], _ size: Int) -> [ArraySlice<Int32>: Int] {
    guard ids.count >= size else { return [:] }
    return (0...(ids.count - size)).reduce(into: [:]) { counts, start in
      counts[ids[start..<(start + size)], default: 0] += 1
    }
  }

  /// ROUGE-L: the F1 of the longest common subsequence (Lin 2004, β = 1).
  public static func rougeL(_ candidate: [Int32], _ reference: [Int32]) -> Double {
    guard !candidate.isEmpty, !reference.isEmpty else { return 0 }
    // The longest common subsequence with each prefix of the reference.
    var row = [Int](repeating: 0, count: reference.count + 1)
    for token in candidate {
      var diagonal = 0
      for (index, other) in reference.enumerated() {
        let above = row[index + 1]
        row[index + 1] = token == other ? diagonal + 1 : max(above, row[index])
        diagonal = above
      }
    }
    return 2 * Double(row[reference.count]) / Double(candidate.count + reference.count)
  }
}
