import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import ckpt

/// What `ckpt show` finds and draws; its numbers are compared with NumPy's by scripts/interop/with_show.py.
@Suite struct ShowTests {
  static let model = Command.fixtures + "/tiny-albert/weights.h5"
  static let stored = "Embedding-Position/Embedding-Position/embeddings:0"

  @Test(arguments: [stored, "embeddings.position", "*Position*", "embeddings.pos*"])
  func `a tensor is found by each of its names`(name: String) throws {
    let result = try Command.run("show", Self.model, name, "--slice", "-2:,::-16", "--json")
    #expect(result.code == 0, "\(result.errors)")
    let json = try #require(result.json)
    #expect(json["name"]?.string == Self.stored)
    #expect(json["canonical"]?.string == "embeddings.position")
    #expect(json["selected_shape"]?.array?.compactMap(\.int) == [2, 3])
    let tensor = try #require(
      try Opening(Self.model).checkpoint.tensors.first { $0.name == Self.stored })
    let all = try tensor.doubles()
    let found = json["values"]?.array?.map { $0.array?.compactMap(\.double) ?? [] } ?? []
    #expect(
      found.map { $0.map { Float($0) } }
        == [30, 31].map { row in [47, 31, 15].map { Float(all[row * 48 + $0]) } })
  }

  @Test func `a weight by its canonical name is the same from every framework`() throws {
    let names = ["b4k-bert", "hf-bert"].map { Command.fixtures + "/" + $0 }
    for name in names {
      let result = try Command.run(
        "show", name, "layers.0.feed_forward.inner.kernel", "--slice", ":1,:1", "--json")
      let shape = result.json?["shape"]?.array?.compactMap(\.int) ?? []
      #expect(shape.count == 2 && shape[0] < shape[1], "in × out: \(result.output)")
    }
  }

  @Test func `what is not one tensor is answered with names`() throws {
    let several = try Command.run("show", Self.model, "Embedding-Norm*")
    #expect(several.code == 64)
    #expect(several.errors.contains("Embedding-Norm/Embedding-Norm/gamma:0"))
    #expect(several.errors.contains("matches 2 tensors"))
    let none = try Command.run("show", Self.model, "embedings.positions")
    #expect(none.code == 64)
    #expect(none.errors.contains("did you mean embeddings.position"))
    #expect(try Command.run("show", Self.model).code == 64)
    #expect(try Command.run("show", Self.model, Self.stored, "--slice", "99").code == 64)
    #expect(try Command.run("show", Self.model, Self.stored, "--slice", "x").code == 64)
    #expect(try Command.run("show", Self.model, Self.stored, "--hist", "--heat").code == 64)
    #expect(try Command.run("show", Self.model + "x", Self.stored).code == 2)
  }

  @Test func `numbers of a file of one tensor need no name`() throws {
    let folder = try TemporaryFolder()
    let header = #"{"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#
    var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { [UInt8]($0) }
    bytes += Array(header.utf8) + Elements.encode([1, -2.5, .nan, 1e-3] as [Float], as: .f32)
    let file = try folder.file("x.safetensors", bytes)
    let result = try Command.run("show", file, "--quiet")
    #expect(result.output == "[[ 1.0e+00 -2.5e+00]\n [     nan  1.0e-03]]\n")
    let json = try Command.run("show", file, "--json").json
    #expect(json?["values"]?.array?[1].array == [.null, .literal("0.001")])
    #expect(json?["statistics"]?["nan"]?.int == 1)
  }

  @Test(arguments: [30, 80, 200]) func `pictures fit the terminal`(columns: Int) throws {
    for options in [
      ["--heat"], ["--hist"], ["--heat", "--pool", "mean"], ["--heat", "--slice", "0"],
    ] {
      for environment in [["COLORTERM": "truecolor"], [:], ["NO_COLOR": "1"]] {
        let result = try Command.onTerminal(
          ["show", Self.model, "embeddings.token"] + options, columns: columns, rows: 30,
          environment: environment)
        #expect(result.code == 0)
        #expect(result.output.contains("\u{1b}") == (environment["NO_COLOR"] == nil))
        #expect(
          result.output.contains("38;2;")
            == (environment["COLORTERM"] != nil && options[0] == "--heat"))
        let plain = result.output.replacing(/\u{1b}\[[0-9;]*m/, with: "")
        let lines = plain.split(whereSeparator: \.isNewline)
        let picture = lines.filter { $0.contains("▀") || $0.contains("█") }
        #expect(picture.count > 3 || options.count > 2)
        #expect(picture.allSatisfy { Text.width(String($0)) <= columns }, "\(options)")
      }
    }
  }

  @Test func `an image replaces nothing unless it may, and nothing is left when it fails`() throws {
    let folder = try TemporaryFolder()
    let image = folder.file("x.png")
    let show = ["show", Self.model, "embeddings.token", "-o", image]
    #expect(try Command.run(Command.path, show).code == 0)
    let first = try Data(contentsOf: URL(fileURLWithPath: image))
    #expect(first.starts(with: [0x89, 0x50, 0x4e, 0x47]))
    #expect(try Command.run(Command.path, show + ["--hist"]).code == 64)
    #expect(try Data(contentsOf: URL(fileURLWithPath: image)) == first)
    #expect(try Command.run(Command.path, show + ["--hist", "--overwrite"]).code == 0)
    #expect(try Data(contentsOf: URL(fileURLWithPath: image)) != first)
    #expect(
      try Command.run(Command.path, show + ["--slice", "3:3", "--overwrite"]).code == 64,
      "nothing to draw")
    #expect(
      try Command.run("show", Self.model, "embeddings.token", "-o", Self.model, "--overwrite").code
        == 64, "the input")
    #expect(folder.contents == ["x.png"])
  }

  @Test func `libpng is asked for sensible images only`() {
    #expect(throws: CheckpointError.self) { _ = try PNG.encode([], width: 0, height: 0) }
    #expect(throws: CheckpointError.self) { _ = try PNG.encode([1, 2], width: 1, height: 1) }
  }

  /// Their range is more than a number can say.
  @Test(arguments: ["--heat", "--hist"]) func `the largest numbers of both signs are drawn`(
    option: String
  ) throws {
    let folder = try TemporaryFolder()
    let header = #"{"x":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { [UInt8]($0) }
    let numbers = [-1.7e308, 1.7e308].withUnsafeBytes { [UInt8]($0) }
    let path = try folder.file("x.safetensors", length + header.utf8 + numbers)
    let image = folder.file("x.png")
    let result = try Command.run("show", path, option, "--bins", "4", "-o", image)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("-1.7e+308") && !result.output.contains("inf"))
    #expect(try File.contents(of: image).count > 60)
  }
}
