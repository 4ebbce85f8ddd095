import Checkpoint
import Glibc
import TestSupport
import Testing

/// Files made by other people, with what h5py reads from them; run where a folder with both is
/// named by the environment variable.
private let realFiles = getenv("CKPT_REAL_FILES").map { String(cString: $0) }

@Suite(.enabled(if: realFiles != nil, "CKPT_REAL_FILES names no folder"))
struct HDF5RealFilesTests {
  static let sets = [
    "kh5-dl4j-small", "kh5-hls4ml", "kh5-tiny-xception", "hdf5-jhdf", "hdf5-jsfive",
    "keras-official-nested", "keras-qkeras-314",
  ]

  private static func read(_ path: String) throws -> Checkpoint {
    let probe = try Probe(path)
    return try FormatRegistry.recognise(probe).read(probe)
  }

  @Test(arguments: sets) func `every tensor is what h5py reads`(_ set: String) throws {
    let folder = try #require(realFiles)
    let text = try File.contents(of: "\(folder)/expected/\(set).json")
    var tensors = 0
    var reasons: [String: Int] = [:]
    for member in try JSON(parsing: text).members ?? [] {
      let checkpoint = try Self.read("\(folder)/files/\(set)/\(member.key)")
      let byName = Dictionary(
        checkpoint.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      for entry in member.value["tensors"]?.members ?? [] {
        guard let tensor = byName[entry.key] else {
          let reason = checkpoint.unreadable.first { $0.name == entry.key }?.reason
          reasons[reason ?? "MISSING", default: 0] += 1
          #expect(reason != nil, "\(member.key) \(entry.key) is not listed")
          continue
        }
        #expect(entry.value["shape"]?.array?.compactMap(\.int) == tensor.shape.extents)
        guard let expected = entry.value["sha256"]?.string else { continue }
        let digest = SHA256.hex(try tensor.bytes()).prefix(24)
        #expect(digest == expected, "\(member.key) \(entry.key)")
        tensors += 1
      }
    }
    print("\(set): \(tensors) tensors are equal; unreadable:", reasons)
  }

  @Test(arguments: sets) func `every file returns from being written`(_ set: String) throws {
    let folder = "\(try #require(realFiles))/files/\(set)"
    let scratch = try TemporaryFolder()
    for name in Paths.list(folder) where !name.hasPrefix("UPSTREAM") {
      let original = try Self.read(Paths.join(folder, name))
      guard original.tensors.allSatisfy({ $0.byteCount < 64 << 20 }) else { continue }
      let first = try scratch.rewritten(original, "1")
      let (found, expected) = (try first.summary(), try original.summary())
      #expect(found == expected, "\(name): \(found.difference(from: expected).prefix(2))")
      #expect(first.warnings == original.warnings)
      let second = try scratch.rewritten(first, "2")
      #expect(try File.contents(of: first.path) == File.contents(of: second.path), "\(name)")
    }
  }
}

/// FIPS 180-4, for comparing with digests that Python made.
private enum SHA256 {
  static func hex(_ message: [UInt8]) -> String {
    var state: [UInt32] = (0..<8).map { fraction(Double(primes[$0]).squareRoot()) }
    let constants = primes.map { fraction(cbrt(Double($0))) }
    var bytes = message + [0x80]
    while bytes.count % 64 != 56 { bytes.append(0) }
    bytes += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
    for block in stride(from: 0, to: bytes.count, by: 64) {
      var w = (0..<16).map { word in
        (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[block + 4 * word + $1]) }
      }
      for t in 16..<64 {
        let a = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ (w[t - 15] >> 3)
        let b = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ (w[t - 2] >> 10)
        w.append(w[t - 16] &+ a &+ w[t - 7] &+ b)
      }
      var s = state
      for t in 0..<64 {
        let e = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)
        let one = s[7] &+ e &+ ((s[4] & s[5]) ^ (~s[4] & s[6])) &+ constants[t] &+ w[t]
        let a = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)
        let two = a &+ ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]))
        s = [one &+ two, s[0], s[1], s[2], s[3] &+ one, s[4], s[5], s[6]]
      }
      for index in 0..<8 { state[index] &+= s[index] }
    }
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private static let primes = (2...311).filter { n in !(2..<n).contains { n % $0 == 0 } }

  private static func fraction(_ value: Double) -> UInt32 {
    UInt32((value - value.rounded(.down)) * 4_294_967_296)
  }

  private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 {
    value >> count | value << (32 - count)
  }
}
