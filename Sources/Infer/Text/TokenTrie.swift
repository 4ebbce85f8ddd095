/// Finds the tokens that text goes on with, character by character.
///
/// The edges of the tree stand in one hash table, so that a step is one look-up, and a long text costs its
/// length times the longest token's, not more.
struct TokenTrie: Sendable {
  private struct Edge: Sendable {
    /// Node and character; 0 where there is none.
    var key: UInt64 = 0
    var child: Int32 = 0
  }

  private var edges: [Edge]
  private var edgeCount = 0
  /// The id of the token that ends at each node; -1 where none does.
  private var ids: [Int32] = [-1]
  /// Different in every process, so that no vocabulary can be made of colliding edges.
  private let seed = UInt64.random(in: 0...UInt64.max)

  static let root: Int32 = 0

  init() { edges = [Edge](repeating: Edge(), count: 64) }

  private static func key(_ node: Int32, _ scalar: UInt32) -> UInt64 {
    // No key is 0: nodes are counted from 1 here.
    (UInt64(UInt32(bitPattern: node)) + 1) << 21 | UInt64(scalar)
  }

  private func slot(of key: UInt64) -> Int {
    var hash = (key ^ seed) &* 0x9e37_79b9_7f4a_7c15
    hash = (hash ^ (hash >> 29)) &* 0xbf58_476d_1ce4_e5b9
    return Int(truncatingIfNeeded: hash >> 32) & (edges.count - 1)
  }

  /// Adds a token; of equal ones the last counts.
  mutating func insert(_ token: some Sequence<UInt32>, id: Int32) {
    var node = TokenTrie.root
    for scalar in token {
      if let next = child(of: node, scalar) {
        node = next
        continue
      }
      if (edgeCount + 1) * 2 > edges.count { grow() }
      let key = TokenTrie.key(node, scalar)
      var slot = slot(of: key)
      while edges[slot].key != 0 { slot = (slot + 1) & (edges.count - 1) }
      node = Int32(clamping: ids.count)
      edges[slot] = Edge(key: key, child: node)
      ids.append(-1)
      edgeCount += 1
    }
    ids[Int(node)] = id
  }

  private mutating func grow() {
    let old = edges
    edges = [Edge](repeating: Edge(), count: old.count * 2)
    for edge in old where edge.key != 0 {
      var slot = slot(of: edge.key)
      while edges[slot].key != 0 { slot = (slot + 1) & (edges.count - 1) }
      edges[slot] = edge
    }
  }

  /// Where a character leads to from a node.
  @inline(__always)
  func child(of node: Int32, _ scalar: UInt32) -> Int32? {
    let key = TokenTrie.key(node, scalar)
    var slot = slot(of: key)
    while true {
      let edge = edges[slot]
      if edge.key == key { return edge.child }
      if edge.key == 0 { return nil }
      slot = (slot + 1) & (edges.count - 1)
    }
  }

  /// The token that ends at a node.
  @inline(__always)
  func id(at node: Int32) -> Int32? {
    let id = ids[Int(node)]
    return id < 0 ? nil : id
  }

  /// The longest token at `start`, from a node on.
  ///
  /// - Returns: The token's id and where it ends in the text.
  func longestMatch(
    in text: [UInt32], _ range: Range<Int>, from first: Int32 = TokenTrie.root
  ) -> (id: Int32, end: Int)? {
    var node = first
    var best: (id: Int32, end: Int)?
    var position = range.lowerBound
    while position < range.upperBound, let next = child(of: node, text[position]) {
      node = next
      position += 1
      let id = ids[Int(node)]
      if id >= 0 { best = (id, position) }
    }
    return best
  }
}
