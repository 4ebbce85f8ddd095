/// A hard link of a symbol table.
struct ClassicLink {
  let name: String
  /// Of the object's header.
  let address: Int
}

extension ClassicHDF5 {
  /// The members of a group in the order of its tree, which is that of their names' bytes.
  mutating func links(
    of table: ClassicSymbolTable, _ superblock: ClassicSuperblock
  ) throws(NotClassic) -> [ClassicLink] {
    var walk = ClassicTreeWalk(
      names: try ClassicHeap(at: table.heap, &pages), superblock: superblock)
    try walk.enter(table.tree, level: nil, &pages)
    try walk.finish()
    return walk.links
  }
}

/// A local heap of names: section III.D.
private struct ClassicHeap {
  private let data: ArraySlice<UInt8>

  init(at address: Int, _ pages: inout ClassicPages) throws(NotClassic) {
    var bytes = try pages.bytes(at: address, count: 32)
    try bytes.signature("HEAP")
    try require(try bytes.u32() == 0)  // version and reserved bytes
    let size = try bytes.length()
    var free = try bytes.length()
    guard let start = try bytes.address() else { throw NotClassic() }
    var content = try pages.bytes(at: start, count: size)
    data = try content.take(size)
    // The list of free blocks: 1 ends it.
    var count = 0
    while free != 1 {
      try require(free <= size - 16 && count <= size / 16)
      var block = ClassicBytes(data[(data.startIndex + free)...])
      let next = try block.length()
      let length = try block.length()
      try require(next != 0 && length <= size - free)
      free = next
      count += 1
    }
  }

  /// The terminated name at `offset`, without its end.
  func name(at offset: Int) throws(NotClassic) -> ArraySlice<UInt8> {
    try require(offset < data.count)
    let rest = data[(data.startIndex + offset)...]
    guard let end = rest.firstIndex(of: 0) else { throw NotClassic() }
    return rest[..<end]
  }
}

/// A walk over a group's B-tree (section III.A.1) and its symbol-table nodes (III.B).
///
/// libhdf5 lists members by walking and opens them by searching. So that both find the same, names
/// must ascend and stand between their keys.
private struct ClassicTreeWalk {
  let names: ClassicHeap
  let superblock: ClassicSuperblock
  var links: [ClassicLink] = []
  private var last: ArraySlice<UInt8>?
  /// The node to the left on each level, and what it says is to the right of it.
  private var neighbours: [Int: (address: Int, right: Int?)] = [:]

  init(names: ClassicHeap, superblock: ClassicSuperblock) {
    self.names = names
    self.superblock = superblock
  }

  mutating func enter(
    _ address: Int, level expected: Int?, _ pages: inout ClassicPages
  ) throws(NotClassic) {
    let most = 2 * superblock.internalK
    var bytes = try pages.bytes(at: address, count: 24 + most * 16 + 8)
    try bytes.signature("TREE")
    try require(try bytes.u8() == 0)  // a group's
    let level = Int(try bytes.u8())
    try require(expected == nil || expected == level)
    let count = Int(try bytes.u16())
    try require(count <= most)
    let left = try bytes.address()
    let right = try bytes.address()
    let neighbour = neighbours[level]
    try require(left == neighbour?.address)
    if let neighbour { try require(neighbour.right == address) }
    neighbours[level] = (address, right)

    var low = try names.name(at: bytes.length())
    for _ in 0..<count {
      guard let child = try bytes.address() else { throw NotClassic() }
      let high = try names.name(at: bytes.length())
      let before = links.count
      let previous = last
      if level > 0 {
        try enter(child, level: level - 1, &pages)
      } else {
        try enter(node: child, &pages)
      }
      // All names of the child are above `low` and not above `high`.
      if links.count > before, let last {
        try require(!high.lexicographicallyPrecedes(last))
        let first = links[before].name.utf8
        try require(low.lexicographicallyPrecedes(first))
      }
      if let previous { try require(!low.lexicographicallyPrecedes(previous)) }
      low = high
    }
  }

  /// Every level must end where its last node was.
  func finish() throws(NotClassic) {
    for neighbour in neighbours.values { try require(neighbour.right == nil) }
  }

  private mutating func enter(
    node address: Int, _ pages: inout ClassicPages
  ) throws(NotClassic) {
    var bytes = try pages.bytes(at: address, count: 8 + 2 * superblock.leafK * 40)
    try bytes.signature("SNOD")
    try require(try bytes.u8() == 1)
    try bytes.skip(1)
    let count = Int(try bytes.u16())
    try require(count <= 2 * superblock.leafK)
    for _ in 0..<count {
      let name = try names.name(at: bytes.length())
      guard let header = try bytes.address() else { throw NotClassic() }
      try require(try bytes.u32() <= 1)  // 2 is a soft link
      try bytes.skip(20)
      if let last { try require(last.lexicographicallyPrecedes(name)) }
      last = name
      try require(
        !name.isEmpty && !name.contains(UInt8(ascii: "/")) && !name.elementsEqual(".".utf8))
      guard let text = String(validating: name, as: UTF8.self) else { throw NotClassic() }
      links.append(ClassicLink(name: text, address: header))
    }
  }
}
