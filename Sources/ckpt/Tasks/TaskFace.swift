import ArgumentParser
import Checkpoint
import Infer

/// What a text task looks like on the command line: how it is made of the flags, and its answers as text
/// and as JSON.
protocol TaskFace: SendableMetatype {
  associatedtype Task: TextTask

  /// What `--task` calls it.
  static var name: String { get }

  /// Whether it takes two texts at a time.
  static var isPaired: Bool { get }

  /// Whether it does with these flags.
  static func takesPairs(_ options: TaskOptions) -> Bool

  /// Whether it begins from nothing where no text is given at all.
  static var needsNoText: Bool { get }

  /// Whether it writes a file with these flags.
  static func writes(_ options: TaskOptions) -> Bool

  /// - Throws: what the model or the vocabulary lacks for it.
  init(_ context: TaskContext) throws

  var task: Task { get }

  /// What was assumed, for people.
  var notes: [String] { get }

  /// An answer's members in `results`, behind the text's own.
  func json(_ answer: Task.Answer, to input: TaskInput) -> [JSON.Member]

  /// An answer as lines for people, behind the text itself where ``showsText``.
  func lines(_ answer: Task.Answer, to input: TaskInput) -> [String]

  /// Whether each text is repeated before its lines.
  var showsText: Bool { get }

  /// Takes an answer that is needed at the end; `nil` where a text has none.
  mutating func receive(_ answer: Task.Answer?, to input: TaskInput) throws

  /// What stands behind all answers: writes files, returns members of the document and lines.
  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String])
}

extension TaskFace {
  static var isPaired: Bool { false }
  static func takesPairs(_ options: TaskOptions) -> Bool { isPaired }
  static var needsNoText: Bool { false }
  static func writes(_ options: TaskOptions) -> Bool { false }
  var showsText: Bool { true }
  var notes: [String] { [] }
  mutating func receive(_ answer: Task.Answer?, to input: TaskInput) throws {}
  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    ([], [])
  }
}

/// The list of tasks.
enum TaskRegistry {
  static let all: [any TaskFace.Type] = [
    EncodeFace.self, SimilarityFace.self, FillMaskFace.self, ClassifyFace.self,
    QuestionAnsweringFace.self, TagFace.self, SpansFace.self, GenerateFace.self, ScoreFace.self,
    ExposureFace.self, GibbsFace.self,
  ]

  static func named(_ name: String) -> (any TaskFace.Type)? { all.first { $0.name == name } }
}

/// A task's name as the command line takes it.
struct TaskName: ExpressibleByArgument {
  let face: any TaskFace.Type

  init?(argument: String) {
    guard let face = TaskRegistry.named(argument) else { return nil }
    self.face = face
  }

  static var allValueStrings: [String] { TaskRegistry.all.map { $0.name } }
}

/// A model that is opened for a task, and what was said on the command line.
struct TaskContext {
  let opening: Opening
  private let model: Source
  let tokenization: Tokenization
  let options: TaskOptions
  let threads: Int?
  /// The dialect whose library decides what the options leave open: of two models, the first one's.
  let customs: String
  /// Where arrays go, if they were asked for.
  let outputs: (path: String, overwrite: Bool)?

  private enum Source {
    case family(Model)
    case graph(KerasTextModel)
  }

  /// - Throws: when there is no vocabulary, or it does not go with the model.
  init(
    _ opening: Opening, _ options: TaskOptions, threads: Int?,
    customs: String? = nil, outputs: (path: String, overwrite: Bool)? = nil
  ) throws {
    self.opening = opening
    self.outputs = outputs
    self.options = options
    self.threads = threads
    let meaning = try opening.meaning()
    guard let vocabulary = opening.tokenizer else {
      throw CheckpointError(
        .mismatch, .file(opening.checkpoint.path), "has no vocabulary beside it",
        hint: "give --vocab FILE")
    }
    let (text, source) = (options.text, try options.text.source(vocabulary))
    switch meaning {
    case .family(let family):
      model = .family(family)
      self.customs = customs ?? family.dialect
      tokenization = try Tokenization(
        source, model: family, kind: text.kind.tokenizer, maxLength: text.maxLength, long: text.long
      )
    case .keras(let graph):
      guard text.mask == nil else {
        throw CheckpointError(
          .usage, Place(member: "--mask"), "is for families of text models; a graph has its own")
      }
      let graph = try KerasTextModel(graph)
      model = .graph(graph)
      self.customs = customs ?? KerasModel.dialect
      tokenization = try Tokenization(
        source, model: graph, kind: text.kind.tokenizer, maxLength: text.maxLength, long: text.long)
    }
  }

  /// What is said of a family's model beside its weights.
  var configuration: JSON? {
    if case .family(let model) = model { model.configuration } else { nil }
  }

  /// Tells where a layer on top may sit, when it has no place yet, as what a task that needs one can do.
  func placing<Result>(_ find: () throws -> Result) throws -> Result {
    do {
      return try find()
    } catch var error as InferError {
      guard error.kind == .unsupported, case .family(let model) = model, !model.flags.isEmpty else {
        throw error
      }
      let flags = model.flags.sorted { $0.key < $1.key }.map(\.value)
      error.hint = "say where a layer sits: \(flags.joined(separator: ", "))"
      throw error
    }
  }

  /// The model for tasks that take any graph of layers too.
  func texts() throws -> any TextModel {
    if case .graph(let model) = model { model } else { try runnable() }
  }

  /// The model of a known family.
  ///
  /// - Throws: where the file is a graph of layers.
  func family() throws(CheckpointError) -> Model {
    guard case .family(let model) = model else {
      throw CheckpointError(
        .unsupported, .file(opening.checkpoint.path),
        "is a graph of Keras layers, of which only the tasks tag and classify can be asked",
        hint: "--inputs runs it on arrays")
    }
    return model
  }

  /// The model of a known family with its graph.
  ///
  /// - Parameter mask: the attention mask where none was asked for; `nil` for the configuration's.
  func runnable(mask: AttentionMaskKind? = nil) throws -> RunnableModel {
    var model = try family()
    tokenization.extendPositions(of: &model.architecture.configuration)
    return try RunnableModel(model, mask: options.text.mask ?? mask)
  }
}
