/// Weights of an archive that are kept as NumPy arrays (`save_model(…, weights_format="npz")`).
///
/// Every member of the zip is a pickled dictionary of one layer's variables, which is read as plain
/// data: tf.keras and Keras 2 put arrays into it, Keras 3 its variables around arrays of JAX.
///
/// Source: `NpzIOStore` in `keras/src/saving/saving_lib.py`; `_reconstruct_array` in
/// `jax/_src/array.py`.
extension Keras {
  /// The path at which Keras keeps the variables of the model itself.
  private static let root = "__root__"
  private static let suffix = ".npy"

  static func readArrays(_ archive: ZipArchive) throws(CheckpointError) -> Checkpoint {
    var checkpoint = Checkpoint()
    for member in archive.members {
      let place = Place(file: archive.region.file.path, member: member.name)
      do throws(CheckpointError) {
        guard member.name.hasSuffix(suffix) else {
          checkpoint.unreadable.append(Unreadable(name: member.name, reason: "is no .npy array"))
          continue
        }
        let path = String(member.name.dropLast(suffix.count))
        let header = try NPYHeader(size: member.size) { (count) throws(CheckpointError) in
          try archive.head(of: member, count: count)
        }
        guard case .refused = header.element, header.shape.rank == 0 else {
          throw CheckpointError(
            .unsupported, Place(), "is an array where a dictionary of variables is expected")
        }
        let group = try group(
          path == root ? "vars" : path + "/vars",
          PickleMachine.read(try source(of: member, in: archive, from: header.length)),
          &checkpoint.unreadable)
        if !group.tensors.isEmpty { checkpoint.groups.append(group) }
      } catch {
        throw error.at(place)
      }
    }
    checkpoint.groups.sort { Natural.less($0.name, $1.name) }
    return checkpoint
  }

  /// Where the pickle behind an array's header lies.
  private static func source(
    of member: ZipMember, in archive: ZipArchive, from start: Int
  ) throws(CheckpointError) -> PickleSource {
    if member.method == .stored {
      let slice = try archive.slice(of: member)
      return .file(
        try FileSlice(slice.file, offset: slice.offset + start, length: slice.length - start))
    }
    return .memory(Array(try archive.contents(of: member).dropFirst(start)))
  }

  /// The variables of one dictionary.
  private static func group(
    _ name: String, _ pickle: Pickle, _ unreadable: inout [Unreadable]
  ) throws(CheckpointError) -> Group {
    let tree = PickleTree(pickle, KerasVocabulary())
    // An array of one object without axes: its state is version, shape, type, order and a list.
    guard let call = pickle.call(pickle.root), let state = pickle.elements(call.state),
      state.count == 5, let objects = pickle.elements(state[4]), objects.count == 1,
      let entries = pickle.entries(objects[0])
    else { throw CheckpointError(.unsupported, Place(), "holds no dictionary of variables") }
    var tensors: [Tensor] = []
    for entry in entries {
      guard let key = pickle.text(entry.key) else {
        throw CheckpointError(.unsupported, Place(), "has a key that is no text")
      }
      let path = "\(name)/\(key)"
      guard !tensors.contains(where: { $0.name == path }) else {
        throw CheckpointError(.damaged, .tensor(path), "stands twice")
      }
      switch try tree.meaning(of: entry.value) {
      case .tensor(let found):
        tensors.append(
          Tensor(name: path, dtype: found.dtype, shape: found.shape, payload: found.payload))
      case .attribute(.numbers(let dtype, let shape, let bytes)):
        tensors.append(
          Tensor(name: path, dtype: dtype, shape: Shape(shape), payload: BytesPayload(bytes)))
      case .unreadable(let reason):
        unreadable.append(Unreadable(name: path, reason: reason))
      default: unreadable.append(Unreadable(name: path, reason: "is no array"))
      }
    }
    return Group(name: name, tensors: tensors.sorted { Natural.less($0.name, $1.name) })
  }
}

/// Keras' variables and JAX's arrays in a pickle.
private struct KerasVocabulary: PickleVocabulary {
  func value(
    of call: Pickle.Call, _ name: String, in tree: PickleTree, depth: Int
  ) throws(CheckpointError) -> PickledValue? {
    let pickle = tree.pickle
    switch name {
    case "keras.src.backend.Variable":
      // Its state is a dictionary; `_value` is the array.
      let value = pickle.entries(call.state)?.first { pickle.text($0.key) == "_value" }?.value
      guard let value else { return nil }
      return try tree.meaning(of: value, depth: depth + 1)
    case "jax._src.array._reconstruct_array":
      // What would make the NumPy array: function, arguments, state; then JAX's own state.
      guard let parts = pickle.elements(call.arguments), parts.count == 4,
        let function = pickle.global(parts[0]), let arguments = pickle.elements(parts[1])
      else { return nil }
      return try tree.array(
        Pickle.Call(callee: parts[0], arguments: parts[1], state: parts[2]), function, arguments)
    default: return nil
    }
  }
}
