/// An extent of a value: known when the graph is built, or bound when it runs.
public enum Dimension: Sendable, Hashable, CustomStringConvertible {
  case fixed(Int)
  /// The number of rows of the inputs.
  case batch
  /// The number of positions of the inputs, padding included.
  case length
  /// The number of positions of a decoder's inputs, padding included.
  case targets
  /// The number of positions that a session's states have room for.
  case capacity

  /// The extent for a concrete run.
  public func extent(_ extents: Extents) -> Int {
    switch self {
    case .fixed(let extent): extent
    case .batch: extents.batch
    case .length: extents.length
    case .targets: extents.targets
    case .capacity: extents.capacity
    }
  }

  public var description: String {
    switch self {
    case .fixed(let extent): String(extent)
    case .batch: "batch"
    case .length: "length"
    case .targets: "targets"
    case .capacity: "capacity"
    }
  }
}

/// What the symbolic dimensions are in one run; 1 for those that its graph does not have.
public struct Extents: Sendable, Hashable {
  public var batch = 1
  public var length = 1
  public var targets = 1
  public var capacity = 1

  public init(batch: Int = 1, length: Int = 1, targets: Int = 1, capacity: Int = 1) {
    self.batch = batch
    self.length = length
    self.targets = targets
    self.capacity = capacity
  }
}
