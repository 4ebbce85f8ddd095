import Glibc
import Synchronization

/// A bar on standard error for work that takes long; silent unless that is a terminal that can take a line
/// back.
///
/// It appears after half a second, so that quick work leaves no trace, and goes when the value does.
final class Progress: Sendable {
  private let label: String
  private let total: Int
  private let unit: String
  private let isShown: Bool
  private let done = Atomic<Int>(0)
  private let state: Mutex<(start: Double, last: Double, drawn: Bool)>

  /// - Parameters:
  ///   - total: how much there is to do, in the unit of ``add(_:)``.
  ///   - unit: what is counted where nobody knows how much there is, and `total` is 0; without it
  ///     nothing is shown then.
  init(_ label: String, total: Int, unit: String? = nil, quiet: Bool = false) {
    self.label = label
    self.total = total
    self.unit = unit ?? ""
    isShown =
      isatty(STDERR_FILENO) == 1 && Terminal.environment("TERM") != "dumb" && !quiet
      && (total > 0 || unit != nil)
    let now = Progress.now
    state = Mutex((now, now, false))
  }

  deinit {
    if state.withLock({ $0.drawn }) { Progress.write("\r\u{1b}[K") }
  }

  /// Counts work that was done; may be called from any thread.
  func add(_ amount: Int) {
    let sum = done.add(amount, ordering: .relaxed).newValue
    guard isShown else { return }
    state.withLock { state in
      let now = Progress.now
      guard now - state.start > 0.5, now - state.last > 0.1 else { return }
      (state.last, state.drawn) = (now, true)
      let columns = Terminal.error.columns ?? 80
      let line =
        total > 0
        ? Progress.line(label, min(1, Double(sum) / Double(total)), columns: columns)
        : String("\(label) \(Text.grouped(sum)) \(unit)".prefix(max(0, columns - 1)))
      Progress.write("\r\(line)\u{1b}[K")
    }
  }

  /// What is drawn of a share from 0 to 1; a line that wraps could not be taken back.
  static func line(_ label: String, _ share: Double, columns: Int) -> String {
    let percent = "\(Int(share * 100)) %"
    let length = max(0, min(24, columns - label.count - " 100 %".count - 2))
    let filled = Int(share * Double(length))
    let bar =
      String(repeating: "━", count: filled) + String(repeating: "─", count: length - filled)
    let line = [label, bar, percent].filter { !$0.isEmpty }.joined(separator: " ")
    return line.count < columns ? line : String(percent.prefix(max(0, columns - 1)))
  }

  private static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  private static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
