/// Writes a pickle of protocol 2, with only what `torch.load(weights_only=True)` takes.
struct PickleWriter {
  private(set) var bytes: [UInt8] = [PickleOpcode.proto.rawValue, 2]
  private var kept: [String: Int] = [:]

  mutating func write(_ opcode: PickleOpcode) { bytes.append(opcode.rawValue) }

  /// A text.
  mutating func write(_ text: String) {
    write(.binaryUnicode)
    bytes.append(little: UInt32(text.utf8.count))
    bytes += Array(text.utf8)
  }

  /// A text that is used often: kept at its first use and recalled later.
  mutating func write(common text: String) {
    once("text \(text)") { $0.write(text) }
  }

  /// A function or class, kept and recalled likewise.
  mutating func write(global module: String, _ name: String) {
    once("global \(module) \(name)") {
      $0.write(.global)
      $0.bytes += Array("\(module)\n\(name)\n".utf8)
    }
  }

  private mutating func once(_ key: String, _ write: (inout PickleWriter) -> Void) {
    if let number = kept[key] {
      self.write(.binaryGet)
      return bytes.append(UInt8(number))
    }
    write(&self)
    guard kept.count < 256 else { return }
    self.write(.binaryPut)
    bytes.append(UInt8(kept.count))
    kept[key] = kept.count
  }

  /// A number that is not negative.
  mutating func write(_ number: Int) {
    if let small = UInt8(exactly: number) {
      write(.binaryInt1)
      bytes.append(small)
    } else if let medium = UInt16(exactly: number) {
      write(.binaryInt2)
      bytes.append(little: medium)
    } else if let large = Int32(exactly: number) {
      write(.binaryInt)
      bytes.append(little: large)
    } else {
      write(.long1)
      bytes.append(8)
      bytes.append(little: number)
    }
  }

  /// A tuple of numbers.
  mutating func write(_ numbers: [Int]) {
    if numbers.isEmpty { return write(.emptyTuple) }
    write(.mark)
    for number in numbers { write(number) }
    write(.tuple)
  }
}
