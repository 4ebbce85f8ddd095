/// Calls of layers, as far as they decide the order in which Keras keeps a functional model's layers.
///
/// `save_weights` and `load_weights` go by that order, not by names. Source: `_map_graph_network` of
/// tf.keras 2.15 (`functional.py`), of which Keras 2.3 has the same: layers by decreasing distance
/// from the outputs; at the same distance in the order in which a walk from the outputs meets them.
struct KerasOrder {
  private struct Call {
    let layer: String
    let inputs: [Int]
  }

  private var calls: [Call] = []

  /// A layer is called; the result stands for its output.
  mutating func call(_ layer: String, _ inputs: [Int] = []) -> Int {
    calls.append(Call(layer: layer, inputs: inputs))
    return calls.count - 1
  }

  /// The layers of a model with these outputs.
  func layers(outputs: [Int]) -> [String] {
    var met: [String: Int] = [:]
    var done: Set<Int> = []
    var finished: [Int] = []
    // A walk without recursion, since models may be deep: a call is finished after its inputs.
    var path = outputs.reversed().map { (call: $0, isLeft: false) }
    while let (call, isLeft) = path.popLast() {
      if isLeft {
        finished.append(call)
      } else if done.insert(call).inserted {
        if met[calls[call].layer] == nil { met[calls[call].layer] = met.count }
        path.append((call, true))
        path += calls[call].inputs.reversed().map { ($0, false) }
      }
    }
    var callDepths: [Int: Int] = [:]
    var depths: [String: Int] = [:]
    for call in finished.reversed() {
      let depth = max(callDepths[call, default: 0], depths[calls[call].layer, default: 0])
      depths[calls[call].layer] = depth
      for input in calls[call].inputs {
        callDepths[input] = max(depth + 1, callDepths[input, default: 0])
      }
    }
    return met.keys.sorted { a, b in
      let (x, y) = (depths[a, default: 0], depths[b, default: 0])
      return x == y ? met[a, default: 0] < met[b, default: 0] : x > y
    }
  }
}
