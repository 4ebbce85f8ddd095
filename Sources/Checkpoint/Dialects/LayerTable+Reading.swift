extension Checkpoint {
  /// The layers of a Keras model: its groups, or what the first part of names tells where a format has
  /// none.
  var kerasLayers: [Group] {
    guard groups.count == 1, groups[0].name.isEmpty else {
      return groups.map { group in
        var layer = group
        layer.name = group.name.replacingPrefix("model_weights/", with: "")
        return layer
      }
    }
    var layers: [Group] = []
    var places: [String: Int] = [:]
    for tensor in groups[0].tensors {
      let plain = tensor.name.replacingPrefix("model_weights/", with: "")
      let layer = plain.split(separator: "/").first.map(String.init) ?? plain
      if let index = places[layer] {
        layers[index].tensors.append(tensor)
      } else {
        places[layer] = layers.count
        layers.append(Group(name: layer, tensors: [tensor]))
      }
    }
    return layers
  }
}
