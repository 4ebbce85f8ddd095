extension KerasTops {
  /// What `--set head.NAME=PLACE,…` says of a layer, or `"head.NAME": "PLACE,…"` in a configuration file
  /// that ckpt has written.
  struct Said {
    typealias Output = TopLayer.Output

    var input: TopLayer.Input?
    var output: Output?
    var isSpan = false
    var heads: Int?
    var isRotary: Bool?
    var isTriangular: Bool?

    /// - Throws: ``CheckpointError`` of kind `usage` for a word of no meaning.
    init(
      _ name: String, _ text: String, _ activation: (String) -> Activation?
    ) throws(CheckpointError) {
      for word in text.split(separator: ",").map(String.init) {
        let sides = word.split(separator: "=", maxSplits: 1).map(String.init)
        if sides.count == 2 {
          guard set(sides[0], sides[1]) else {
            throw CheckpointError(
              .usage, Said.place(name, text), "\"\(word)\" says nothing of a layer",
              hint: "a pointer takes heads=N, rope=true|false and tril_mask=true|false")
          }
        } else if word == "span" {
          isSpan = true
        } else if let said = word == "softmax" ? .softmax : activation(word).map(Output.activated) {
          guard output == nil else {
            throw CheckpointError(.usage, Said.place(name, text), "says two activations")
          }
          output = said
        } else {
          guard input == nil else {
            throw CheckpointError(
              .usage, Said.place(name, text),
              "says two places: \(input?.description ?? ""), \(word)")
          }
          input = TopLayer.Input(word)
        }
      }
    }

    private mutating func set(_ key: String, _ value: String) -> Bool {
      switch key {
      case "heads":
        guard let number = Int(value), number > 0, number < 1 << 20 else { return false }
        heads = number
      case "rope":
        guard let isOn = Bool(value) else { return false }
        isRotary = isOn
      case "tril_mask":
        guard let isOn = Bool(value) else { return false }
        isTriangular = isOn
      default: return false
      }
      return true
    }

    /// What would say of a layer all that it is.
    static func text(_ top: TopLayer) -> String {
      var words = [top.input.description]
      switch top.kind {
      case .dense(.softmax): words.append("softmax")
      case .dense(.activated(let activation)): words.append(activation.rawValue)
      case .span: words.append("span")
      case .crf, .memm: break
      case .globalPointer(_, let isRotary, let isTriangular),
        .efficientGlobalPointer(_, let isRotary, let isTriangular):
        words += ["heads=\(top.outputSize)", "rope=\(isRotary)", "tril_mask=\(isTriangular)"]
      }
      return words.joined(separator: ",")
    }

    static func place(_ name: String, _ text: String) -> Place {
      Place(member: "--set head.\(name)=\(text)")
    }
  }
}
