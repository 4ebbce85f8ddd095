/// The superblock of version 0 or 1: section II.A, with the root's symbol-table entry of III.C.
struct ClassicSuperblock {
  /// Half the most entries of a symbol-table node.
  let leafK: Int
  /// Half the most children of a node of a group's B-tree.
  let internalK: Int
  /// The address of the root group's object header.
  let rootHeader: Int
  /// The root's symbol table as its entry repeats it.
  let rootTable: ClassicSymbolTable?

  /// Finds and reads the superblock; `pages` then begin behind the user block and end where the
  /// superblock says.
  init(_ pages: inout ClassicPages) throws(NotClassic) {
    var start = 0
    while true {
      try require(start <= pages.end - 96)
      var signature = try pages.bytes(at: start, count: HDF5.signature.count)
      if try signature.take(HDF5.signature.count).elementsEqual(HDF5.signature) { break }
      start = start == 0 ? 512 : start * 2
    }
    pages.base = start
    var bytes = try pages.bytes(at: 8, count: 16)
    let version = try bytes.u8()
    try require(version <= 1)
    try require(try bytes.u8() == 0)  // free space
    try require(try bytes.u8() == 0)  // root group's entry
    try bytes.skip(1)
    try require(try bytes.u8() == 0)  // shared header messages
    try require(try bytes.u8() == 8)  // bytes of an offset
    try require(try bytes.u8() == 8)  // bytes of a length
    try bytes.skip(1)
    leafK = Int(try bytes.u16())
    internalK = Int(try bytes.u16())
    try require(leafK > 0 && internalK > 0)
    try require(try bytes.u32() == 0)  // consistency flags

    bytes = try pages.bytes(at: version == 0 ? 24 : 28, count: 72)
    if version == 1 {
      var indexed = try pages.bytes(at: 24, count: 4)
      try require(try indexed.u16() > 0)
    }
    try require(try bytes.address() == start)
    try require(try bytes.address() == nil)  // free space
    guard let end = try bytes.address() else { throw NotClassic() }
    try require(try bytes.address() == nil)  // driver information
    try require(end <= pages.end && end >= start)
    pages.end = end

    // The root's entry.
    try bytes.skip(8)
    guard let header = try bytes.address() else { throw NotClassic() }
    rootHeader = header
    switch try bytes.u32() {
    case 0: rootTable = nil
    case 1:
      try bytes.skip(4)
      rootTable = try ClassicSymbolTable(&bytes)
    default: throw NotClassic()
    }
  }
}

/// Where a group's members are: section IV.A.2.r.
struct ClassicSymbolTable: Equatable {
  let tree: Int
  let heap: Int

  init(_ bytes: inout ClassicBytes) throws(NotClassic) {
    guard let tree = try bytes.address(), let heap = try bytes.address() else {
      throw NotClassic()
    }
    self.tree = tree
    self.heap = heap
  }
}
