/// A TensorFlow checkpoint of version 1: one sorted table, or several, that hold the values
/// themselves, each a tensor's part.
///
/// Source: `tensorflow/core/util/saved_tensor_slice.proto`, `tensor_slice_writer.cc`.
struct SavedSlices {
  /// A tensor as a table's first value tells it.
  private struct Stated {
    var name = ""
    var extents: [Int] = []
    var isRankUnknown = false
    var type = 0
    var slices: [TensorSlice] = []
  }

  /// A part's values.
  private struct Part {
    let slice: TensorSlice
    let values: TensorValues
  }

  private(set) var tensors: [Tensor] = []
  private(set) var attributes: [Attribute] = []
  private(set) var unreadable: [Unreadable] = []

  /// Reads where the values are; the tables' checksums are checked on the way.
  init(_ tables: [SortedTable]) throws(CheckpointError) {
    var stated: [Stated] = []
    var indices: [String: Int] = [:]
    var parts: [String: [Part]] = [:]
    for table in tables {
      try table.forEach { (key, value) throws(CheckpointError) in
        var message = Protobuf(value.reader)
        while let field = try message.next() {
          if field.number == 1, key.isEmpty {
            for tensor in try SavedSlices.stated(message.message(of: field.value)) {
              if let index = indices[tensor.name] {
                stated[index].slices += tensor.slices
              } else {
                indices[tensor.name] = stated.count
                stated.append(tensor)
              }
            }
          } else if field.number == 2 {
            let (name, part) = try SavedSlices.part(message.message(of: field.value), value)
            parts[name, default: []].append(part)
          }
        }
      }
    }
    let path = tables.first?.file.path
    for tensor in stated {
      do throws(CheckpointError) {
        try add(tensor, parts.removeValue(forKey: tensor.name) ?? [])
      } catch {
        throw error.at(Place(file: path, tensor: tensor.name))
      }
    }
    if let name = parts.keys.sorted().first {
      throw CheckpointError(
        .damaged, Place(file: path, tensor: name), "has values but no type and shape")
    }
  }

  private static func stated(_ message: Protobuf) throws(CheckpointError) -> [Stated] {
    var message = message
    var list: [Stated] = []
    while let field = try message.next() {
      guard field.number == 1 else { continue }
      var tensor = Stated()
      var inner = try message.message(of: field.value)
      while let field = try inner.next() {
        switch field.number {
        case 1: tensor.name = try inner.text(of: field.value)
        case 2:
          (tensor.extents, tensor.isRankUnknown) = try TensorShapeProto.extents(
            try inner.message(of: field.value))
        case 3: tensor.type = field.value.int ?? 0
        case 4: tensor.slices.append(try TensorSlice(try inner.message(of: field.value)))
        default: break
        }
      }
      list.append(tensor)
    }
    return list
  }

  private static func part(
    _ message: Protobuf, _ value: SortedTable.Value
  ) throws(CheckpointError) -> (String, Part) {
    var message = message
    var name = ""
    var slice = TensorSlice(extents: [])
    var values = TensorValues(value)
    while let field = try message.next() {
      switch field.number {
      case 1: name = try message.text(of: field.value)
      case 2: slice = try TensorSlice(try message.message(of: field.value))
      case 3: try values.read(message.message(of: field.value))
      default: break
      }
    }
    return (name, Part(slice: slice, values: values))
  }

  private mutating func add(_ stated: Stated, _ parts: [Part]) throws(CheckpointError) {
    guard !stated.isRankUnknown else { throw CheckpointError(.damaged, Place(), "has no shape") }
    let shape = try Shape(checking: stated.extents)
    if stated.type == TensorFlowType.string, parts.count == 1 {
      let texts = try parts[0].values.texts(shape.count)
      guard let texts else {
        unreadable.append(
          Unreadable(name: stated.name, reason: "holds byte strings that are not UTF-8"))
        return
      }
      let type = Attribute.TextType()
      attributes.append(Attribute(stated.name, .text(texts, shape: stated.extents, type: type)))
      return
    }
    guard let dtype = TensorFlowType.dtype(stated.type) else {
      unreadable.append(
        Unreadable(name: stated.name, reason: TensorFlowType.reason(stated.type)))
      return
    }
    guard !parts.isEmpty else { throw CheckpointError(.damaged, Place(), "has no values") }
    var found: [PartitionedPayload.Part] = []
    for part in parts {
      guard let box = part.slice.box(in: shape) else {
        throw CheckpointError(.damaged, Place(), "a part reaches beyond shape \(shape)")
      }
      let count = try Shape(checking: box.extents).count
      found.append(
        PartitionedPayload.Part(box: box, payload: try part.values.payload(dtype, count)))
    }
    let whole = try PartitionedPayload(shape: shape, size: dtype.size, parts: found)
    tensors.append(
      Tensor(
        name: stated.name, dtype: dtype, shape: shape,
        payload: found.count == 1 ? found[0].payload : whole))
  }
}

/// The values of a `TensorProto`: where they lie, read when asked for.
///
/// Source: `tensorflow/core/framework/tensor.proto`.
private struct TensorValues {
  private let value: SortedTable.Value
  /// The runs of values by field number.
  private var runs: [Int: [(offset: Int, count: Int)]] = [:]
  private var message: Protobuf?

  init(_ value: SortedTable.Value) { self.value = value }

  mutating func read(_ message: Protobuf) throws(CheckpointError) {
    var fields = message
    self.message = message
    while let field = try fields.next() {
      guard TensorValues.fields.contains(field.number) else { continue }
      guard case .bytes(let offset, let count) = field.value else {
        throw fields.fail("values that are not packed are not read")
      }
      runs[field.number, default: []].append((offset, count))
    }
  }

  private static let content = 4
  private static let text = 8
  private static let fields = Set(4...13).union([16, 17])

  /// The field that has values of a type.
  private static func field(_ dtype: DType) -> Int {
    switch dtype {
    case .f32: 5
    case .f64: 6
    case .c64: 9
    case .i64: 10
    case .bool: 11
    case .c128: 12
    case .f16, .bf16: 13
    case .u32: 16
    case .u64: 17
    case .f8_e4m3, .f8_e5m2, .f8_e4m3fnuz, .f8_e5m2fnuz: content
    default: 7
    }
  }

  func payload(_ dtype: DType, _ count: Int) throws(CheckpointError) -> any Payload {
    let needed = dtype.byteCount(of: count)
    let isRaw = [.f32, .f64, .c64, .c128].contains(dtype) || runs[TensorValues.content] != nil
    let list = runs[TensorValues.content] ?? runs[TensorValues.field(dtype)] ?? []
    guard list.count <= 1 else {
      throw CheckpointError(.unsupported, Place(), "its values stand in \(list.count) runs")
    }
    let run = list.first ?? (offset: value.reader.position, count: 0)
    guard isRaw ? run.count == needed : run.count >= count && run.count / 10 <= count else {
      throw CheckpointError(
        .damaged, Place(), "\(count) values of \(dtype.rawValue) stand in \(run.count) bytes")
    }
    if isRaw, value.isInFile {
      return SlicePayload(
        try FileSlice(value.table.file, offset: run.offset, length: run.count))
    }
    let value = value
    return ComputedPayload(byteCount: needed, operation: isRaw ? "packed" : "varints") {
      () throws(CheckpointError) in
      let bytes = try value.bytes(at: run.offset, count: run.count)
      return isRaw ? bytes : try TensorValues.decode(bytes, dtype.size, count)
    }
  }

  /// Numbers written as varints, as `size` little-endian bytes each.
  private static func decode(
    _ packed: [UInt8], _ size: Int, _ count: Int
  ) throws(CheckpointError) -> [UInt8] {
    var reader = ByteReader(packed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * size)
    while reader.left > 0, bytes.count < count * size {
      let number = try reader.varint()
      for index in 0..<size {
        bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index)))
      }
    }
    guard reader.left == 0, bytes.count == count * size else {
      throw CheckpointError(.damaged, Place(), "there are not \(count) values")
    }
    return bytes
  }

  /// The texts, or `nil` when they are not UTF-8.
  func texts(_ count: Int) throws(CheckpointError) -> [String]? {
    let list = runs[TensorValues.text] ?? []
    guard list.count == count else {
      throw CheckpointError(.damaged, Place(), "\(list.count) texts stand where \(count) belong")
    }
    var texts: [String] = []
    for run in list {
      let bytes = try value.bytes(at: run.offset, count: run.count)
      guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
      texts.append(text)
    }
    return texts
  }
}

extension SortedTable.Value {
  /// Bytes of the value, by the positions of its cursor.
  func bytes(at offset: Int, count: Int) throws(CheckpointError) -> [UInt8] {
    if isInFile { return try table.file.bytes(at: offset, count: count) }
    let contents = try table.contents(of: block)
    guard offset >= 0, offset <= contents.count, count <= contents.count - offset else {
      throw CheckpointError(
        .damaged, Place(file: table.file.path, offset: block.offset), "the file has changed")
    }
    return Array(contents[offset..<(offset + count)])
  }
}
