import Glibc

/// What is known of a stream: whether it is a terminal that wants colour.
struct Terminal {
  let colored: Bool
  /// Columns of the terminal; `nil` where it is none, and lines may have any length.
  let columns: Int?

  static let output = Terminal(STDOUT_FILENO)
  static let error = Terminal(STDERR_FILENO)

  private init(_ descriptor: Int32) {
    var size = winsize()
    columns =
      isatty(descriptor) == 1 && ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
      ? Int(size.ws_col) : nil
    colored =
      isatty(descriptor) == 1 && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true)
      && !CommandLine.arguments.contains("--no-color")
  }

  func bold(_ text: String) -> String { style(text, "1") }
  func dim(_ text: String) -> String { style(text, "2") }
  func red(_ text: String) -> String { style(text, "1;31") }
  func green(_ text: String) -> String { style(text, "32") }
  func yellow(_ text: String) -> String { style(text, "33") }

  private func style(_ text: String, _ code: String) -> String {
    colored ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }

  static func printError(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
