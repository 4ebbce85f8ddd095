/// What a value of a pickle stands for, once the closed list of names has been applied.
enum PickledValue {
  /// Python's `None`.
  case nothing
  case attribute(Attribute.Value)
  case tensor(PickledTensor)
  case dictionary([Pickle.Entry])
  case sequence([Pickle.Value])
  /// Something that no tensor and no attribute can hold, and why.
  case unreadable(String)
}

/// A tensor without its name.
struct PickledTensor {
  var dtype: DType
  var shape: Shape
  var payload: any Payload
}

/// The names that one framework's pickles use, and what they stand for.
protocol PickleVocabulary {
  /// What calling `name` makes, or `nil` when the framework has no such name.
  func value(
    of call: Pickle.Call, _ name: String, in tree: PickleTree, depth: Int
  ) throws(CheckpointError) -> PickledValue?

  /// What `name` stands for where it is not called, or `nil` when that is no value.
  func value(ofName name: String) -> PickledValue?
}

extension PickleVocabulary {
  func value(ofName name: String) -> PickledValue? { nil }
}

/// The content of a pickle as named tensors and attributes.
///
/// Nested dictionaries and lists are flattened with dots: `model.encoder.weight`, `betas.0`. Names
/// outside the closed lists stand for nothing: what they would make is listed as unreadable.
struct PickleTree {
  let pickle: Pickle
  let vocabulary: any PickleVocabulary

  private(set) var tensors: [Tensor] = []
  private(set) var attributes: [Attribute] = []
  private(set) var unreadable: [Unreadable] = []

  private var names: Set<String> = []
  /// Nodes between the root and the current value.
  private var path: Set<Int> = []
  /// Values that may still be visited: a part that is used several times counts each time.
  private var visits: Int
  /// Bytes that names may still take.
  private var nameBytes = 64 << 20

  /// Tensors, attributes and unreadable values at most.
  private static let mostResults = 1_000_000
  /// Levels of nesting at most.
  static let deepest = 100

  init(_ pickle: Pickle, _ vocabulary: any PickleVocabulary) {
    self.pickle = pickle
    self.vocabulary = vocabulary
    visits = 16 * pickle.operations + 1000
  }

  /// Flattens everything; a root that is no container is called `rootName`.
  mutating func flatten(rootName: String) throws(CheckpointError) {
    let root = try meaning(of: pickle.root)
    switch root {
    case .dictionary, .sequence: try add(pickle.root, "", depth: 0)
    default: try add(root, rootName, depth: 0)
    }
  }

  mutating func add(
    _ value: Pickle.Value, _ name: String, depth: Int
  ) throws(CheckpointError) {
    visits -= 1
    nameBytes -= name.utf8.count
    guard visits > 0, nameBytes > 0 else {
      throw CheckpointError(
        .damaged, Place(), "the pickle refers to its own parts too often to be listed")
    }
    guard tensors.count + attributes.count + unreadable.count < PickleTree.mostResults else {
      throw CheckpointError(
        .unsupported, Place(), "the pickle holds more than \(PickleTree.mostResults) values")
    }
    guard case .node(let index) = value else {
      return try add(meaning(of: value), name, depth: depth)
    }
    guard depth < PickleTree.deepest else {
      throw CheckpointError(
        .damaged, Place(), "the pickle is nested more than \(PickleTree.deepest) deep")
    }
    guard path.insert(index).inserted else {
      return unreadable.append(Unreadable(name: name, reason: "contains itself"))
    }
    defer { path.remove(index) }
    do throws(CheckpointError) {
      try add(meaning(of: value), name, depth: depth)
    } catch {
      throw name.isEmpty ? error : error.at(.tensor(name))
    }
  }

  mutating func add(
    _ value: PickledValue, _ name: String, depth: Int
  ) throws(CheckpointError) {
    switch value {
    case .nothing: try add(Attribute(name, text: "None"))
    case .attribute(let value): try add(Attribute(name, value))
    case .unreadable(let reason): unreadable.append(Unreadable(name: name, reason: reason))
    case .tensor(let tensor):
      try claim(name)
      tensors.append(
        Tensor(name: name, dtype: tensor.dtype, shape: tensor.shape, payload: tensor.payload))
    case .dictionary(let entries):
      if entries.isEmpty, !name.isEmpty { try add(Attribute(name, text: "{}")) }
      for entry in entries {
        guard let key = key(entry.key) else {
          unreadable.append(Unreadable(name: name, reason: "has a key that is no text"))
          continue
        }
        try add(entry.value, name.isEmpty ? key : "\(name).\(key)", depth: depth + 1)
      }
    case .sequence(let values):
      if let value = PickleTree.plain(values), !name.isEmpty {
        return try add(Attribute(name, value))
      }
      for (index, value) in values.enumerated() {
        try add(value, name.isEmpty ? "\(index)" : "\(name).\(index)", depth: depth + 1)
      }
    }
  }

  private mutating func add(_ attribute: Attribute) throws(CheckpointError) {
    try claim(attribute.name)
    attributes.append(attribute)
  }

  private mutating func claim(_ name: String) throws(CheckpointError) {
    guard names.insert(name).inserted else {
      throw CheckpointError(
        .unsupported, .tensor(name),
        "two values of the file have this name, once nested names are joined by dots")
    }
  }

  private func key(_ value: Pickle.Value) -> String? {
    switch value {
    case .text(let text): text
    case .int(let number): String(number)
    case .float(let number): "\(number)"
    case .bool(let bool): bool ? "True" : "False"
    case .none: "None"
    case .largeInt: nil
    case .node: pickle.text(value)
    }
  }

  /// A list of numbers, or of texts, as one attribute.
  private static func plain(_ values: [Pickle.Value]) -> Attribute.Value? {
    var (ints, floats, bools, texts): ([Int], [Double], [Bool], [String]) = ([], [], [], [])
    for value in values {
      switch value {
      case .int(let number): ints.append(number)
      case .float(let number): floats.append(number)
      case .bool(let bool): bools.append(bool)
      case .text(let text): texts.append(text)
      default: return nil
      }
    }
    let shape = [values.count]
    switch values.count {
    case ints.count: return .numbers(.i64, shape: shape, bytes: Elements.store(ints))
    case floats.count: return .numbers(.f64, shape: shape, bytes: Elements.store(floats))
    case bools.count: return .numbers(.bool, shape: shape, bytes: bools.map { $0 ? 1 : 0 })
    case texts.count: return .text(texts, shape: shape, type: Attribute.TextType())
    default: return nil
    }
  }
}

// MARK: - Meaning

extension PickleTree {
  /// What `value` stands for.
  ///
  /// - Parameter depth: calls around it, whose nesting is bounded.
  func meaning(of value: Pickle.Value?, depth: Int = 0) throws(CheckpointError) -> PickledValue {
    guard depth < PickleTree.deepest else {
      throw CheckpointError(
        .damaged, Place(), "the pickle has calls nested more than \(PickleTree.deepest) deep")
    }
    switch value {
    case nil, .none?: return .nothing
    case .bool(let bool)?: return .attribute(.numbers(.bool, shape: [], bytes: [bool ? 1 : 0]))
    case .int(let number)?:
      return .attribute(.numbers(.i64, shape: [], bytes: Elements.store([number])))
    case .float(let number)?:
      return .attribute(.numbers(.f64, shape: [], bytes: Elements.store([number])))
    case .largeInt?: return .unreadable("is an integer beyond 64 bits")
    case .text(let text)?: return .attribute(PickleTree.attribute(text))
    case .node(let index)?:
      switch pickle.nodes[index] {
      case .tuple(let values), .list(let values), .set(let values): return .sequence(values)
      case .dictionary(let entries): return .dictionary(entries)
      case .bytes(let span), .longText(let span):
        guard let text = pickle.text(value) else {
          return .unreadable("is a string of \(span.length) bytes")
        }
        return .attribute(PickleTree.attribute(text))
      case .global(let name):
        return vocabulary.value(ofName: name) ?? .unreadable("is the name \(name)")
      case .persistent: return .unreadable("is a storage without a tensor")
      case .call(let call): return try meaning(of: call, depth: depth)
      }
    }
  }

  private static func attribute(_ text: String) -> Attribute.Value {
    Attribute("", text: text).value
  }

  private func meaning(
    of call: Pickle.Call, depth: Int
  ) throws(CheckpointError) -> PickledValue {
    guard let name = className(call) else { return .unreadable("is made in an unknown way") }
    if let value = try vocabulary.value(of: call, name, in: self, depth: depth) { return value }
    if let value = try common(call, name, depth: depth) { return value }
    guard !PickleNames.runs(name) else {
      throw CheckpointError(
        .unsupported, Place(), "the pickle calls \(name): loading it in Python would run that",
        hint: "do not load this file in Python either, unless you know who made it")
    }
    if PickleNames.bags.contains(name) || name.hasPrefix("__torch__.") {
      return .dictionary(state(call))
    }
    // A dictionary of a class of its own, with what was put into it.
    if !call.entries.isEmpty { return .dictionary(call.entries + state(call)) }
    if isModule(call) {
      return .unreadable(
        "is a whole \(name) object, which only that class's code can load; save its state_dict()")
    }
    return .unreadable("is made by \(name), which is not on the list of what ckpt reads")
  }

  /// The class of the object that a call makes, or the function that is called.
  func className(_ call: Pickle.Call) -> String? {
    guard let name = pickle.global(call.callee) else {
      // torch before 1.0 kept classes outside the pickle: ('module', class, file, source).
      if case .persistent(let id)? = pickle.node(call.callee), let parts = pickle.elements(id),
        parts.count > 1, pickle.text(parts[0]) == "module"
      {
        return pickle.global(parts[1])
      }
      return nil
    }
    guard PickleNames.makers.contains(name) else { return name }
    return pickle.elements(call.arguments)?.first.flatMap { pickle.global($0) }
  }

  /// The attributes of an object.
  func state(_ call: Pickle.Call) -> [Pickle.Entry] {
    if let entries = pickle.entries(call.state) { return entries }
    // Objects with slots have a pair of dictionaries.
    return (pickle.elements(call.state) ?? []).flatMap { pickle.entries($0) ?? [] }
  }

  /// Whether a call makes a torch module: its attributes tell.
  func isModule(_ call: Pickle.Call) -> Bool {
    let keys = Set(state(call).compactMap { pickle.text($0.key) })
    return keys.isSuperset(of: ["_parameters", "_buffers", "_modules"])
  }

  /// Python's and NumPy's own names.
  private func common(
    _ call: Pickle.Call, _ name: String, depth: Int
  ) throws(CheckpointError) -> PickledValue? {
    let arguments = pickle.elements(call.arguments) ?? []
    switch name {
    case "collections.OrderedDict", "collections.defaultdict", "collections.Counter",
      "builtins.dict", "__builtin__.dict":
      // Python 2 gave the pairs as a list; Counter gives a dictionary.
      let pairs = (pickle.elements(arguments.first) ?? []).compactMap { pair in
        pickle.elements(pair).flatMap {
          $0.count == 2 ? Pickle.Entry(key: $0[0], value: $0[1]) : nil
        }
      }
      let extra = state(call).filter { pickle.text($0.key) != "_metadata" }
      return .dictionary((pickle.entries(arguments.first) ?? []) + pairs + call.entries + extra)
    case "builtins.list", "__builtin__.list", "builtins.tuple", "__builtin__.tuple",
      "builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset",
      "collections.deque":
      guard let first = arguments.first else { return .sequence(call.items) }
      guard case .sequence(let values) = try meaning(of: first, depth: depth + 1) else {
        return .unreadable("is made by \(name) of something else than a list")
      }
      return .sequence(values + call.items)
    case "builtins.complex", "__builtin__.complex":
      guard arguments.count == 2, case .float(let real) = arguments[0],
        case .float(let imaginary) = arguments[1]
      else { return nil }
      return .attribute(.numbers(.c128, shape: [], bytes: Elements.store([real, imaginary])))
    case "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath",
      "pathlib.PureWindowsPath", "pathlib._local.PosixPath":
      let parts = arguments.compactMap { pickle.text($0) }
      guard parts.count == arguments.count else { return nil }
      return .attribute(
        PickleTree.attribute(parts.joined(separator: "/").replacingPrefix("//", with: "/")))
    case "_codecs.encode", "builtins.bytes", "__builtin__.bytes", "builtins.bytearray",
      "__builtin__.bytearray":
      guard let bytes = try bytes(of: .call(call)) else { return nil }
      return .unreadable("is a string of \(bytes.stored) bytes")
    default: return try array(call, name, arguments)
    }
  }
}

/// Lists of names in pickles.
enum PickleNames {
  /// Functions that make an object of the class which is their first argument.
  static let makers: Set<String> = [
    "copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__",
    "copy_reg.__newobj__",
  ]

  /// Classes that only hold attributes.
  static let bags: Set<String> = ["argparse.Namespace", "types.SimpleNamespace"]

  /// Whether calling `name` does something to the machine: no weights need that.
  static func runs(_ name: String) -> Bool {
    if functions.contains(name) { return true }
    return modules.contains(String(name.prefix { $0 != "." }))
  }

  private static let modules: Set<String> = [
    "os", "posix", "nt", "subprocess", "sys", "runpy", "importlib", "socket", "shutil", "pty",
    "ctypes", "webbrowser", "pip", "codeop", "timeit",
  ]

  private static let functions: Set<String> = Set(
    ["eval", "exec", "execfile", "compile", "__import__", "open", "input", "breakpoint"].flatMap {
      ["builtins.\($0)", "__builtin__.\($0)"]
    })
}
