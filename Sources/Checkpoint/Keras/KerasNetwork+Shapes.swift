// Shapes of every tensor of a network, and the variables of its layers.

extension KerasNetwork {
  /// What could be told of a network's tensors.
  public struct Shapes: Sendable {
    public var values: [KerasTensor: KerasShape] = [:]
    /// Layers at which it ended, and why: of an unknown class, or inputs that do not fit.
    public var stops: [(layer: String, error: CheckpointError)] = []
  }

  /// The shapes that the inputs' layers state, by tensor.
  public var statedInputs: [KerasTensor: KerasShape] {
    inputs.reduce(into: [:]) { shapes, tensor in
      shapes[tensor] = (self[tensor.layer]?.description as? InputLayer)?.shape
    }
  }

  /// The names of the outputs: their layers', with a number where one has several, as Keras numbers them.
  public var outputNames: [String] {
    var used: [String: Int] = [:]
    let layers = Set(outputs.map(\.layer))
    return outputs.map { tensor in
      guard var number = used[tensor.layer] else {
        used[tensor.layer] = 0
        return tensor.layer
      }
      // A number that is not another output's own.
      repeat { number += 1 } while layers.contains("\(tensor.layer)_\(number)")
      used[tensor.layer] = number
      return "\(tensor.layer)_\(number)"
    }
  }

  /// Values for the inputs, in their order.
  public func binding<Value>(_ values: [Value]) -> [KerasTensor: Value] {
    Dictionary(zip(inputs, values)) { first, _ in first }
  }

  /// The shapes of all tensors that can be told; an application that does not fit ends its branch.
  ///
  /// - Parameter given: shapes of inputs; where one is missing, what the input's layer states.
  public func shapes(_ given: [KerasTensor: KerasShape] = [:]) -> Shapes {
    var result = Shapes()
    result.values = walk(given) { layer, _, call in
      do throws(CheckpointError) {
        guard let description = layer.description else { throw layer.unknown }
        return try description.outputs(call)
      } catch {
        result.stops.append((layer.name, error.at(layer.config.place)))
        return nil
      }
    }
    return result
  }

  /// The variables of all layers that can be told, named `layer.variable`, in Keras' order of
  /// `model.weights`: layer by layer.
  ///
  /// - Throws: ``CheckpointError`` where a layer does not fit what it takes.
  public func variables(
    _ given: [KerasTensor: KerasShape] = [:]
  ) throws(CheckpointError) -> [KerasVariable] {
    variables(try variablesByLayer(given))
  }

  /// The same of variables that are known by layer.
  func variables(_ found: [String: [KerasVariable]]) -> [KerasVariable] {
    var names = KerasNames()
    return layers.flatMap { layer in
      let group = "layers/" + names.next(layer.className)
      // Nothing in a layer that is frozen is trained.
      let isFrozen = layer.config["trainable"]?.bool == false
      return (found[layer.name] ?? []).map { variable in
        var variable = variable.inside(layer.name, path: group)
        variable.isTrainable = variable.isTrainable && !isFrozen
        return variable
      }
    }
  }

  /// The variables of each layer, as it names them itself.
  ///
  /// - Throws: ``CheckpointError`` where a layer of a known class does not fit what it takes.
  public func variablesByLayer(
    _ given: [KerasTensor: KerasShape] = [:]
  ) throws(CheckpointError) -> [String: [KerasVariable]] {
    let shapes = shapes(given).values
    var found: [String: [KerasVariable]] = [:]
    for layer in layers {
      guard let description = layer.description, let first = layer.calls.first,
        let call = first.lookedUp({ shapes[$0] })
      else { continue }
      do throws(CheckpointError) {
        found[layer.name] = try description.variables(call)
      } catch {
        throw error.at(layer.config.place)
      }
    }
    return found
  }
}

extension KerasNetwork.Layer {
  /// Why the class is not known.
  public var unknown: CheckpointError {
    if case .unknown(let error) = kind { return error }
    return CheckpointError(.unsupported, config.place, "cannot be computed")
  }
}

/// The names under which Keras 3 stores the members of a list: the class in snake case, numbered from
/// the second on.
struct KerasNames {
  private var used: [String: Int] = [:]

  mutating func next(_ className: String) -> String {
    var own = className.split(separator: ">").last.map(String.init) ?? className
    // The one class whose public name is not its own.
    if own == "GroupQueryAttention" { own = "GroupedQueryAttention" }
    let name = KerasNames.snakeCase(own)
    let number = used[name]
    used[name] = (number ?? -1) + 1
    return number.map { "\(name)_\($0 + 1)" } ?? name
  }

  /// As `keras.src.utils.naming.to_snake_case`: `Conv2D` → `conv2d`, `PReLU` → `p_re_lu`.
  static func snakeCase(_ name: String) -> String {
    let text = Array(
      name.unicodeScalars.filter {
        $0 == "_" || $0.properties.isAlphabetic || $0.properties.numericType != nil
      })
    var result = ""
    for (index, character) in text.enumerated() {
      let isUpper = character.properties.isUppercase
      if index > 0, isUpper {
        let previous = text[index - 1]
        let next = index + 1 < text.count ? text[index + 1] : nil
        let startsWord =
          previous.properties.isLowercase
          || (next?.properties.isLowercase ?? false)
        if startsWord, previous != "_" { result += "_" }
      }
      result.unicodeScalars.append(character)
    }
    return result.lowercased()
  }
}
