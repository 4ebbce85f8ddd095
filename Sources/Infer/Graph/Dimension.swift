/// An extent of a value: known when the graph is built, or bound when it runs.
public enum Dimension: Sendable, Hashable, CustomStringConvertible {
  case fixed(Int)
  /// The number of rows of the inputs.
  case batch
  /// The number of positions of the inputs, padding included.
  case length

  /// The extent for a concrete run.
  public func extent(batch: Int, length: Int) -> Int {
    switch self {
    case .fixed(let extent): extent
    case .batch: batch
    case .length: length
    }
  }

  public var description: String {
    switch self {
    case .fixed(let extent): String(extent)
    case .batch: "batch"
    case .length: "length"
    }
  }
}
