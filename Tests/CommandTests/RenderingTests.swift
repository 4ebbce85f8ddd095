import Checkpoint
import TestSupport
import Testing

@testable import ckpt

/// Tables, widths and names on a terminal.
@Suite struct RenderingTests {
  /// Columns as the Python package wcwidth 0.9.4 counts them.
  static let widths: [(String, Int)] = [
    ("kernel:0", 8), ("分类器/权重:0", 13), ("ｶﾀｶﾅ", 4), ("한국어", 6), ("e\u{301}", 1), ("👍🏽", 2),
    ("👨‍👩‍👧", 2), ("🇨🇳", 2), ("❤️", 2), ("☃", 1), ("ＡＢＣ", 6), ("\u{200b}", 0), ("नमस्ते", 4),
    ("─█", 2), ("…", 1), ("\u{1100}\u{1161}\u{11a8}", 2), ("", 0),
  ]

  @Test(arguments: widths) func `widths are those of wcwidth`(text: String, columns: Int) {
    #expect(Text.width(text) == columns)
    #expect(Text.width(Terminal(colored: true).bold(text)) == columns, "styles take none")
  }

  @Test func `names are shortened in the middle to just what fits`() {
    #expect(Text.shortened("bert/encoder/layer_0/kernel", to: 11) == "bert/…ernel")
    #expect(Text.shortened("编码器/层/权重", to: 9) == "编码…权重")
    #expect(Text.shortened("short", to: 5) == "short")
    for columns in 0...14 {
      #expect(Text.width(Text.shortened("编码器/层/权重", to: columns)) <= columns)
    }
  }

  @Test func `a table fits every terminal and leaves out what matters least first`() {
    var table = Table(
      [.left, .left, .right, .right], header: ["name", "dtype", "shape", "size"], optional: [3, 1])
    let name = "transformer/编码器/layer_11/attention/self/query/kernel:0"
    table.add(name, "f32", "(768, 768)", "2.36 MB")
    table.add("short", "bf16", "()", "2 B")
    let plain = Terminal(colored: false)
    let full = table.lines(plain, columns: nil)
    #expect(full[1].hasPrefix(name) && full[1].hasSuffix("2.36 MB"))
    for columns in 1...100 {
      let lines = table.lines(plain, columns: columns)
      #expect(lines.count == 3)
      #expect(lines.allSatisfy { Text.width($0) <= columns })
    }
    let narrow = table.lines(plain, columns: 50)
    #expect(narrow[1].contains("…") && narrow[1].hasSuffix("2.36 MB"))
    // Names are at their shortest, and one column is given up for them.
    #expect(table.lines(plain, columns: 46)[0].contains("size"))
    #expect(!table.lines(plain, columns: 46)[0].contains("dtype"))
    #expect(!table.lines(plain, columns: 42)[0].contains("size"))
  }

  @Test func `columns stand below each other, whatever the names are written in`() {
    var table = Table([.left, .left], header: ["name", "dtype"])
    for name in ["a", "嵌入/词:0", "👍🏽/kernel", "e\u{301}", "ｶﾀｶﾅ"] { table.add(name, "f32") }
    let starts = table.lines(Terminal(colored: false), columns: nil).dropFirst().map { line in
      Text.width(String(line.dropLast(3)))
    }
    #expect(Set(starts).count == 1)
  }

  @Test func `sentences go on below themselves`() {
    var table = Table([.left, .left], wrapping: 1)
    table.add("untie", "Gives each layer that shares weights its own copy of them.")
    let lines = table.lines(Terminal(colored: false), columns: 30)
    #expect(
      lines == [
        "untie  Gives each layer that", "       shares weights its own", "       copy of them.",
      ])
  }

  @Test func `what a terminal would obey is spelled`() {
    let name = "a\u{1b}[2J\u{1b}]0;title\u{7}b\nc\u{9b}31m\u{202e}d\te"
    let shown = "a\\u001b[2J\\u001b]0;title\\u0007b\\nc\\u009b31m\\u202ed\\te"
    #expect(Text.printable(name) == shown)
    #expect(Terminal.printable(name) == shown.replacing("\\n", with: "\n"))
    #expect(Text.printable("分类器 é 👨‍👩‍👧") == "分类器 é 👨‍👩‍👧")
    let terminal = Terminal(colored: true)
    #expect(Terminal.printable(terminal.red("x")) == "\u{1b}[1;31mx\u{1b}[0m")
    // A name cannot dress itself where names are expected.
    var table = Table([.left, .left], header: ["name", "dtype"])
    table.add("\u{1b}[1;31mred", "f32")
    #expect(table.lines(terminal, columns: nil)[1] == "\\u001b[1;31mred  f32")
  }
}

/// The command on a terminal, and not on one.
@Suite struct TerminalTests {
  static let model = Command.fixtures + "/b4k-bert/weights.h5"

  @Test(arguments: [40, 80, 200]) func `ls fits`(columns: Int) throws {
    let result = try Command.onTerminal(["ls", Self.model], columns: columns)
    #expect(result.code == 0)
    let lines = Terminal.unstyled(result.output).split(whereSeparator: \.isNewline)
    #expect(lines.count > 40)
    #expect(lines.allSatisfy { Text.width(String($0)) <= columns })
  }

  @Test(arguments: [
    ("NO_COLOR", "1", false), ("TERM", "dumb", false), ("TERM", "xterm-256color", true),
    ("NO_COLOR", "", true),
  ]) func `colour is for terminals that want it`(name: String, value: String, colored: Bool) throws
  {
    let result = try Command.onTerminal(["ls", Self.model], environment: [name: value])
    #expect(result.output.contains("\u{1b}") == colored)
    #expect(
      !(try Command.onTerminal(["ls", Self.model, "--no-color"])).output.contains("\u{1b}"))
    #expect(!(try Command.run("ls", Self.model)).output.contains("\u{1b}"))
  }

  @Test func `a reader that stops early ends it quietly`() throws {
    let result = try Command.run(
      "/bin/sh", ["-c", "'\(Command.path)' ls '\(Self.model)' | head -1"])
    #expect(result.code == 0 && result.errors.isEmpty)
    #expect(result.output.hasPrefix("name"))
  }

  @Test func `sequences in names of tensors do not reach the terminal`() throws {
    let folder = try TemporaryFolder()
    let header = #"{"a\u001b[2J\u202e\n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
    var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { [UInt8]($0) }
    bytes += Array(header.utf8) + [0, 0, 128, 63]
    let file = try folder.file("x.safetensors", bytes)
    for arguments in [
      ["ls", file], ["ls", file, "--tree"], ["hash", file, "--per-tensor"], ["info", file],
    ] {
      let result = try Command.onTerminal(arguments + ["--no-color"])
      #expect(
        !result.output.contains("\u{1b}") && !result.output.contains("\u{202e}"), "\(arguments)")
    }
  }

  @Test func `a bar of progress fits any terminal`() {
    for columns in 1...100 {
      for share in [0, 0.004, 0.5, 1] {
        let line = Progress.line("counting", share, columns: columns)
        #expect(line.count < columns && (columns < 7 || line.hasSuffix(" %")))
      }
    }
    #expect(
      Progress.line("counting", 0.5, columns: 80)
        == "counting " + String(repeating: "━", count: 12) + String(repeating: "─", count: 12)
        + " 50 %")
  }
}
