/// Einstein's notation: sums of products of operands along named axes, `abc,cd->abd`.
///
/// `...` stands for any number of axes. Without an arrow the result has the letters that stand once, in
/// order of the alphabet.
public struct Einsum: Sendable, Equatable {
  /// The axes of each operand; `nil` is `...`.
  public let operands: [[Character?]]
  public let result: [Character?]

  /// - Throws: ``CheckpointError`` where the text is no such equation.
  public init(_ equation: String) throws(CheckpointError) {
    func wrong(_ what: String) -> CheckpointError {
      CheckpointError(.mismatch, Place(), "has the equation \"\(equation.prefix(80))\", which \(what)")
    }
    func axes(_ text: Substring) throws(CheckpointError) -> [Character?] {
      var axes: [Character?] = []
      var rest = text.filter { $0 != " " }[...]
      while let character = rest.first {
        if rest.hasPrefix("...") {
          guard !axes.contains(nil) else { throw wrong("has \"...\" twice in an operand") }
          axes.append(nil)
          rest = rest.dropFirst(3)
        } else {
          guard character.isLetter, character.isASCII else { throw wrong("has no letter for an axis") }
          guard !axes.contains(character) else { throw wrong("takes a diagonal") }
          axes.append(character)
          rest = rest.dropFirst()
        }
      }
      return axes
    }
    let sides = equation.split(separator: "->", maxSplits: 1, omittingEmptySubsequences: false)
    guard let left = sides.first, equation.utf8.count <= 400 else { throw wrong("is too long") }
    var operands: [[Character?]] = []
    for part in left.split(separator: ",", omittingEmptySubsequences: false) {
      operands.append(try axes(part))
    }
    self.operands = operands
    let all = operands.joined().compactMap { $0 }
    if sides.count == 2 {
      result = try axes(sides[1])
    } else {
      let once = Set(all.filter { letter in all.count { $0 == letter } == 1 })
      result = (operands.contains { $0.contains(nil) } ? [nil] : []) + once.sorted().map { $0 }
    }
    guard result.allSatisfy({ $0.map(all.contains) ?? operands.contains { $0.contains(nil) } }) else {
      throw wrong("has an axis in the result that no operand has")
    }
  }

  /// A number for each axis of each operand and of the result: the same number is the same axis.
  ///
  /// Axes of `...` are counted from the end: −1 is the last one.
  ///
  /// - Throws: ``CheckpointError`` where operands have other ranks than the equation.
  public func axes(ranks: [Int]) throws(CheckpointError) -> (operands: [[Int]], result: [Int]) {
    guard ranks.count == operands.count else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(operands.count) tensors; it is given \(ranks.count)")
    }
    var longest = 0
    var numbered: [[Int]] = []
    for (axes, rank) in zip(operands, ranks) {
      let hidden = rank - axes.count { $0 != nil }
      guard hidden >= 0, axes.contains(nil) || hidden == 0 else {
        throw CheckpointError(
          .mismatch, Place(), "takes a tensor of \(axes.count) axes; it is given one of \(rank)")
      }
      longest = max(longest, hidden)
      numbered.append(Einsum.numbered(axes, hidden: hidden))
    }
    return (numbered, Einsum.numbered(result, hidden: longest))
  }

  private static func numbered(_ axes: [Character?], hidden: Int) -> [Int] {
    axes.flatMap { axis in
      axis.map { [Int($0.asciiValue ?? 0)] } ?? (0..<max(hidden, 0)).map { $0 - hidden }
    }
  }

  /// The shape of the result.
  ///
  /// - Throws: ``CheckpointError`` where an axis has several extents.
  public func outputs(_ shapes: [KerasShape]) throws(CheckpointError) -> KerasShape {
    let (operands, result) = try axes(ranks: shapes.map(\.rank))
    var extents: [Int: Int?] = [:]
    for (axes, shape) in zip(operands, shapes) {
      for (axis, extent) in zip(axes, shape.extents) {
        switch (extents[axis] ?? nil, extent) {
        case (nil, _): extents[axis] = .some(extent)
        case (1?, _) where axis < 0: extents[axis] = .some(extent)
        case (let a?, let b?) where a != b && !(axis < 0 && b == 1):
          throw CheckpointError(
            .mismatch, Place(), "sums over an axis that has \(a) places in one tensor and \(b) in another")
        default: break
        }
      }
    }
    return KerasShape(result.map { extents[$0] ?? nil })
  }
}
