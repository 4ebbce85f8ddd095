import ArgumentParser
import Checkpoint
import Transforms

/// `ckpt info`: what a checkpoint is, and whether something is wrong with it.
struct Info: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell what a checkpoint is, what it is made of, and what is odd about it.",
    discussion: """
      Names and numbers are looked at, each number once. Warnings are for what is likely wrong: NaN and \
      infinities, matrices of zeros or of one number, dead or copied rows of embeddings, layers out of \
      line with their neighbours, numbers beyond float16, missing and left-over tensors. Notes are for \
      what may well be meant: tensors and layers that are stored twice, weights that were never trained.
      """)

  @Argument(help: "The checkpoint.", completion: .model) var model: String
  @Flag(
    help: """
      Analyse each head (effective rank of its scores, similarity to others), and how far layers are \
      apart that could be shared.
      """)
  var attention = false
  @Flag(
    help: """
      Analyse the batch normalizations of a Keras graph: scales, shifts, dead and exploding channels, \
      and what they do to the norm of the layer before.
      """)
  var batchnorm = false
  @Flag(
    inversion: .prefixedNo, help: "Look at the numbers; without, names and shapes only, at once.")
  var values = true
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    let understanding = try Understanding(opening, family: options.family)
    let model = try attention ? understanding.analysable() : nil
    let heads = try model.map { AttentionReport(try AttentionAnalysis($0)) }
    let layers = try model.flatMap { try Tie.accepts($0) ? LayersReport(LayerSpread($0)) : nil }
    let norms = try batchnorm ? BatchNormReport(BatchNormAnalysis(opening.keras())) : nil
    let report = try InfoReport(opening, understanding, readingNumbers: values, quiet: output.quiet)
    if output.json {
      var json = report.json
      if let heads {
        json.set("attention", heads.json)
        json.set("layers", layers?.json ?? .null)
      }
      if let norms { json.set("batchnorm", norms.json) }
      print(json.pretty)
    } else {
      report.print()
      heads?.print()
      layers?.print()
      norms?.print()
    }
    guard let error = understanding.failure, let failure = Failure(error) else { return }
    // The document is printed; the error is a part of it.
    failure.report(json: false)
    throw ExitCode(failure.code)
  }
}

/// What is known of a checkpoint's meaning.
struct Understanding {
  /// The model, which may be incomplete; `nil` where no dialect knows the names.
  var model: Model?
  /// What names tell of a model whose configuration is not known.
  var outline: Model?
  /// Why it is unknown.
  var unknown: CheckpointError?
  /// Why it cannot be used, though its family is known: weights and configuration disagree.
  var failure: CheckpointError?
  /// Why it cannot be read by the graph of layers that it describes.
  var graphError: CheckpointError?
  /// The graph of layers that the file describes, where it is read by that.
  var keras: KerasModel?

  /// A file of no known family is still a file; so is one that contradicts its configuration.
  ///
  /// - Throws: ``CheckpointError`` where what the user said is impossible.
  init(_ opening: Opening, family: String?) throws {
    guard !opening.isKerasAsked else {
      do throws(CheckpointError) { keras = try opening.keras() } catch {
        guard error.kind != .usage else { throw error }
        failure = error
      }
      return
    }
    try readFamily(opening, family)
    guard family == nil, failure ?? unknown != nil, opening.hasKerasGraph else { return }
    do throws(CheckpointError) {
      guard case .keras(let graph) = try opening.meaning() else { return }
      keras = graph
      (model, outline, unknown, failure) = (nil, nil, nil, nil)
    } catch {
      guard error.kind != .usage else { throw error }
      graphError = error
    }
  }

  private mutating func readFamily(_ opening: Opening, _ family: String?) throws {
    do {
      let draft = try opening.draft()
      model = draft
      if try draft.misfits().isEmpty {
        model = try draft.checked()
      } else {
        _ = try opening.model()
      }
    } catch {
      switch error.kind {
      case .usage, .wouldDrop, .cannotWrite: throw error
      case .notRecognised where family == nil: unknown = error
      default:
        failure = error
        if model == nil { outline = opening.outline() }
      }
    }
  }

  func analysable() throws(CheckpointError) -> Model {
    if let error = failure ?? unknown { throw error }
    guard keras == nil else {
      throw CheckpointError(
        .unsupported, Place(), "is read by its graph of layers; heads are those of known families")
    }
    guard let model else { throw CheckpointError(.notRecognised, Place(), "no family is known") }
    return model
  }

  /// Why it is unknown, with the tensor that says so.
  var reason: String? {
    (unknown ?? (model == nil ? failure : nil)).map { error in
      (error.place.tensor.map { "\($0) " } ?? "") + error.reason
    }
  }
}
