import CHDF5Reader

/// What an object header says of its object.
struct ClassicHeader {
  enum Kind { case group, dataset }

  var kind: Kind
  var symbolTable: ClassicSymbolTable?
  var dataset: Dataset?
  /// Attribute messages, in their order.
  var attributes: [ClassicBytes] = []

  struct Dataset {
    let type: ClassicType
    let extents: [Int]
    /// One of `ckpt_hdf5_layout`.
    let layout: UInt32
    /// Where its bytes are, counted from the base, where the layout is contiguous.
    let address: Int?
    /// Bytes of its elements.
    let byteCount: Int
  }
}

extension ClassicHDF5 {
  /// Reads a version 1 object header with its continuation blocks: section IV.A.1.a.
  mutating func header(at address: Int) throws(NotClassic) -> ClassicHeader {
    var prefix = try pages.bytes(at: address, count: 16)
    try require(try prefix.u8() == 1)
    try prefix.skip(1)
    let messageCount = Int(try prefix.u16())
    try prefix.skip(4)  // references
    var messages = ClassicMessages()
    var blocks = [(address: address + 16, length: Int(try prefix.u32()))]
    var count = 0
    while !blocks.isEmpty {
      let block = blocks.removeFirst()
      var bytes = try pages.bytes(at: block.address, count: block.length)
      while bytes.left >= 8 {
        count += 1
        try require(count <= messageCount)
        let type = try bytes.u16()
        let size = Int(try bytes.u16())
        // Bit 0 says that it does not change, bit 2 that it must not be shared. It is not shared,
        // and not for newer libraries only.
        try require(size % 8 == 0)
        try require(try bytes.u8() & ~5 == 0)
        try bytes.skip(3)
        var content = ClassicBytes(try bytes.take(size))
        if type == 0x10 {
          guard let next = try content.address() else { throw NotClassic() }
          blocks.append((next, try content.length()))
        } else {
          try messages.add(content, type: type)
        }
      }
    }
    try require(count == messageCount)
    return try messages.header()
  }
}

/// The messages of a header, sorted by what they say: section IV.A.2.
private struct ClassicMessages {
  private var symbolTable: ClassicBytes?
  private var space: ClassicBytes?
  private var type: ClassicBytes?
  private var layout: ClassicBytes?
  private var oldFill: ClassicBytes?
  private var fill: ClassicBytes?
  private var hasTime = false
  private var attributes: [ClassicBytes] = []

  mutating func add(_ content: ClassicBytes, type number: UInt16) throws(NotClassic) {
    switch number {
    case 0x00: break  // nothing
    case 0x01: try set(&space, content)
    case 0x03: try set(&type, content)
    case 0x04: try set(&oldFill, content)
    case 0x05: try set(&fill, content)
    case 0x08: try set(&layout, content)
    case 0x0c: attributes.append(content)
    case 0x11: try set(&symbolTable, content)
    case 0x12:  // the time of the last change
      try require(!hasTime)
      hasTime = true
    default: throw NotClassic()
    }
  }

  private func set(
    _ message: inout ClassicBytes?, _ content: ClassicBytes
  ) throws(NotClassic) {
    try require(message == nil)
    message = content
  }

  func header() throws(NotClassic) -> ClassicHeader {
    if var symbolTable {
      try require(space == nil && type == nil && layout == nil)
      try require(fill == nil && oldFill == nil)
      return ClassicHeader(
        kind: .group, symbolTable: try ClassicSymbolTable(&symbolTable), attributes: attributes)
    }
    guard var space, var type, var layout else { throw NotClassic() }
    let extents = try ClassicSpace(&space).extents
    let kind = try ClassicType(&type)
    guard let count = ClassicSpace.count(extents) else { throw NotClassic() }
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: kind.size)
    try require(!overflow)
    if var fill { try check(fill: &fill, size: kind.size) }
    if var oldFill { try check(fillValue: &oldFill, size: kind.size) }
    return ClassicHeader(
      kind: .dataset,
      dataset: try ClassicMessages.dataset(&layout, kind, extents, byteCount: byteCount),
      attributes: attributes)
  }

  /// The layout message, version 1 to 3: section IV.A.2.i.
  private static func dataset(
    _ bytes: inout ClassicBytes, _ type: ClassicType, _ extents: [Int], byteCount: Int
  ) throws(NotClassic) -> ClassicHeader.Dataset {
    let version = try bytes.u8()
    let storage: UInt8
    if version == 3 {
      storage = try bytes.u8()
    } else {
      try require(version == 1 || version == 2)
      let rank = Int(try bytes.u8())
      storage = try bytes.u8()
      try bytes.skip(5)
      try require(rank > 0 && rank <= 33)
    }
    switch (version, storage) {
    case (3, 0):
      // Compact: the bytes follow.
      try require(Int(try bytes.u16()) == byteCount && byteCount <= bytes.left)
      return ClassicHeader.Dataset(
        type: type, extents: extents, layout: CKPT_HDF5_COMPACT.rawValue, address: nil,
        byteCount: byteCount)
    case (_, 1):
      let address = try bytes.address()
      // Versions 1 and 2 repeat the extents in 32 bits, which libhdf5 does not use.
      if version == 3 { try require(try bytes.length() == byteCount) }
      let layout = address == nil ? CKPT_HDF5_UNALLOCATED : CKPT_HDF5_CONTIGUOUS
      return ClassicHeader.Dataset(
        type: type, extents: extents, layout: layout.rawValue, address: address,
        byteCount: byteCount)
    default: throw NotClassic()
    }
  }

  /// The fill value, which says also when room is taken: sections IV.A.2.e and f.
  private func check(fill bytes: inout ClassicBytes, size: Int) throws(NotClassic) {
    let version = try bytes.u8()
    let isDefined: Bool
    switch version {
    case 1, 2:
      try require((1...3).contains(try bytes.u8()))
      try require(try bytes.u8() <= 2)
      let defined = try bytes.u8()
      try require(defined <= 2)  // 2: by the user
      isDefined = defined > 0
    case 3:
      // Bits 0–1: time of allocation, 2–3: of filling, 4: undefined, 5: defined.
      let flags = try bytes.u8()
      try require(flags & 0xc0 == 0 && flags & 3 != 0 && flags >> 2 & 3 != 3)
      try require(flags >> 4 & 3 != 3)
      isDefined = flags >> 5 & 1 == 1
    default: throw NotClassic()
    }
    if isDefined { try check(fillValue: &bytes, size: size) }
  }

  private func check(fillValue bytes: inout ClassicBytes, size: Int) throws(NotClassic) {
    let length = Int(try bytes.u32())
    try require(length == 0 || length == size)
    try bytes.skip(length)
  }
}

/// A dataspace message of version 1 or 2: section IV.A.2.b.
struct ClassicSpace {
  let extents: [Int]

  init(_ bytes: inout ClassicBytes) throws(NotClassic) {
    let version = try bytes.u8()
    let rank = Int(try bytes.u8())
    let flags = try bytes.u8()
    let kind = try bytes.u8()
    try require(rank <= 32 && flags <= 1)
    if version == 1 {
      try bytes.skip(4)
    } else {
      // 0 is a scalar, 1 has extents, 2 has no elements.
      try require(version == 2 && kind <= 1 && (kind == 0) == (rank == 0))
    }
    var extents: [Int] = []
    for _ in 0..<rank { extents.append(try bytes.length()) }
    if flags == 1 {
      // What may grow is not contiguous.
      for extent in extents { try require(try bytes.length() == extent) }
    }
    self.extents = extents
  }

  /// The number of elements; `nil` where it overflows.
  static func count(_ extents: [Int]) -> Int? {
    var count = 1
    for extent in extents where extent != 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      count = product
    }
    return extents.contains(0) ? 0 : count
  }
}
