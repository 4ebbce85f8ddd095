/// Who wrote a checkpoint, as far as its files say.
public struct Provenance: Sendable, Equatable {
  public struct Fact: Sendable, Equatable {
    public var key: String
    public var value: String
  }

  /// Such as `Keras 2.15.0 (tensorflow)`; `nil` where nothing says.
  public private(set) var writer: String?
  /// What else the files say of themselves in short texts and numbers, such as `general.name`.
  public private(set) var facts: [Fact] = []

  /// - Parameter configuration: the file beside it, which may name a library's version.
  public init(_ checkpoint: Checkpoint, configuration: JSON? = nil) {
    func text(_ name: String) -> String? {
      (checkpoint.text(name) ?? checkpoint.text("model_weights@\(name)")).flatMap {
        $0.isEmpty ? nil : $0
      }
    }
    if let version = text("keras_version") {
      writer = "Keras \(version)" + (text("backend").map { " (\($0))" } ?? "")
    } else if let name = text("producer_name") {
      writer = [name, text("producer_version")].compactMap(\.self).joined(separator: " ")
    } else if let framework = text("format"), checkpoint.format == "safetensors" {
      writer = Provenance.frameworks[framework] ?? framework
    }
    if let version = configuration?["transformers_version"]?.string {
      let library = "transformers \(version)"
      writer = writer.map { "\($0), \(library)" } ?? library
    }
    for attribute in checkpoint.attributes {
      let key = attribute.name
      guard !Provenance.told.contains(key), Provenance.isShown(key) else { continue }
      if let value = attribute.text, !value.isEmpty, value.utf8.count <= 200 {
        facts.append(Fact(key: key, value: value))
      } else if case .numbers(let dtype, let shape, let bytes) = attribute.value,
        Shape(shape).count == 1, dtype.elementSize != nil
      {
        let number: Double = (Elements.decode(bytes, as: dtype) as [Double]).first ?? 0
        let whole = Int(exactly: number)
        facts.append(Fact(key: key, value: whole.map { "\($0)" } ?? "\(number)"))
      }
    }
  }

  /// What safetensors' `format` stands for.
  private static let frameworks = [
    "pt": "PyTorch", "tf": "TensorFlow", "flax": "Flax", "np": "NumPy", "mlx": "MLX",
    "paddle": "PaddlePaddle",
  ]
  private static let told: Set<String> = [
    "keras_version", "backend", "producer_name", "producer_version", "format",
  ]

  /// What a model is told by is told elsewhere.
  private static func isShown(_ key: String) -> Bool {
    !key.contains("@") && !key.hasPrefix("tokenizer.") && key != "model_config"
      && key != "training_config" && key != "layer_names"
      && !(key.contains(".") && !key.hasPrefix("general."))
  }
}
