import Checkpoint
import Foundation
import TestSupport
import Testing

/// `ckpt ls`: what is listed, in which order, and what is said of the numbers.
@Suite struct ListTests {
  private static let bert = Fixtures.path("b4k-bert", "weights.h5")
  private static let odd = Fixtures.path("statistics", "numbers.safetensors")

  private func names(_ arguments: String...) throws -> [String] {
    let result = try Command.run(Command.path, ["ls", "--json"] + arguments)
    #expect(result.code == 0, "\(result.errors)")
    return (result.json?["tensors"]?.array ?? []).compactMap { $0["name"]?.string }
  }

  @Test func `globs match canonical names too`() throws {
    let result = try Command.run(
      "ls", Fixtures.path("b4k-bert"), "layers.0.attention.*", "--canonical", "--json")
    let tensors = try #require(result.json?["tensors"]?.array)
    #expect(tensors.count == 10)
    #expect(
      tensors.allSatisfy { $0["canonical"]?.string?.hasPrefix("layers.0.attention.") == true })
  }

  @Test func `statistics are the fixture's, in JSON`() throws {
    let text = try File.contents(of: Fixtures.path("statistics", "statistics.json"))
    let cases = try #require(JSON(parsing: text).array)
    let result = try Command.run("ls", Self.odd, "--stats", "--json")
    #expect(result.code == 0)
    let tensors = try #require(result.json?["tensors"]?.array)
    #expect(tensors.count == cases.count)
    for (tensor, wanted) in zip(tensors, cases) where tensor["dtype"] == wanted["dtype"] {
      let stats = try #require(tensor["stats"])
      for key in ["count", "nan", "zeros", "negative_zeros", "subnormals", "min", "max"] {
        let value = wanted[key]?.double
        #expect(stats[key]?.double == value, "\(wanted["name"]?.string ?? "") \(key)")
      }
      let bins = stats["histogram"]?["bins"]?.array?.compactMap(\.int) ?? []
      #expect(bins.reduce(0, +) == stats["sample"]?.int)
    }
  }

  @Test func `the largest comes first, and what has no number last`() throws {
    let result = try Command.run("ls", Self.odd, "f32.*", "--stats", "--sort", "max", "--json")
    let found = (result.json?["tensors"]?.array ?? []).map { $0["stats"]?["max"]?.double }
    #expect(found.count > 10 && found.last == .some(nil))
    let numbers = found.compactMap(\.self)
    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(found.prefix(numbers.count).allSatisfy { $0 != nil })
    let without = try Command.run("ls", Self.odd, "--sort", "max")
    #expect(without.code == 64 && without.errors.contains("--sort max needs --stats"))
  }

  @Test func `names are sorted as people count`() throws {
    let sorted = try names(Self.bert, "--sort", "name")
    #expect(sorted == sorted.sorted(by: Natural.less) && sorted.count > 20)
  }

  @Test func `branches have the sums of what is below them`() throws {
    let result = try Command.run("ls", Self.bert, "--tree", "--json")
    let tensors = try #require(result.json?["tensors"]?.array)
    let roots = try #require(result.json?["tree"]?.array)
    func check(_ node: JSON) -> (tensors: Int, bytes: Int) {
      let below = (node["children"]?.array ?? []).map(check)
      let own = tensors.first { $0["name"] == node["tensor"] && node["tensor"] != nil }
      let sums = below.reduce((own == nil ? 0 : 1, own?["bytes"]?.int ?? 0)) {
        ($0.0 + $1.tensors, $0.1 + $1.bytes)
      }
      #expect(node["tensors"]?.int == sums.0 && node["bytes"]?.int == sums.1)
      return sums
    }
    #expect(roots.map(check).reduce(0) { $0 + $1.tensors } == tensors.count)
    let text = try Command.run("ls", Self.bert, "--tree").output
    #expect(!text.contains("├") && text.contains("\n  "), "lines are for terminals")
  }

  /// A file of safetensors with that header and those bytes.
  private func safetensors(
    _ header: String, _ bytes: [UInt8], in folder: TemporaryFolder
  ) throws -> String {
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { [UInt8]($0) }
    return try folder.file("m.safetensors", length + header.utf8 + bytes)
  }

  /// Names that have the same parts, or none.
  @Test func `a tree has every tensor`() throws {
    let folder = try TemporaryFolder()
    let names = ["a/b", "a//b", "/a/b/", "a.b", "", ".", "a/b/c"]
    let entries = names.enumerated().map {
      #""\#($1)":{"dtype":"U8","shape":[1],"data_offsets":[\#($0),\#($0 + 1)]}"#
    }
    let path = try safetensors(
      "{" + entries.joined(separator: ",") + "}", [UInt8](repeating: 7, count: names.count),
      in: folder)
    let roots = try #require(Command.run("ls", path, "--tree", "--json").json?["tree"]?.array)
    func leaves(_ node: JSON) -> [String] {
      [node["tensor"]?.string].compactMap(\.self) + (node["children"]?.array ?? []).flatMap(leaves)
    }
    #expect(Set(roots.flatMap(leaves)) == Set(names))
    let lines = try Command.run("ls", path, "--tree").output.split(separator: "\n")
    #expect(lines.count { $0.contains(" u8 ") } == names.count)
    #expect(lines.contains { $0.hasPrefix("\"\"") }, "an empty name is seen")
  }

  /// Reading so much would take far longer than a minute.
  @Test(.timeLimit(.minutes(1))) func `names of a huge file are there at once`() throws {
    let folder = try TemporaryFolder()
    let entry = #"{"dtype":"F32","shape":[1000,1000000000],"data_offsets":[0,4000000000000]}"#
    let header = #"{"huge":"# + entry + "}"
    let path = try safetensors(header, [], in: folder)
    #expect(truncate(path, off_t(8 + header.utf8.count + 4_000_000_000_000)) == 0)
    let result = try Command.run("ls", path)
    #expect(result.code == 0 && result.output.contains("4.00 TB"))
    let part = try Command.run("show", path, "huge", "--slice", "-1,-2:", "--quiet")
    #expect(part.output == "[0. 0.]\n")
  }

  @Test(arguments: [60, 80, 100, 200]) func `nothing is wider than the terminal`(
    columns: Int
  ) throws {
    let path = Fixtures.path("tiny-albert", "weights.h5")
    let lines = try Command.onTerminal(["ls", path, "--stats", "--no-color"], columns: columns)
      .output.split(whereSeparator: \.isNewline)
    #expect(lines.count > 28 && lines.allSatisfy { $0.count <= columns })
    #expect(lines.first?.contains(" min ") == lines.first?.contains(" max "))
  }

  @Test func `a sample is said to be one`() throws {
    let folder = try TemporaryFolder()
    let numbers = (0..<5000).map { Float($0) }.withUnsafeBytes { [UInt8]($0) }
    let header = #"{"big":{"dtype":"F32","shape":[5000],"data_offsets":[0,20000]}}"#
    let path = try safetensors(header, numbers, in: folder)
    let text = try Command.run("ls", path, "--stats").output
    #expect(text.contains("~") && text.contains("from a sample of 4,096 numbers per tensor"))
    let stats = try #require(
      Command.run("ls", path, "--stats", "--json").json?["tensors"]?.array?.first?["stats"])
    #expect(stats["exact_quantiles"]?.bool == false && stats["sample"]?.int == 4096)
    #expect(stats["mean"]?.double == 2499.5 && stats["max"]?.double == 4999)
    let exact = try Command.run("ls", Self.bert, "--stats", "*beta*").output
    #expect(!exact.contains("~") && !exact.contains("sample"))
  }

  /// A checksum that is wrong costs that tensor's statistics and the exit code, not the others.
  @Test func `a damaged tensor does not stop the others`() throws {
    let folder = try TemporaryFolder()
    for file in ["index", "data-00000-of-00001"] {
      let source = Fixtures.path("b4k-bert", "tf", "best_model.weights.\(file)")
      var bytes = try File.contents(of: source)
      if file.hasPrefix("data") { bytes[100] ^= 1 }
      try folder.file("m.\(file)", bytes)
    }
    let result = try Command.run("ls", folder.file("m"), "--stats", "--json")
    #expect(result.code == 2)
    let tensors = try #require(result.json?["tensors"]?.array)
    let failed = tensors.filter { $0["no_stats"] != nil }
    #expect(failed.count == 1 && tensors.count > 20)
    #expect(failed.first?["no_stats"]?.string?.contains("checksum") == true)
    #expect(failed.first?["stats"] == .null)
    let text = try Command.run("ls", folder.file("m"), "--stats")
    #expect(text.code == 2 && text.output.contains("no statistics:"))
    #expect(text.errors.contains("checksum"))
  }
}
