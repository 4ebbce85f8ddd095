import Glibc

/// What is known of a stream: whether it is a terminal, and one that wants colour.
struct Terminal {
  let colored: Bool
  /// Whether any colour can be shown, not only some 256.
  let hasTrueColor: Bool
  /// Columns of the terminal; `nil` where it is none, and lines may have any length.
  let columns: Int?
  /// Lines of the terminal.
  let rows: Int?

  static let output = Terminal(STDOUT_FILENO)
  static let error = Terminal(STDERR_FILENO)

  private init(_ descriptor: Int32) {
    var size = winsize()
    let isTerminal = isatty(descriptor) == 1
    let isKnown =
      isTerminal && ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    columns = isKnown ? Int(size.ws_col) : isTerminal ? 80 : nil
    rows = isKnown && size.ws_row > 0 ? Int(size.ws_row) : isTerminal ? 24 : nil
    colored =
      isTerminal && Terminal.environment("NO_COLOR").isEmpty
      && Terminal.environment("TERM") != "dumb"
      && !CommandLine.arguments.contains("--no-color")
    hasTrueColor = ["truecolor", "24bit"].contains(Terminal.environment("COLORTERM"))
  }

  /// One that is set, for tests and for what is no stream.
  init(colored: Bool, hasTrueColor: Bool = false, columns: Int? = nil, rows: Int? = nil) {
    self.colored = colored
    self.hasTrueColor = hasTrueColor
    self.columns = columns
    self.rows = rows
  }

  private static func environment(_ name: String) -> String {
    getenv(name).map { String(cString: $0) } ?? ""
  }

  // MARK: Styles

  /// A style, as the parameter of the sequence that selects it.
  private enum Style: String, CaseIterable {
    case none = "0"
    case bold = "1"
    case dim = "2"
    case red = "1;31"
    case green = "32"
    case yellow = "33"

    var sequence: String { "\u{1b}[\(rawValue)m" }
  }

  func bold(_ text: String) -> String { styled(text, .bold) }
  func dim(_ text: String) -> String { styled(text, .dim) }
  func red(_ text: String) -> String { styled(text, .red) }
  func green(_ text: String) -> String { styled(text, .green) }
  func yellow(_ text: String) -> String { styled(text, .yellow) }

  private func styled(_ text: String, _ style: Style) -> String {
    colored ? style.sequence + text + Style.none.sequence : text
  }

  /// `text` in pieces: what is shown, and the sequences between.
  private static func pieces(_ text: String) -> [(text: Substring, isStyle: Bool)] {
    var pieces: [(Substring, Bool)] = []
    var rest = text[...]
    while let start = rest.utf8.firstIndex(of: 0x1b) {
      pieces.append((rest[..<start], false))
      let after = rest[start...]
      let sequence = Style.allCases.map(\.sequence).first { after.utf8.starts(with: $0.utf8) }
      let end = after.utf8.index(start, offsetBy: sequence?.utf8.count ?? 1)
      pieces.append((after[..<end], sequence != nil))
      rest = after[end...]
    }
    return pieces + [(rest, false)]
  }

  /// `text` without the styles that were given to it.
  static func unstyled(_ text: String) -> String {
    guard text.utf8.contains(0x1b) else { return text }
    return pieces(text).filter { !$0.isStyle }.map { String($0.text) }.joined()
  }

  // MARK: Output

  /// `text` with nothing in it but characters, ends of lines and the styles above; the rest is spelled
  /// (``Text/printable(_:)``).
  static func printable(_ text: String) -> String {
    guard text.utf8.contains(0x1b) else { return Text.printableLines(text) }
    return pieces(text).map { $0.isStyle ? String($0.text) : Text.printableLines(String($0.text)) }
      .joined()
  }

  /// Prints a line, or several, without what a terminal would obey: names come from files.
  static func print(_ text: String, terminator: String = "\n") {
    Swift.print(printable(text), terminator: terminator)
  }

  /// Prints colours and other sequences that were made here.
  static func printRaw(_ text: String) { Swift.print(text) }

  static func printError(_ text: String) {
    let bytes = Array((printable(text) + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// Everything that the command prints goes through ``Terminal/print(_:terminator:)``; this stands
/// before Swift's own.
func print(_ items: Any..., separator: String = " ", terminator: String = "\n") {
  Terminal.print(items.map { "\($0)" }.joined(separator: separator), terminator: terminator)
}
