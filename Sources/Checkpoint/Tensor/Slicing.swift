/// Which elements of a tensor are meant, as NumPy's basic indexing says it: `0:4, :8`, `-1, ...`, `::2`.
public struct Slicing: Sendable, Equatable {
  /// What is said of one axis.
  public enum Item: Sendable, Equatable {
    /// One index, which drops the axis; negative ones count from the end.
    case index(Int)
    case range(start: Int?, stop: Int?, step: Int)
    /// As many whole axes as are left.
    case ellipsis
  }

  public let items: [Item]

  /// All elements.
  public static let all = Slicing(items: [])

  public init(items: [Item]) { self.items = items }

  /// - Throws: ``CheckpointError`` of kind `usage` when `text` is no slice.
  public init(_ text: String) throws(CheckpointError) {
    func fail(_ reason: String) -> CheckpointError {
      CheckpointError(
        .usage, Place(member: "slice \"\(text)\""), reason,
        hint: "for example 0:4,:8 or -1,... or ::2, as NumPy takes them")
    }
    var body = Slicing.trimmed(text[...])
    if body.hasPrefix("["), body.hasSuffix("]") { body = body.dropFirst().dropLast() }
    var items: [Item] = []
    for part in body.isEmpty ? [] : body.split(separator: ",", omittingEmptySubsequences: false) {
      let part = Slicing.trimmed(part)
      if part == "..." || part.lowercased() == "ellipsis" {
        guard !items.contains(.ellipsis) else { throw fail("has more than one ...") }
        items.append(.ellipsis)
        continue
      }
      if let index = Slicing.number(part) {
        items.append(.index(index))
        continue
      }
      // A comma may stand at the end, as in a tuple of one.
      if part.isEmpty, !items.isEmpty, part.endIndex == body.endIndex { break }
      let fields = part.split(separator: ":", omittingEmptySubsequences: false)
      guard (2...3).contains(fields.count) else {
        throw fail("\"\(part)\" is no index and no start:stop:step")
      }
      var numbers: [Int?] = []
      for field in fields {
        let field = Slicing.trimmed(field)
        let number = Slicing.number(field)
        guard field.isEmpty || number != nil else {
          throw fail("\"\(field)\" is no whole number")
        }
        numbers.append(number)
      }
      let step = numbers.count > 2 ? numbers[2] ?? 1 : 1
      guard step != 0 else { throw fail("has a step of 0") }
      items.append(.range(start: numbers[0], stop: numbers[1], step: step))
    }
    self.items = items
  }

  private static func trimmed(_ text: Substring) -> Substring {
    let end = text.lastIndex { !$0.isWhitespace }.map(text.index(after:)) ?? text.startIndex
    return text[..<end].drop(while: \.isWhitespace)
  }

  /// A whole number; one beyond what an index can be is as far as it can be, as NumPy takes it.
  private static func number(_ text: Substring) -> Int? {
    if let number = Int(text) { return max(number, -Int.max) }
    let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    return text.hasPrefix("-") ? -Int.max : Int.max
  }

  /// The elements of a tensor of that shape.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` when there are more items than axes, or an index lies
  ///   outside its axis.
  public func selection(of shape: Shape) throws(CheckpointError) -> Selection {
    let said = items.filter { $0 != .ellipsis }.count
    guard said <= shape.rank else {
      throw CheckpointError(
        .usage, Place(member: "slice"),
        "has \(said) items where the tensor has \(shape.rank) "
          + (shape.rank == 1 ? "axis" : "axes") + ", \(shape)")
    }
    let whole = Item.range(start: nil, stop: nil, step: 1)
    let rest = [Item](repeating: whole, count: shape.rank - said)
    let full =
      items.contains(.ellipsis)
      ? items.flatMap { $0 == .ellipsis ? rest : [$0] } : items + rest
    var axes: [Selection.Axis] = []
    for (axis, (item, extent)) in zip(full, shape.extents).enumerated() {
      switch item {
      case .index(let index):
        guard index >= -extent, index < extent else {
          throw CheckpointError(
            .usage, Place(member: "slice"),
            "index \(index) is out of bounds for axis \(axis) with size \(extent)")
        }
        axes.append(.init(start: index < 0 ? index + extent : index, step: 1, count: nil))
      case .range(let start, let stop, let step):
        axes.append(Slicing.axis(start, stop, step, extent: extent))
      case .ellipsis: break
      }
    }
    return Selection(source: shape, axes: axes)
  }

  /// As Python's `slice.indices`.
  private static func axis(_ start: Int?, _ stop: Int?, _ step: Int, extent: Int) -> Selection.Axis
  {
    let (low, high) = step > 0 ? (0, extent) : (-1, extent - 1)
    func place(_ value: Int) -> Int {
      let place = value < 0 ? value.addingReportingOverflow(extent).partialValue : value
      return min(max(place, low), high)
    }
    let first = start.map(place) ?? (step > 0 ? low : high)
    let last = stop.map(place) ?? (step > 0 ? high : low)
    let distance = step > 0 ? last - first : first - last
    let count = distance > 0 ? (distance - 1) / abs(step) + 1 : 0
    return .init(start: first, step: step, count: count)
  }
}

/// Elements of a tensor on a grid: of each axis every so many indices from one on.
public struct Selection: Sendable, Equatable {
  public struct Axis: Sendable, Equatable {
    public var start: Int
    public var step: Int
    /// `nil` where one index was given, which drops the axis.
    public var count: Int?

    public init(start: Int, step: Int, count: Int?) {
      self.start = start
      self.step = step
      self.count = count
    }
  }

  /// The shape of the tensor.
  public let source: Shape
  public let axes: [Axis]

  public init(source: Shape, axes: [Axis]) {
    self.source = source
    self.axes = axes
  }

  /// The shape of what is selected.
  public var shape: Shape { Shape(axes.compactMap(\.count)) }

  /// Whether that is every element in its place.
  public var isWhole: Bool {
    zip(axes, source.extents).allSatisfy {
      $0.start == 0 && ($0.step == 1 || $1 < 2) && $0.count == $1
    }
  }
}

extension Tensor {
  /// What `selection` says of the tensor, read when it is asked for and no more than that: packed types
  /// are decoded for it, and what cannot be read in parts is read once, here.
  ///
  /// - Parameter isSmall: whether so few elements will be read that the rest need not be unpacked.
  /// - Throws: ``CheckpointError`` when the selection is of another shape, the type cannot be decoded, or
  ///   what must be read at once cannot be.
  public func selecting(
    _ selection: Selection, isSmall: Bool = false
  ) throws(CheckpointError) -> Tensor {
    guard selection.source == shape else {
      throw CheckpointError(.mismatch, .tensor(name), "has shape \(shape), not \(selection.source)")
    }
    guard !dtype.isPacked || isCastable else {
      throw CheckpointError(.unsupported, .tensor(name), "\(dtype.rawValue) cannot be decoded")
    }
    if selection.isWhole { return self }
    guard !dtype.isPacked else {
      return try cast(to: .f32).selecting(selection, isSmall: isSmall)
    }
    try checkLength()
    let isFound =
      payload.isWindowed
      && (payload.slice != nil || isSmall || byteCount > Tensor.readAtOnce)
    return Tensor(
      name: name, aliases: aliases, dtype: dtype, shape: selection.shape,
      payload: SelectedPayload(
        stored: isFound ? payload : BytesPayload(try bytes()), selection: selection,
        size: dtype.size))
  }

  /// Bytes from which even what has to be unpacked is read in parts.
  private static let readAtOnce = 64 << 20
}

/// Elements on a grid in another tensor's bytes.
struct SelectedPayload: Payload {
  private let stored: any Payload
  /// Bytes of one element.
  private let size: Int
  /// Indices and steps of each axis, in elements of `stored`; axes that lie in a row are one.
  private let axes: [(count: Int, step: Int)]
  private let origin: Int
  let byteCount: Int
  var storage: String { "\(stored.storage), sliced" }
  var filters: [String] { stored.filters }
  var isWindowed: Bool { true }
  var workingBytes: Int { SelectedPayload.span }

  /// Bytes that are read at once where the elements lie apart.
  private static let span = 1 << 20
  /// Bytes from one element to the next from which each is read alone.
  private static let apart = 4096

  init(stored: any Payload, selection: Selection, size: Int) {
    self.stored = stored
    self.size = size
    byteCount = selection.shape.count * size
    let strides = selection.source.strides
    origin = zip(selection.axes, strides).reduce(0) { $0 + $1.0.start * $1.1 }
    var axes: [(count: Int, step: Int)] = []
    for (axis, stride) in zip(selection.axes, strides) {
      guard let count = axis.count, count != 1 else { continue }
      let step = axis.step &* stride
      if let last = axes.last, last.step == count &* step {
        axes[axes.count - 1] = (last.count * count, step)
      } else {
        axes.append((count, step))
      }
    }
    self.axes = axes.isEmpty ? [(1, 1)] : axes
  }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    let first = offset / size
    let end = (offset + buffer.byteCount + size - 1) / size
    var bytes: [UInt8] = []
    bytes.reserveCapacity((end - first) * size)
    let inner = axes[axes.count - 1]
    var element = first
    while element < end {
      // Where the row begins in which the element lies, and how far in it is.
      var (row, place) = element.quotientAndRemainder(dividingBy: inner.count)
      var start = origin
      for axis in axes.dropLast().reversed() {
        let (rest, index) = row.quotientAndRemainder(dividingBy: axis.count)
        start += index * axis.step
        row = rest
      }
      start += place * inner.step
      place = min(inner.count - place, end - element)
      try add(from: start, step: inner.step, count: place, to: &bytes)
      element += place
    }
    try BytesPayload(bytes).read(at: offset - first * size, into: &buffer)
  }

  /// Adds `count` elements from one on.
  private func add(
    from start: Int, step: Int, count: Int, to bytes: inout [UInt8]
  ) throws(CheckpointError) {
    let distance = step.magnitude.multipliedReportingOverflow(by: UInt(size))
    let isApart = distance.overflow || distance.partialValue > UInt(SelectedPayload.apart)
    let most =
      step == 1 ? count : isApart ? 1 : max(1, SelectedPayload.span / Int(distance.partialValue))
    var done = 0
    while done < count {
      let part = min(most, count - done)
      let (one, other) = (start + done * step, start + (done + part - 1) * step)
      let low = min(one, other)
      let read = try read(low, abs(other - one) + 1)
      if step == 1 {
        bytes += read
      } else {
        for index in 0..<part {
          let place = (one + index * step - low) * size
          bytes += read[place..<(place + size)]
        }
      }
      done += part
    }
  }

  private func read(_ element: Int, _ count: Int) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count * size)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try stored.read(at: element * size, into: &raw)
    return bytes
  }
}
