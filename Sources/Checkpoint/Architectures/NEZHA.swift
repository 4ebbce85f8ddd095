import Glibc

/// NEZHA (arXiv 1909.00204): a BERT whose positions are distances, in keys and values.
///
/// The table of distances is a fixed sinusoid, clipped at 64, that bert4keras stores.
public struct NEZHA: Family {
  public init() {}

  public var name: String { "nezha" }
  public var summary: String { "NEZHA: relative positions on keys and values" }
  public var possibleHeads: [Head] { [.pooler, .nsp, .mlm] }
  public var structure: Structure {
    var structure = Structure()
    structure.position = .relative
    return structure
  }

  /// The table's canonical name.
  static let distances = "embeddings.relative_position"

  /// The table as bert4keras and Huawei's code compute it: sines and cosines in turn.
  static func sinusoids(rows: Int, width: Int) -> [Double] {
    (0..<rows).flatMap { row in
      (0..<width).map { column in
        let angle = Double(row) / pow(10000, Double(column / 2 * 2) / Double(width))
        return column % 2 == 0 ? sin(angle) : cos(angle)
      }
    }
  }
}
