extension ClassicHDF5 {
  /// An attribute message of version 1 to 3: section IV.A.2.m.
  mutating func attribute(_ message: ClassicBytes) throws(NotClassic) -> Attribute {
    var bytes = message
    let version = try bytes.u8()
    // Version 1 has no flags; type and space of the others may be shared, which is not classic.
    try require((1...3).contains(version))
    try require(try bytes.u8() == 0)
    let nameSize = Int(try bytes.u16())
    let typeSize = Int(try bytes.u16())
    let spaceSize = Int(try bytes.u16())
    if version == 3 { try require(try bytes.u8() <= 1) }  // the name's character set

    /// Version 1 fills every part up to 8 bytes.
    func part(_ size: Int) throws(NotClassic) -> ClassicBytes {
      let part = ClassicBytes(try bytes.take(size))
      if version == 1 { try bytes.skip(-size & 7) }
      return part
    }
    var namePart = try part(nameSize)
    var typePart = try part(typeSize)
    var spacePart = try part(spaceSize)
    let nameBytes = try namePart.take(nameSize)
    guard nameBytes.firstIndex(of: 0) == nameBytes.endIndex - 1, nameSize > 1,
      let name = String(validating: nameBytes.dropLast(), as: UTF8.self)
    else { throw NotClassic() }
    let type = try ClassicType(&typePart)
    let extents = try ClassicSpace(&spacePart).extents
    guard let count = ClassicSpace.count(extents) else { throw NotClassic() }
    try require(count <= bytes.left / type.size)
    switch type {
    case .element(let element):
      guard let dtype = DType(hdf5Code: element.code) else { throw NotClassic() }
      var values = [UInt8](try bytes.take(count * element.size))
      if element.isBigEndian { values = swapped(values, size: dtype.numberSize) }
      return Attribute(name, .numbers(dtype, shape: extents, bytes: values))
    case .text(let size, let utf8, let padding):
      var texts: [String] = []
      texts.reserveCapacity(count)
      for _ in 0..<count {
        texts.append(try text(ClassicHDF5.trimmed(bytes.take(size), padding)))
      }
      return Attribute(
        name, .text(texts, shape: extents, type: .init(size: size, utf8: utf8, padding: padding)))
    case .variableText(let utf8, let padding):
      var texts: [String] = []
      texts.reserveCapacity(count)
      for _ in 0..<count { texts.append(try variableText(&bytes)) }
      return Attribute(
        name, .text(texts, shape: extents, type: .init(size: nil, utf8: utf8, padding: padding)))
    }
  }

  private func text(_ bytes: ArraySlice<UInt8>) throws(NotClassic) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw NotClassic() }
    return text
  }

  /// Text of fixed length without what fills it.
  private static func trimmed(
    _ bytes: ArraySlice<UInt8>, _ padding: Attribute.TextType.Padding
  ) -> ArraySlice<UInt8> {
    switch padding {
    case .nullTerminated: bytes.prefix { $0 != 0 }
    case .nullPadded: bytes[..<((bytes.lastIndex { $0 != 0 } ?? bytes.startIndex - 1) + 1)]
    case .spacePadded: bytes[..<((bytes.lastIndex { $0 != 0x20 } ?? bytes.startIndex - 1) + 1)]
    }
  }

  private func swapped(_ bytes: [UInt8], size: Int) -> [UInt8] {
    bytes.indices.map { bytes[$0 - $0 % size + (size - 1 - $0 % size)] }
  }

  /// A length, and where in the global heap the text is; it ends at its first zero.
  private mutating func variableText(_ bytes: inout ClassicBytes) throws(NotClassic) -> String {
    let length = Int(try bytes.u32())
    let address = try bytes.length()
    let number = Int(try bytes.u32())
    if address == 0 {
      try require(length == 0)
      return ""
    }
    if collections[address] == nil {
      collections[address] = try ClassicCollection(at: address, &pages)
    }
    guard let object = collections[address]?.objects[number], object.length == length else {
      throw NotClassic()
    }
    var content = try pages.bytes(at: object.address, count: length)
    return try text(content.take(length).prefix { $0 != 0 })
  }
}

/// A collection of the global heap: section III.E.
struct ClassicCollection {
  private(set) var objects: [Int: (address: Int, length: Int)] = [:]

  init(at address: Int, _ pages: inout ClassicPages) throws(NotClassic) {
    var bytes = try pages.bytes(at: address, count: 16)
    try bytes.signature("GCOL")
    try require(try bytes.u32() == 1)  // version and reserved bytes
    let size = try bytes.length()
    try require(size >= 4096 && size % 8 == 0)
    // All of it must lie in the file.
    try require(size <= pages.end - pages.base - address)
    var position = 16
    // What cannot hold an object's head is free.
    while size - position >= 16 {
      var head = try pages.bytes(at: address + position, count: 16)
      let number = Int(try head.u16())
      try head.skip(6)
      let length = try head.length()
      if number == 0 {
        // Free space, which ends the collection; its length includes its head.
        try require(length == size - position)
        return
      }
      try require(length <= size - position - 16)
      try require(objects.updateValue((address + position + 16, length), forKey: number) == nil)
      position += 16 + (length + 7) & ~7
    }
    try require(position <= size)
  }
}
