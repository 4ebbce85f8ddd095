import Checkpoint
import Glibc

extension JSON {
  /// A number with as many significant digits as a page shows; `null` where it is not finite.
  static func rounded(_ value: Double?, digits: Int32 = 7) -> JSON {
    guard let value, value.isFinite else { return .null }
    // Whole numbers keep all their digits, which are few or matter.
    if value == value.rounded(), abs(value) < 1e15 { return .number(Int(value)) }
    var text = [CChar](repeating: 0, count: 32)
    let count = withVaList([digits, value]) { vsnprintf(&text, text.count, "%.*g", $0) }
    return .literal(
      String(decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  /// The same document with every number that is not whole rounded to some significant digits.
  func rounded(digits: Int32) -> JSON {
    switch self {
    case .object(let members):
      .object(members.map { .init($0.key, $0.value.rounded(digits: digits)) })
    case .array(let values): .array(values.map { $0.rounded(digits: digits) })
    case .literal: int == nil ? .rounded(double, digits: digits) : self
    case .string, .bool, .null: self
    }
  }
}
