public import ArgumentParser
public import Checkpoint

/// How results are printed; every command takes these.
struct OutputFlags: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output.")
  var json = false

  @Flag(name: .shortAndLong, help: "Print only errors and what was asked for.")
  var quiet = false

  @Flag(name: .customLong("no-color"), help: "Print without colour (as with NO_COLOR).")
  var noColor = false
}

/// The model and what is said of it instead of being found.
struct ModelOptions: ParsableArguments {
  @Option(help: "Read as this format (ckpt formats).", completion: .formats)
  var format: String?

  @Option(help: "Read names as this dialect's (ckpt dialects).", completion: .dialects)
  var dialect: String?

  @Option(help: "Read as this family (ckpt families).", completion: .families)
  var family: String?

  @Option(help: "The configuration file.", completion: .file())
  var config: String?

  @Option(help: "The vocabulary file.", completion: .file())
  var vocab: String?

  @Option(name: .customLong("set"), help: settingsHelp, completion: .settings)
  var settings: [String] = []

  @Option(
    help: """
      What a Lambda layer of a Keras graph computes, which is never executed: NAME=first-token, \
      NAME=mean, …; an unknown one is answered with the list.
      """)
  var lambda: [String] = []

  static let settingsHelp: ArgumentHelp = """
    Say a configuration value: KEY=VALUE; an unknown KEY is answered with the list. A layer on top: \
    head.NAME=first-token|sequence|pooler|LAYER, with its activation (head.dense_3=first-token,softmax), \
    a GlobalPointer with its heads (,heads=3). bert4keras_version=0.11.3: the release that wrote the \
    file. part=generator: the other of ELECTRA's two models in a TensorFlow checkpoint. \
    input_shape=[INPUT:]None,28,28,1: what a Keras graph leaves open.
    """

  func reading() throws -> ModelReader.Options {
    var options = ModelReader.Options()
    options.format = format
    options.dialect = dialect
    options.family = family
    options.configurationPath = config
    options.vocabularyPath = vocab
    options.settings = try Self.pairs(settings, flag: "--set")
    options.lambdas = Dictionary(
      try Self.pairs(lambda, flag: "--lambda").map { ($0.key, $0.value) }
    ) { $1 }
    return options
  }

  static func pairs(_ texts: [String], flag: String) throws -> [(key: String, value: String)] {
    try texts.map { text in
      let pair = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2 else {
        throw CheckpointError(.usage, Place(member: "\(flag) \(text)"), "expected KEY=VALUE")
      }
      return (pair[0], pair[1])
    }
  }
}

/// The second of two models, where a command takes two.
struct SecondModelOptions: ParsableArguments {
  @Option(help: "The second model's format.", completion: .formats) var formatB: String?
  @Option(help: "The second model's dialect.", completion: .dialects) var dialectB: String?
  @Option(help: "The second model's family.", completion: .families) var familyB: String?
  @Option(help: "The second model's configuration file.", completion: .file()) var configB: String?
  @Option(help: "The second model's vocabulary file.", completion: .file()) var vocabB: String?
  @Option(
    name: .customLong("set-b"), help: "The second model's configuration value: KEY=VALUE.",
    completion: .settings)
  var settingsB: [String] = []
  @Option(help: "What a Lambda layer of the second model computes: NAME=FUNCTION.")
  var lambdaB: [String] = []

  func reading() throws -> ModelReader.Options {
    var reading = ModelReader.Options()
    reading.format = formatB
    reading.dialect = dialectB
    reading.family = familyB
    reading.configurationPath = configB
    reading.vocabularyPath = vocabB
    reading.settings = try ModelOptions.pairs(settingsB, flag: "--set-b")
    reading.lambdas = Dictionary(
      try ModelOptions.pairs(lambdaB, flag: "--lambda-b").map { ($0.key, $0.value) }
    ) { $1 }
    return reading
  }
}

extension AttentionMaskKind: ExpressibleByArgument {}
extension CheckpointDifference.Matching: ExpressibleByArgument {}
