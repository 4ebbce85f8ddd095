import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import ckpt

/// The page that `report` writes; what a browser makes of it is in scripts/interop/with_browser.py.
@Suite struct ReportTests {
  private func report(_ arguments: String...) throws -> Command.Result {
    try Command.run(Command.path, ["report"] + arguments)
  }

  private func text(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  /// The data that stands in a page.
  private func data(_ page: String) throws -> JSON {
    let parts = page.components(separatedBy: "<script type=\"application/json\" id=\"data\">")
    try #require(parts.count == 2)
    let end = try #require(parts[1].range(of: "</script>"))
    return try JSON(parsing: Array(parts[1][..<end.lowerBound].utf8))
  }

  @Test func `a page is one file that names nothing outside of it, the same each time`() throws {
    let folder = try TemporaryFolder()
    let (path, again) = (folder.file("a.html"), folder.file("b.html"))
    let source = Command.fixtures + "/hf-bert"
    let result = try report(source, "-o", path, "--json")
    #expect(result.code == 0, "\(result.errors)")
    let page = try text(path)
    #expect(result.json?["bytes"]?.int == page.utf8.count)
    #expect(result.json?["page"]?.string == path)
    #expect(result.json?["attention"]?.bool == true)
    // The name of SVG's elements is no address.
    let addresses = page.replacing("http://www.w3.org/2000/svg", with: "")
    for word in ["http:", "https:", "src=", "@import", "url(", "fetch(", "XMLHttpRequest"] {
      #expect(!addresses.contains(word), "\(word)")
    }
    #expect(page.contains("default-src 'none'") && !page.contains("unsafe-inline"))
    #expect(try report(source, "-o", again, "--quiet").output.isEmpty)
    #expect(try text(again) == page)
    #expect(Paths.list(folder.path).sorted() == ["a.html", "b.html"], "nothing else is left")
  }

  @Test func `the data are those of ls and info`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("page.html")
    let source = Command.fixtures + "/b4k-bert"
    #expect(try report(source, "-o", path, "--no-attention").code == 0)
    let data = try data(text(path))
    let listed = try #require(
      try Command.run("ls", source, "--canonical", "--json").json?["tensors"]?.array)
    let rows = try #require(data["tensors"]?.array)
    #expect(rows.map { $0["name"] } == listed.map { $0["name"] })
    #expect(rows.map { $0["shape"] } == listed.map { $0["shape"] })
    #expect(rows.map { $0["bytes"] } == listed.map { $0["bytes"] })
    for (row, entry) in zip(rows, listed) {
      #expect(row["canonical"]?.array?.first == entry["canonical"] || entry["canonical"] == .null)
    }
    #expect(data["attention"] == nil)
    let info = try #require(try Command.run("info", source, "--json").json)
    for key in ["family", "dialect", "parameters", "config", "origins", "warnings"] {
      #expect(data["model"]?[key] == info[key], "\(key)")
    }
  }

  @Test func `an existing page and an input are not replaced`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("page.html", Array("mine".utf8))
    let source = Command.fixtures + "/hf-bert"
    let refused = try report(source, "-o", path)
    #expect(refused.code == 64)
    #expect(refused.errors.contains("--overwrite"))
    #expect(try text(path) == "mine")
    #expect(try report(source, "-o", path, "--overwrite").code == 0)
    #expect(try text(path).hasPrefix("<!doctype html>"))
    let input = folder.file("model.safetensors")
    try FileManager.default.copyItem(atPath: source + "/model.safetensors", toPath: input)
    let before = FileManager.default.contents(atPath: input)
    #expect(try report(input, "-o", input, "--overwrite").code == 64)
    #expect(FileManager.default.contents(atPath: input) == before)
    #expect(try report(source, "-o", folder.path).code == 64, "a folder")
    #expect(try report(source, "-o", folder.file("none/page.html")).code == 74)
    #expect(try report(source).code == 64, "without -o")
  }

  @Test func `names cannot end the data or become markup`() throws {
    let folder = try TemporaryFolder()
    let names = ["</script><b>", "<!--", "层/权重", "{{style}}", "a\"b\\c", "\u{2028}"]
    let header = JSON.object(
      names.enumerated().map { index, name in
        .init(
          name,
          .object([
            .init("dtype", .string("F32")), .init("shape", .array([.number(1)])),
            .init("data_offsets", .array([.number(4 * index), .number(4 * index + 4)])),
          ]))
      }
    ).compact.utf8
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { [UInt8]($0) }
    let source = try folder.file(
      "x <i>.safetensors",
      length + header + [UInt8](repeating: 0x3f, count: 4 * names.count))
    let path = folder.file("page.html")
    let result = try report(source, "-o", path)
    #expect(result.code == 0, "\(result.errors)")
    let page = try text(path)
    #expect(page.contains("<title>x &lt;i&gt;.safetensors</title>"))
    #expect(page.components(separatedBy: "<script").count == 3, "the data and the script")
    #expect(try data(page)["tensors"]?.array?.map { $0["name"]?.string } == names)
  }

  @Test func `two checkpoints make a page of what diff finds`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("page.html")
    let (first, second) = (Command.fixtures + "/hf-bert", folder.file("second"))
    #expect(try Command.convert(first, to: second, ["--to", "bert4keras"]).code == 0)
    let result = try report(first, second, "-o", path, "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["tensors"]?.array?.count == 2)
    let data = try data(text(path))
    let said = try #require(try Command.run("diff", first, second, "--json").json)
    #expect(data["change"]?["verdict"] == said["verdict"])
    #expect(data["change"]?["summary"] == said["summary"])
    let rows = try #require(data["tensors"]?.array)
    let pairs = try #require(said["pairs"]?.array)
    #expect(rows.prefix(pairs.count).map { $0["name"] } == pairs.map { $0["first"]?["name"] })
    #expect(
      rows.prefix(pairs.count).map { $0["other"]?["name"] } == pairs.map { $0["second"]?["name"] })
    #expect(rows.prefix(pairs.count).map { $0["state"] } == pairs.map { $0["state"] })
    #expect(try report(first, "--guess", "-o", folder.file("x.html")).code == 64)
  }

  @Test func `a model that its configuration contradicts has a page, and the error`() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("page.html")
    let result = try report(
      Command.fixtures + "/hf-bert", "--set", "hidden_size=77", "-o", path)
    #expect(result.code == 2)
    #expect(result.errors.contains("hidden_size"))
    let message = try data(text(path))["model"]?["error"]?["message"]?.string
    #expect(message?.contains("hidden_size") == true)
    #expect(try report("nowhere", "-o", folder.file("no.html")).code == 2)
    #expect(!Paths.exists(folder.file("no.html")))
  }

  @Test func `heads are analysed only where there are some`() throws {
    let folder = try TemporaryFolder()
    let gau = Command.fixtures + "/b4k-gau-alpha"
    #expect(try report(gau, "-o", folder.file("a.html"), "--attention").code == 2)
    let result = try report(gau, "-o", folder.file("b.html"), "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["attention"]?.bool == false)
  }

  @Test(arguments: [
    (0.1 + 0.2, "0.3"), (1.0 / 3, "0.3333333"), (-12345.678901, "-12345.68"),
    (1e-300 / 3, "3.333333e-301"),
    (16_777_217, "16777217"), (-0.0, "0"),
  ])
  func `numbers have the digits that are shown`(value: Double, text: String) {
    #expect(JSON.rounded(value) == .literal(text))
  }

  @Test func `what JSON cannot write is null`() {
    #expect(JSON.rounded(.nan) == .null)
    #expect(JSON.rounded(-.infinity) == .null)
    #expect(JSON.rounded(nil) == .null)
    let nested = JSON.object([
      .init("a", .array([.number(1.0 / 3), .number(7), .string("0.123456789")]))
    ])
    #expect(nested.rounded(digits: 2).compact == #"{"a":[0.33,7,"0.123456789"]}"#)
  }
}

/// The drawing follows from the family's structure.
@Suite struct ModelDiagramTests {
  private func diagram(_ fixture: String) throws -> ModelDiagram {
    ModelDiagram(try Opening(Command.fixtures + "/" + fixture).model())
  }

  private static let fixtures = [
    "b4k-bert", "b4k-albert", "b4k-gau-alpha", "b4k-gpt2-ml", "b4k-gpt2", "b4k-t5", "b4k-nezha",
    "b4k-roformer-v2", "b4k-electra", "b4k-crf", "b4k-opt-gated", "b4k-opt-talking-heads",
  ]

  @Test(arguments: fixtures)
  func `every parameter stands in one stage`(fixture: String) throws {
    let model = try Opening(Command.fixtures + "/" + fixture).model()
    let parameters = model.weights.reduce(0) { $0 + $1.tensor.shape.count }
    #expect(ModelDiagram(model).stages.reduce(0) { $0 + $1.parameters } == parameters)
  }

  @Test(arguments: fixtures)
  func `a block's boxes hold its weights, and sums lead back to where they begin`(
    fixture: String
  ) throws {
    let model = try Opening(Command.fixtures + "/" + fixture).model()
    for stage in ModelDiagram(model).stages where stage.kind == .blocks {
      let drawn = stage.layers.flatMap(\.parts).filter { !$0.label.hasSuffix("shared") }
        .reduce(0) { $0 + $1.parameters }
      let prefix = ["Encoder": "encoder.", "Decoder": "decoder."][stage.title] ?? ""
      let first = try #require(
        model.architecture.storedBlocks.first { prefix.isEmpty || $0.hasPrefix(prefix) })
      let stored = model.weights.filter { $0.name.hasPrefix(first + ".") }
        .reduce(0) { $0 + $1.tensor.shape.count }
      #expect(drawn == stored)
      for (index, layer) in stage.layers.enumerated() {
        #expect((layer.from != nil) == (layer.kind == .add))
        #expect(layer.from ?? -1 < index)
      }
    }
  }

  @Test func `norms stand where the family has them`() throws {
    func kinds(_ fixture: String) throws -> [String] {
      try diagram(fixture).stages.first { $0.kind == .blocks }?.layers.map(\.kind.rawValue) ?? []
    }
    #expect(try kinds("b4k-bert") == ["attention", "add", "feed_forward", "add"])
    #expect(
      try kinds("b4k-gpt2") == ["norm", "attention", "add", "norm", "feed_forward", "add"])
    #expect(try kinds("b4k-gpt2-ml") == ["attention", "add", "norm", "feed_forward", "add"])
    #expect(try kinds("b4k-gau-alpha") == ["attention", "add"])
    let decoder = try diagram("b4k-t5").stages.last { $0.kind == .blocks }
    #expect(decoder?.layers.filter { $0.kind == .attention }.count == 2)
    let albert = try diagram("b4k-albert").stages.first { $0.kind == .blocks }
    #expect(albert?.note.contains("shared") == true)
  }
}
