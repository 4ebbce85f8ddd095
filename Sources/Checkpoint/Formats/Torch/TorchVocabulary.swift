/// Where the bytes of a file's storages are.
protocol TorchStorages: Sendable {
  /// Whether numbers lie with their highest byte first.
  var isBigEndian: Bool { get }

  /// The first `byteCount` bytes of a storage.
  ///
  /// - Throws: ``CheckpointError`` when there is no such storage or it is shorter.
  func payload(_ key: String, byteCount: Int) throws(CheckpointError) -> any Payload
}

/// The functions by which PyTorch's pickles make tensors.
struct TorchVocabulary: PickleVocabulary {
  let storages: any TorchStorages

  func value(
    of call: Pickle.Call, _ name: String, in tree: PickleTree, depth: Int
  ) throws(CheckpointError) -> PickledValue? {
    let arguments = tree.pickle.elements(call.arguments) ?? []
    switch name {
    case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
      guard arguments.count >= 4 else { return nil }
      if arguments.count > 6, let state = tree.pickle.entries(arguments[6]),
        let entry = state.first(where: { tree.pickle.bool($0.value) == true })
      {
        return lazy(tree.pickle.text(entry.key) ?? "")
      }
      return try tensor(arguments, dtype: nil, in: tree.pickle)
    case "torch._utils._rebuild_tensor_v3":
      guard arguments.count >= 7, let type = tree.pickle.global(arguments[6]) else { return nil }
      guard let dtype = TorchDType.named(type) else {
        return .unreadable("has elements of type \(type)")
      }
      return try tensor(arguments, dtype: dtype, in: tree.pickle)
    case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
      "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer",
      "torch._utils._rebuild_device_tensor_from_numpy", "torch.jit._pickle.build_intlist",
      "torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist",
      "torch.jit._pickle.build_tensorlist", "torch.jit._pickle.restore_type_tag":
      guard let first = arguments.first else { return nil }
      return try tree.meaning(of: first, depth: depth + 1)
    case "torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type":
      // (function, type, arguments, state): a subclass of Tensor.
      guard arguments.count >= 3, let function = tree.pickle.global(arguments[0]) else {
        return nil
      }
      return try value(
        of: Pickle.Call(callee: arguments[0], arguments: arguments[2]), function, in: tree,
        depth: depth + 1)
    case "torch.Size":
      return arguments.first.flatMap { tree.pickle.elements($0) }.map { .sequence($0) }
    case "torch.device":
      let parts = arguments.compactMap {
        tree.pickle.text($0) ?? tree.pickle.int($0).map(String.init)
      }
      return .attribute(Attribute("", text: parts.joined(separator: ":")).value)
    case "torch._utils._rebuild_meta_tensor_no_storage":
      return .unreadable("is on the meta device and has no values")
    case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_sparse_csr_tensor":
      return .unreadable("is a sparse tensor; save it with to_dense()")
    case "torch._utils._rebuild_qtensor":
      return .unreadable("is a quantized tensor; save it with dequantize()")
    case "torch._utils._rebuild_nested_tensor":
      return .unreadable("is a nested tensor; save its parts")
    case "torch._utils._rebuild_wrapper_subclass":
      return .unreadable("is a tensor of a class of its own")
    case "torch.storage._load_from_bytes":
      return .unreadable("is a tensor saved by pickle instead of torch.save")
    default: return nil
    }
  }

  /// Constants such as `torch.float16` and `torch.strided`.
  func value(ofName name: String) -> PickledValue? {
    let parts = name.split(separator: ".", maxSplits: 1)
    guard parts.count == 2, parts[0] == "torch",
      parts[1].utf8.allSatisfy({
        $0 == 0x5f || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0)
      })
    else { return nil }
    return .attribute(Attribute("", text: name).value)
  }

  private func lazy(_ key: String) -> PickledValue {
    switch key {
    case "conj": .unreadable("is a conjugated view; save it with resolve_conj()")
    case "neg": .unreadable("is a negated view; save it with resolve_neg()")
    default: .unreadable("is a tensor with the property \(key)")
    }
  }

  /// A storage as the pickle tells it.
  private struct Storage {
    var key: String
    /// `nil` for element types that ckpt cannot hold.
    var dtype: DType?
    var typeName: String
    var isMeta: Bool
    /// Elements that are stored.
    var count: Int
    /// Elements before a view of it, in the oldest files.
    var origin = 0
  }

  /// `('storage', type, key, location, count)`, in the stream with what it is a view of.
  private func storage(
    _ value: Pickle.Value, in pickle: Pickle
  ) throws(CheckpointError) -> Storage {
    guard case .persistent(let id)? = pickle.node(value), let parts = pickle.elements(id),
      parts.count >= 5, pickle.text(parts[0]) == "storage", let type = pickle.global(parts[1]),
      let key = pickle.text(parts[2]), let count = pickle.int(parts[4]), count >= 0
    else { throw CheckpointError(.damaged, Place(), "a tensor has no storage that makes sense") }
    var storage = Storage(
      key: key, dtype: TorchDType.storage(type), typeName: type,
      isMeta: pickle.text(parts[3]) == "meta", count: count)
    if parts.count > 5, let view = pickle.elements(parts[5]) {
      guard view.count == 3, let origin = pickle.int(view[1]), let length = pickle.int(view[2]),
        origin >= 0, length >= 0, origin <= count, length <= count - origin
      else { throw CheckpointError(.damaged, Place(), "a view leaves its storage") }
      storage.origin = origin
    }
    return storage
  }

  /// Arguments: storage, offset, size, stride, …; in elements.
  private func tensor(
    _ arguments: [Pickle.Value], dtype: DType?, in pickle: Pickle
  ) throws(CheckpointError) -> PickledValue {
    let storage = try storage(arguments[0], in: pickle)
    guard let stored = storage.dtype else {
      return .unreadable("has elements of type \(storage.typeName)")
    }
    if storage.isMeta { return .unreadable("is on the meta device and has no values") }
    let dtype = dtype ?? stored
    guard let offset = pickle.int(arguments[1]), let size = extents(arguments[2], pickle),
      let strides = extents(arguments[3], pickle), strides.count == size.count,
      !storage.origin.addingReportingOverflow(offset).overflow
    else {
      throw CheckpointError(.damaged, Place(), "a tensor's offset, size or stride make no sense")
    }
    let shape = try Shape(checking: size)
    let (byteCount, overflow) = storage.count.multipliedReportingOverflow(by: stored.size)
    guard !overflow else {
      throw CheckpointError(.damaged, Place(), "a storage of \(storage.count) elements is claimed")
    }
    let payload = try storages.payload(storage.key, byteCount: byteCount)
    return .tensor(
      PickledTensor(
        dtype: dtype, shape: shape,
        payload: try payload.view(
          dtype, shape, strides: strides, origin: storage.origin + offset,
          isBigEndian: storages.isBigEndian)))
  }

  private func extents(_ value: Pickle.Value, _ pickle: Pickle) -> [Int]? {
    var value = value
    if let call = pickle.call(value), pickle.global(call.callee) == "torch.Size",
      let inner = pickle.elements(call.arguments)?.first
    {
      value = inner
    }
    let numbers = pickle.elements(value).map { $0.map { pickle.int($0) } }
    return numbers.flatMap { $0.contains(nil) ? nil : $0.compactMap(\.self) }
  }
}

extension Payload {
  /// The elements of a view: where they lie if that is in canonical order, gathered otherwise.
  func view(
    _ dtype: DType, _ shape: Shape, strides: [Int], origin: Int, isBigEndian: Bool
  ) throws(CheckpointError) -> any Payload {
    guard shape.count > 0 else { return BytesPayload([]) }
    let swapped = isBigEndian ? dtype.numberSize : 1
    let isDense = zip(shape.extents, zip(strides, shape.strides)).allSatisfy {
      $0 == 1 || $1.0 == $1.1
    }
    let view = try StridedPayload(
      stored: self, shape: shape, strides: isDense ? shape.strides : strides, origin: origin,
      size: dtype.size, swapped: swapped)
    guard isDense, swapped == 1 else { return view }
    if origin == 0, byteCount == shape.count * dtype.size { return self }
    guard let slice else { return view }
    return SlicePayload(
      try FileSlice(
        slice.file, offset: slice.offset + origin * dtype.size, length: shape.count * dtype.size),
      storage: storage)
  }

  /// The first bytes.
  func prefix(_ count: Int) throws(CheckpointError) -> any Payload {
    count == byteCount
      ? self
      : try view(.u8, Shape(checking: [count]), strides: [1], origin: 0, isBigEndian: false)
  }
}
