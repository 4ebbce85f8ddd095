public import Checkpoint

/// A transform with its arguments, as a user asks for it.
public struct TransformStep: Sendable {
  public let transform: any Transform
  public let arguments: TransformArguments

  /// Parses `name`, `name=VALUE` or `name=VALUE:key=value:key=value`, and reads the file that a value
  /// names where the transform takes one.
  ///
  /// A known key may also follow a comma: `extend-positions=1024,alpha=0.4`.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage`, or of reading the file.
  public init(parsing text: String) throws(CheckpointError) {
    let name = String(text.prefix { $0 != "=" && $0 != ":" && $0 != "," })
    let transform = try TransformRegistry.named(name)
    var rest = text.dropFirst(name.count)
    if case .text = transform.value {
      let value = rest.first == "=" ? String(rest.dropFirst()) : ""
      try self.init(transform, value: value.isEmpty ? nil : value)
      return
    }
    var options: [(String, String)] = []
    let keys = transform.options.map(\.name)
    // Options are taken off the end, so that a value may hold colons and commas of its own.
    while let mark = rest.lastIndex(where: { $0 == ":" || $0 == "," }) {
      let part = rest[rest.index(after: mark)...]
      let key = String(part.prefix { $0 != "=" })
      guard keys.contains(key) || (rest[mark] == ":" && part.contains("=")) else { break }
      options.insert((key, String(part.dropFirst(key.count + 1))), at: 0)
      rest = rest[..<mark]
    }
    guard rest.isEmpty || rest.first == "=" else {
      throw CheckpointError(
        .usage, Place(member: "--apply \(text)"), "\"\(rest.dropFirst())\" is not key=value",
        hint: "it is written \(transform.usage)")
    }
    try self.init(transform, value: rest.isEmpty ? nil : String(rest.dropFirst()), options: options)
  }

  /// - Throws: ``CheckpointError`` of kind `usage` where a value or an option is not what the transform
  ///   takes, or of reading the file.
  public init(
    _ transform: any Transform, value: String? = nil, options: [(String, String)] = []
  ) throws(CheckpointError) {
    var arguments = TransformArguments(transform.name, value: value)
    switch (transform.value, value) {
    case (.none, _?): throw arguments.wrong("takes no value")
    case (.none, nil), (.optional, _): break
    case (.required, let text), (.text, let text), (.file, let text):
      if text?.isEmpty ?? true {
        throw arguments.wrong("needs a value", hint: "it is written \(transform.usage)")
      }
    }
    for (key, value) in options {
      guard transform.options.contains(where: { $0.name == key }) else {
        throw arguments.wrong(
          "does not take \"\(key)\"", hint: "it is written \(transform.usage)")
      }
      guard !value.isEmpty, arguments.options.updateValue(value, forKey: key) == nil else {
        throw arguments.wrong("\(key) is empty, or stands twice")
      }
    }
    if case .file = transform.value, let path = value {
      arguments.content = try File.contents(of: path, limit: Vocabulary.largest)
      // Some editors begin a text in UTF-8 with a mark.
      if arguments.content.starts(with: [0xef, 0xbb, 0xbf]) { arguments.content.removeFirst(3) }
    }
    self.transform = transform
    self.arguments = arguments
  }

  private init(_ transform: any Transform, _ arguments: TransformArguments) {
    (self.transform, self.arguments) = (transform, arguments)
  }

  /// The same step without noise.
  public var undisturbed: TransformStep {
    var arguments = arguments
    (arguments.options["noise"], arguments.options["seed"]) = (nil, nil)
    return TransformStep(transform, arguments)
  }
}

/// One step of a chain: the model that it got, and what it made of it.
public struct TransformStage: Sendable {
  public var step: TransformStep
  public var source: Model
  public var change: ModelChange
}

/// What stands behind a transform's name: `name=VALUE:key=value:…`.
public struct TransformArguments: Sendable, Equatable {
  /// The transform's name.
  public var name: String
  public var value: String?
  public var options: [String: String]
  /// The content of the file that ``value`` names, where the transform takes a file.
  public var content: [UInt8]

  public init(
    _ name: String, value: String? = nil, options: [String: String] = [:], content: [UInt8] = []
  ) {
    self.name = name
    self.value = value
    self.options = options
    self.content = content
  }

  /// The value as a whole number of at least `least`.
  public func count(least: Int = 1) throws(CheckpointError) -> Int {
    try count(value ?? "", "the value", least)
  }

  /// An option as a whole number, or `nil` where it is not given.
  public func count(_ option: String, least: Int = 1) throws(CheckpointError) -> Int? {
    guard let text = options[option] else { return nil }
    return try count(text, option, least)
  }

  private func count(_ text: String, _ what: String, _ least: Int) throws(CheckpointError) -> Int {
    guard let number = Int(text), number >= least, number < 1 << 31 else {
      throw wrong("\(what) is \"\(text)\"; expected a whole number of at least \(least)")
    }
    return number
  }

  /// An option as a finite number in a range, or `nil` where it is not given.
  public func number(
    _ option: String, in range: ClosedRange<Double>
  ) throws(CheckpointError) -> Double? {
    guard let text = options[option] else { return nil }
    guard let number = Double(text), range.contains(number) else {
      throw wrong(
        "\(option) is \"\(text)\"; expected a number from \(range.lowerBound) to \(range.upperBound)"
      )
    }
    return number
  }

  /// An option that is one of a few words, or `nil` where it is not given.
  public func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ option: String, _: Choice.Type
  ) throws(CheckpointError) -> Choice? {
    guard let text = options[option] else { return nil }
    guard let choice = Choice(rawValue: text) else {
      let words = Choice.allCases.map(\.rawValue).joined(separator: " or ")
      throw wrong("\(option) is \"\(text)\"; expected \(words)")
    }
    return choice
  }

  /// That something is wrong with the arguments.
  public func wrong(_ reason: String, hint: String? = nil) -> CheckpointError {
    let text = name + (value.map { "=\($0)" } ?? "")
    return CheckpointError(.usage, Place(member: "--apply \(text)"), reason, hint: hint)
  }
}

extension Transform {
  /// That a precondition does not hold: what the model is, and why that cannot be done.
  func refusal(_ reason: String, at place: String? = nil, hint: String? = nil) -> CheckpointError {
    CheckpointError(
      .unsupported, Place(member: place ?? "--apply \(name)"), reason, hint: hint)
  }
}
