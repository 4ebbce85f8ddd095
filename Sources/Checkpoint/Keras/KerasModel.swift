/// A model that its own configuration describes: Keras' graph of layers, and the weights of each.
public struct KerasModel: Sendable {
  /// The name by which `--dialect` asks for it.
  public static let dialect = "keras"

  public var network: KerasNetwork
  /// The variables by canonical name, `layer.variable`, in Keras' shapes and order.
  public var weights: [Weight]
  /// Tensors that belong to no layer that ckpt knows: of unknown layers, optimizers, metrics.
  public var carried: [Group]
  public var warnings: [String]
  /// Shapes of inputs that the user has told.
  public var given: [KerasTensor: KerasShape]

  public init(
    network: KerasNetwork, weights: [Weight], carried: [Group] = [], warnings: [String] = [],
    given: [KerasTensor: KerasShape] = [:]
  ) {
    self.network = network
    self.weights = weights
    self.carried = carried
    self.warnings = warnings
    self.given = given
  }

  public subscript(name: String) -> Weight? { weights.first { $0.name == name } }

  /// Whether a checkpoint, or a file beside it, describes its graph.
  public static func describes(_ checkpoint: Checkpoint, _ configuration: JSON?) -> Bool {
    checkpoint.text("model_config") != nil
      || configuration?["class_name"] != nil && configuration?["config"] != nil
  }

  /// Reads the graph, and binds the stored tensors to its variables.
  ///
  /// - Parameters:
  ///   - configuration: what lies beside the weights; `model_config` in the file itself outweighs it.
  ///   - lambdas: what the user supplies for Lambda layers, by name.
  ///   - shapes: shapes of inputs that the configuration leaves open, by the input's name or, where
  ///     there is one input, by an empty name.
  /// - Throws: ``CheckpointError`` where the configuration is no graph, or the weights do not fit it.
  public init(
    _ checkpoint: Checkpoint, configuration: (path: String, json: JSON)? = nil,
    lambdas: [String: String] = [:], shapes: [String: KerasShape] = [:]
  ) throws(CheckpointError) {
    var place = Place(file: checkpoint.path, member: "model_config")
    do throws(CheckpointError) {
      let json: JSON
      if let text = checkpoint.text("model_config") {
        guard text.utf8.count <= KerasNetwork.largestText else {
          throw CheckpointError(
            .unsupported, Place(), "has \(text.utf8.count) bytes; ckpt takes at most 256 MB")
        }
        json = try JSON(parsing: Array(text.utf8))
      } else if let configuration {
        place = .file(configuration.path)
        json = configuration.json
      } else {
        throw CheckpointError(
          .notRecognised, Place(), "is not there: the file holds weights without a graph of layers",
          hint: "put the model's to_json() beside it as NAME.json, or give it by --config FILE")
      }
      let stated =
        checkpoint.text("keras_version") ?? checkpoint.text("model_weights@keras_version")
      let backend = checkpoint.text("backend") ?? checkpoint.text("model_weights@backend")
      network = try KerasNetwork(
        json,
        context: KerasConfig.Context(
          version: KerasNetwork.version(json, stated: stated),
          backend: backend ?? json["backend"]?.string, lambdas: lambdas))
    } catch {
      throw error.at(place)
    }
    warnings = checkpoint.warnings
    (weights, carried, given) = ([], [], [:])
    for (name, shape) in shapes {
      guard
        let tensor = network.inputs.first(where: {
          name.isEmpty ? network.inputs.count == 1 : $0.layer == name
        })
      else {
        throw CheckpointError(
          .usage, Place(member: "--set input_shape"), "the model has no input \"\(name)\"",
          hint: "inputs: \(network.inputs.map(\.layer).joined(separator: ", "))")
      }
      given[tensor] = shape
    }
    do throws(CheckpointError) {
      try bind(checkpoint)
    } catch {
      throw error.at(.file(checkpoint.path))
    }
  }

  /// Shapes of all tensors that can be told.
  public var shapes: KerasNetwork.Shapes { network.shapes(inputShapes) }
}
