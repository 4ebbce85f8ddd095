/// What is given to an operation, by place and by name, whoever wrote it.
///
/// TensorFlow's functions have their first argument by place and all else by name; Keras 3 has tensors by
/// place and the rest in the config; a graph node has tensors and constants by place and the rest in
/// its attributes.
struct OperationReader: Sendable {
  /// The name of the operation as it is written.
  var name: String
  var arguments: [KerasArgument<Int>]
  var keywords: [(name: String, argument: KerasArgument<Int>)] = []
  /// Members of a config that are arguments.
  var members: [JSON.Member] = []
  /// For defaults that differ: the major version of Keras.
  var version = 2

  typealias Reading = (operation: KerasOperation, operands: [KerasOperand])

  func error(_ reason: String) -> CheckpointError {
    CheckpointError(.unsupported, Place(), "operation \(name): \(reason)")
  }

  /// An argument by the names that it has, or by its place.
  func argument(_ place: Int?, _ names: String...) -> KerasArgument<Int>? {
    find(place, names)
  }

  private func find(_ place: Int?, _ names: [String]) -> KerasArgument<Int>? {
    for name in names {
      if let found = keywords.first(where: { $0.name == name })?.argument, found.constant != .null {
        return found
      }
    }
    for name in names {
      if let member = members.first(where: { $0.key == name }), member.value != .null {
        return .constant(member.value)
      }
    }
    guard let place, arguments.indices.contains(place), arguments[place].constant != .null else {
      return nil
    }
    return arguments[place]
  }

  /// Whether an argument is there, also as `null`.
  func states(_ name: String) -> Bool {
    keywords.contains { $0.name == name } || members.contains { $0.key == name }
  }

  // MARK: Operands

  /// The operand at a place.
  func operand(_ place: Int, _ names: String...) throws(CheckpointError) -> KerasOperand {
    guard let argument = find(place, names) else {
      throw error("it has no \(place + 1). operand: the file does not keep it")
    }
    return try operand(argument)
  }

  func operand(_ argument: KerasArgument<Int>) throws(CheckpointError) -> KerasOperand {
    switch argument {
    case .tensor(let index): return .tensor(index)
    case .constant(let json):
      guard let numbers = KerasNumbers(json) else {
        throw error("\(json.compact.prefix(80)) is no array of numbers")
      }
      return .numbers(numbers)
    case .list(let items):
      // A list of a single operand is that operand.
      guard items.count == 1 else { throw error("it takes one tensor, not a list of \(items.count)") }
      return try operand(items[0])
    }
  }

  /// The operands of a function that takes a list of them.
  func operands(_ names: String...) throws(CheckpointError) -> [KerasOperand] {
    guard let first = find(0, names) else { throw error("it has no operands") }
    if case .list(let items) = first {
      var all: [KerasOperand] = []
      for item in items { all.append(try operand(item)) }
      return all
    }
    return [try operand(first)]
  }

  /// All that stands without a name.
  func positional() throws(CheckpointError) -> [KerasOperand] {
    var all: [KerasOperand] = []
    for argument in arguments {
      if case .list(let items) = argument {
        for item in items { all.append(try operand(item)) }
      } else {
        all.append(try operand(argument))
      }
    }
    return all
  }

  // MARK: Constants

  private func constant(_ place: Int?, _ names: [String]) throws(CheckpointError) -> JSON? {
    guard let argument = find(place, names) else { return nil }
    if let json = argument.constant { return json }
    if case .list(let items) = argument, items.allSatisfy({ $0.constant != nil }) {
      return .array(items.compactMap(\.constant))
    }
    throw error("\(names.first ?? "an argument") is a tensor, not a number that the file states")
  }

  /// Whole numbers; one number is a list of one.
  func ints(_ place: Int?, _ names: String...) throws(CheckpointError) -> [Int]? {
    guard let json = try constant(place, names) else { return nil }
    guard let numbers = KerasNumbers(json), numbers.shape.count <= 1 else {
      throw error("\(names.first ?? "") is \(json.compact.prefix(80)); expected whole numbers")
    }
    var ints: [Int] = []
    for value in numbers.values { ints.append(try int(value, names.first ?? "")) }
    return ints
  }

  func int(
    _ place: Int?, _ names: String..., default fallback: Int
  ) throws(CheckpointError) -> Int {
    guard let json = try constant(place, names) else { return fallback }
    guard let numbers = KerasNumbers(json), numbers.values.count == 1 else {
      throw error("\(names.first ?? "") is \(json.compact.prefix(80)); expected a whole number")
    }
    return try int(numbers.values[0], names.first ?? "")
  }

  private func int(_ value: Double, _ name: String) throws(CheckpointError) -> Int {
    guard let int = Int(exactly: value), abs(value) < Double(KerasConfig.largest) else {
      throw error("\(name) is \(value); expected a whole number below 2³¹")
    }
    return int
  }

  func double(_ place: Int?, _ names: String...) throws(CheckpointError) -> Double? {
    guard let json = try constant(place, names) else { return nil }
    guard let numbers = KerasNumbers(json), numbers.values.count == 1 else {
      throw error("\(names.first ?? "") is \(json.compact.prefix(80)); expected a number")
    }
    return numbers.values[0]
  }

  func bool(_ place: Int?, _ names: String...) throws(CheckpointError) -> Bool {
    guard let json = try constant(place, names) else { return false }
    guard let flag = json.bool ?? json.int.map({ $0 != 0 }) else {
      throw error("\(names.first ?? "") is \(json.compact.prefix(80)); expected true or false")
    }
    return flag
  }

  func text(_ place: Int?, _ names: String...) throws(CheckpointError) -> String? {
    guard let json = try constant(place, names) else { return nil }
    return json.string ?? json["config"]?["name"]?.string
  }

  /// Rows of two numbers.
  func pairs(_ place: Int?, _ names: String...) throws(CheckpointError) -> [[Int]]? {
    guard let json = try constant(place, names) else { return nil }
    guard let numbers = KerasNumbers(json), numbers.shape.count == 2, numbers.shape[1] == 2 else {
      throw error("\(names.first ?? "") is \(json.compact.prefix(80)); expected pairs of numbers")
    }
    var pairs: [[Int]] = []
    for row in stride(from: 0, to: numbers.values.count, by: 2) {
      pairs.append([try int(numbers.values[row], "a pair"), try int(numbers.values[row + 1], "a pair")])
    }
    return pairs
  }

  /// Extents of a shape, of which some may be tensors.
  func extents(_ place: Int?, _ names: String...) throws(CheckpointError) -> [Int?]? {
    guard let argument = find(place, names) else { return nil }
    guard case .list(let items) = argument else {
      guard let json = argument.constant else { return nil }
      guard let numbers = KerasNumbers(json), numbers.shape.count <= 1 else {
        throw error("the shape \(json.compact.prefix(80)) is no list of numbers")
      }
      var extents: [Int?] = []
      for value in numbers.values { extents.append(try int(value, "an extent")) }
      return extents
    }
    var extents: [Int?] = []
    for item in items {
      guard let json = item.constant else {
        extents.append(nil)
        continue
      }
      guard let number = json.int, abs(number) < KerasConfig.largest else {
        throw error("the shape has the extent \(json.compact.prefix(40))")
      }
      extents.append(number)
    }
    return extents
  }

  // MARK: Slices

  /// What stands in square brackets.
  func slices(_ place: Int?, _ names: String...) throws(CheckpointError) -> [KerasSlice] {
    let argument = find(place, names)
    let items: [KerasArgument<Int>]
    switch argument {
    case nil: items = [.constant(.null)]
    case .list(let list)?: items = list
    case .constant(let json)?:
      items = (KerasConfig.items(json) ?? [json]).map { .constant($0) }
    case .tensor?: throw error("it takes elements by a tensor of indices, which is not supported")
    }
    var slices: [KerasSlice] = []
    for item in items {
      guard let json = item.constant else {
        throw error("it takes elements by a tensor of indices, which is not supported")
      }
      slices.append(try slice(json))
    }
    return slices
  }

  private func slice(_ json: JSON) throws(CheckpointError) -> KerasSlice {
    if json == .null { return .newAxis }
    if let index = json.int, abs(index) < KerasConfig.largest { return .index(index) }
    if json["class_name"]?.string == "__ellipsis__" || json.string == "Ellipsis" { return .ellipsis }
    let range = json["config"] ?? json
    guard range.members != nil, range["start"] != nil || range["stop"] != nil else {
      throw error("it takes the place \(json.compact.prefix(60)), which is no index or range")
    }
    func bound(_ key: String) throws(CheckpointError) -> Int? {
      guard let value = range[key], value != .null else { return nil }
      guard let number = value.int ?? value["config"]?["value"]?.int ?? value["value"]?.int,
        abs(number) < KerasConfig.largest
      else { throw error("the \(key) of a range is \(value.compact.prefix(60)); expected a number") }
      return number
    }
    let step = try bound("step") ?? 1
    guard step != 0 else { throw error("the step of a range is 0") }
    return .range(start: try bound("start"), stop: try bound("stop"), step: step)
  }
}
