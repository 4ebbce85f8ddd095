/// A layer's `config` as Keras writes it, read by key with the names that other versions give them.
///
/// Every reading error names the layer, the key, what stands there and what was expected.
public struct KerasConfig: Sendable {
  public var json: JSON
  /// The layer's name, for messages.
  public var layer: String
  public var className: String
  public var context: Context

  /// What a whole file says of how its layers are meant.
  public struct Context: Sendable {
    /// The major version of the Keras that wrote it: 1, 2 or 3.
    public var version: Int
    /// `tensorflow`, `theano`, `jax`, …, where the file says so.
    public var backend: String?
    /// Whether bert4keras built the model, whose `Embedding` is another class of the same name.
    public var isBert4keras = false
    /// Whether layers that do not say it have channels first: Keras 1 writes it of some layers only, and
    /// then means all.
    public var isChannelsFirst = false
    /// What the user supplies for Lambda layers, by the layer's name.
    public var lambdas: [String: String]

    public init(version: Int = 2, backend: String? = nil, lambdas: [String: String] = [:]) {
      self.version = version
      self.backend = backend
      self.lambdas = lambdas
    }
  }

  public init(_ json: JSON, layer: String, className: String, context: Context = Context()) {
    self.json = json
    self.layer = layer
    self.className = className
    self.context = context
  }

  /// A member that is there and not `null`, by the first of the names that is.
  public subscript(keys: String...) -> JSON? {
    for key in keys {
      if let value = json[key], value != .null { return value }
    }
    return nil
  }

  private func value(_ key: String, _ old: [String]) -> JSON? {
    for name in [key] + old {
      if let value = json[name], value != .null { return value }
    }
    return nil
  }

  /// Where the layer is, for errors.
  public var place: Place { Place(member: "layer \(layer) (\(className))") }

  /// An error of the layer: where, what.
  public func error(
    _ reason: String, kind: CheckpointError.Kind = .mismatch, hint: String? = nil
  ) -> CheckpointError {
    CheckpointError(kind, place, reason, hint: hint)
  }

  private func wrong(_ key: String, _ value: JSON?, _ expected: String) -> CheckpointError {
    guard let value else { return error("its config has no \(key); expected \(expected)") }
    let text = value.compact
    return error(
      "\(key) is \(text.count > 80 ? String(text.prefix(80)) + "…" : text); expected \(expected)")
  }

  /// The largest number that a size, a stride or a count of units may be.
  static let largest = 1 << 31

  /// A whole number; with a default it may be missing.
  public func int(
    _ key: String, _ old: String..., least: Int = 1, default fallback: Int? = nil
  ) throws(CheckpointError) -> Int {
    guard let value = value(key, old) else {
      if let fallback { return fallback }
      throw wrong(key, nil, "a whole number")
    }
    guard let number = value.int, number >= least, number < KerasConfig.largest else {
      throw wrong(key, value, "a whole number of at least \(least)")
    }
    return number
  }

  /// A finite number; with a default it may be missing.
  public func double(
    _ key: String, _ old: String..., default fallback: Double? = nil
  ) throws(CheckpointError) -> Double {
    guard let value = value(key, old) else {
      if let fallback { return fallback }
      throw wrong(key, nil, "a number")
    }
    // Keras 2 writes some as arrays of NumPy.
    let number = value.double ?? value["value"]?.double
    guard let number, number.isFinite else { throw wrong(key, value, "a number") }
    return number
  }

  /// A flag; `0` and `1` count too.
  public func bool(
    _ key: String, _ old: String..., default fallback: Bool
  ) throws(CheckpointError) -> Bool {
    guard let value = value(key, old) else { return fallback }
    if let flag = value.bool { return flag }
    if let number = value.int, (0...1).contains(number) { return number == 1 }
    throw wrong(key, value, "true or false")
  }

  public func text(
    _ key: String, _ old: String..., default fallback: String? = nil
  ) throws(CheckpointError) -> String {
    guard let value = value(key, old) else {
      if let fallback { return fallback }
      throw wrong(key, nil, "a text")
    }
    guard let text = value.string else { throw wrong(key, value, "a text") }
    return text
  }

  /// One of a few words.
  public func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, _ old: String..., default fallback: Choice
  ) throws(CheckpointError) -> Choice {
    guard let value = value(key, old) else { return fallback }
    if let choice = value.string.flatMap(Choice.init(rawValue:)) { return choice }
    throw wrong(key, value, "one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
  }

  /// Whole numbers, one for each axis; a single number holds for all of them.
  ///
  /// - Parameter count: how many; any number of them when `nil`.
  public func ints(
    _ key: String, _ old: String..., count: Int?, least: Int = 1, default fallback: [Int]? = nil
  ) throws(CheckpointError) -> [Int] {
    guard let value = value(key, old) else {
      if let fallback {
        return count.map { $0 > 1 && fallback.count == 1 } ?? false
          ? Array(repeating: fallback[0], count: count ?? 1) : fallback
      }
      throw wrong(key, nil, "a list of whole numbers")
    }
    let expected =
      "\(count.map(String.init) ?? "a list of") whole numbers of at least \(least)"
    let items = KerasConfig.items(value)
    var numbers: [Int] = []
    for item in items ?? [value] {
      guard let number = item.int, number >= least, number < KerasConfig.largest else {
        throw wrong(key, value, expected)
      }
      numbers.append(number)
    }
    if let count, items == nil || (numbers.count == 1 && count != 1) {
      numbers = Array(repeating: numbers[0], count: count)
    }
    guard count == nil || numbers.count == count else { throw wrong(key, value, expected) }
    return numbers
  }

  /// The items of a list, also of what Keras 3 writes of a tuple; `nil` for another value.
  public static func items(_ value: JSON) -> [JSON]? {
    if let list = value.array { return list }
    if value["class_name"]?.string == "__tuple__" { return value["items"]?.array }
    return nil
  }

  /// `[before, after]` for each spatial axis: `1`, `[1, 2]` (both sides of each) or `[[1, 2], [0, 3]]`.
  public func pairs(
    _ key: String, count: Int, default fallback: Int
  ) throws(CheckpointError) -> [[Int]] {
    let expected = "\(count) pairs of whole numbers"
    guard let value = value(key, []) else {
      return Array(repeating: [fallback, fallback], count: count)
    }
    func number(_ json: JSON) throws(CheckpointError) -> Int {
      guard let number = json.int, number >= 0, number < KerasConfig.largest else {
        throw wrong(key, value, expected)
      }
      return number
    }
    guard let items = KerasConfig.items(value) else {
      let both = try number(value)
      return Array(repeating: [both, both], count: count)
    }
    // One axis: `[1, 2]` are its two sides.
    if count == 1, items.count == 2, KerasConfig.items(items[0]) == nil {
      return [[try number(items[0]), try number(items[1])]]
    }
    guard items.count == count else { throw wrong(key, value, expected) }
    var pairs: [[Int]] = []
    for item in items {
      guard let sides = KerasConfig.items(item) else {
        let both = try number(item)
        pairs.append([both, both])
        continue
      }
      guard sides.count == 2 else { throw wrong(key, value, expected) }
      pairs.append([try number(sides[0]), try number(sides[1])])
    }
    return pairs
  }

  /// An axis of `rank` axes, counted from the front; it may be stated from the end, or as a list of one.
  public func axis(
    _ key: String, rank: Int, default fallback: Int
  ) throws(CheckpointError) -> Int {
    let axes = try axes(key, rank: rank, default: [fallback])
    guard axes.count == 1 else { throw wrong(key, value(key, []), "one axis") }
    return axes[0]
  }

  /// Axes of `rank` axes, counted from the front, as stated.
  public func axes(
    _ key: String, rank: Int, default fallback: [Int]
  ) throws(CheckpointError) -> [Int] {
    let stated = value(key, [])
    var numbers = fallback
    if let stated {
      let items = KerasConfig.items(stated) ?? [stated]
      numbers = items.compactMap(\.int)
      guard numbers.count == items.count else { throw wrong(key, stated, "axes") }
    }
    var axes: [Int] = []
    for number in numbers {
      let axis = number < 0 ? number + rank : number
      guard 0..<rank ~= axis, !axes.contains(axis) else {
        throw wrong(key, stated ?? .number(number), "different axes of a tensor with \(rank) axes")
      }
      axes.append(axis)
    }
    return axes
  }

  /// `channels_last`, which is what a missing key means; Keras 1 says `dim_ordering`.
  public func isChannelsFirst() throws(CheckpointError) -> Bool {
    switch value("data_format", ["dim_ordering"])?.string {
    case nil, "channels_last", "tf", "default": return false
    case "channels_first", "th": return true
    case let other?:
      throw wrong("data_format", .string(other), "channels_last or channels_first")
    }
  }

  /// The same for a class of which Keras 1 does not write it.
  func isChannelsFirstAsOthers() throws(CheckpointError) -> Bool {
    if json["data_format"] == nil, json["dim_ordering"] == nil { return context.isChannelsFirst }
    return try isChannelsFirst()
  }

  /// A named activation; a missing one is the identity.
  public func activation(
    _ key: String = "activation", _ old: String..., default fallback: String = "linear"
  ) throws(CheckpointError) -> KerasActivation {
    guard let value = value(key, old) else { return KerasActivation(name: fallback) }
    return try KerasActivation(value, self)
  }

  /// A layer that another one wraps.
  public func layer(_ key: String) throws(CheckpointError) -> KerasNetwork.Layer {
    guard let inner = json[key], inner != .null else { throw wrong(key, nil, "a layer") }
    return try KerasNetwork.Layer(wrapped: inner, in: self)
  }
}
