import CHDF5Reader

/// Makes an ``HDF5Index`` of a child's records and checks every claim in them.
struct HDF5IndexParser {
  private var reader: HDF5Reader
  private let image: HDF5Image
  private var result = HDF5Index(groups: [], datasets: [], unreadable: [])
  private var paths: Set<String> = []
  /// The object whose attributes follow.
  private var current = Object.none

  private enum Object {
    case none
    case group(HDF5Group)
    case dataset(Stored, [Attribute])
  }

  /// A dataset as the child tells it.
  private struct Stored {
    var path: String
    var code: UInt8
    var isBigEndian: Bool
    var extents: [Int]
    var layout: UInt32
    var offset: Int
    var byteCount: Int
    var filters: String
  }

  init(_ answer: [UInt8], image: HDF5Image) {
    reader = HDF5Reader(answer)
    self.image = image
  }

  mutating func index() throws(CheckpointError) -> HDF5Index {
    do throws(CheckpointError) {
      while reader.left > 0 {
        var (tag, content) = try reader.record()
        switch tag {
        case CKPT_HDF5_GROUP.rawValue: try group(&content)
        case CKPT_HDF5_DATASET.rawValue: try dataset(&content)
        case CKPT_HDF5_NUMBERS.rawValue: try numbers(&content)
        case CKPT_HDF5_TEXT.rawValue: try texts(&content)
        case CKPT_HDF5_UNREADABLE.rawValue: try unreadable(&content)
        default: throw broken("holds an unknown record")
        }
        guard content.left == 0 else { throw broken("holds a record that is too long") }
      }
      finishObject()
    } catch {
      throw error.at(.file(image.path))
    }
    return result
  }

  private func broken(_ reason: String) -> CheckpointError {
    CheckpointError(.damaged, Place(), "the answer of the reading process \(reason)")
  }

  // MARK: Objects

  private mutating func group(_ content: inout HDF5Reader) throws(CheckpointError) {
    finishObject()
    current = .none
    guard let path = name(try content.blob(), of: "") else { return }
    current = .group(HDF5Group(path: path, attributes: []))
  }

  private mutating func dataset(_ content: inout HDF5Reader) throws(CheckpointError) {
    finishObject()
    current = .none
    let path = name(try content.blob(), of: "")
    let stored = Stored(
      path: path ?? "", code: try content.byte(), isBigEndian: try content.byte() != 0,
      extents: try content.extents(), layout: UInt32(try content.byte()),
      offset: try content.int(), byteCount: try content.int(), filters: try content.text())
    if path != nil { current = .dataset(stored, []) }
  }

  private mutating func unreadable(_ content: inout HDF5Reader) throws(CheckpointError) {
    let path = try content.text()
    let attribute = try content.text()
    result.unreadable.append(
      Unreadable(
        name: attribute.isEmpty ? path : "\(path)@\(attribute)", reason: try content.text()))
  }

  /// A valid name; one that is not UTF-8 is listed as unreadable.
  private mutating func name(_ bytes: ArraySlice<UInt8>, of owner: String) -> String? {
    if let name = String(validating: bytes, as: UTF8.self) { return name }
    result.unreadable.append(
      Unreadable(
        name: owner + String(decoding: bytes, as: UTF8.self), reason: "its name is not UTF-8"))
    return nil
  }

  /// Adds the object whose attributes are complete now.
  private mutating func finishObject() {
    switch current {
    case .none: return
    case .group(let group):
      guard isNew(group.path) else { return }
      result.groups.append(group)
    case .dataset(let stored, let attributes):
      guard isNew(stored.path) else { return }
      do throws(CheckpointError) {
        result.datasets.append(
          HDF5Dataset(tensor: try tensor(stored, attributes), attributes: attributes))
      } catch {
        result.unreadable.append(Unreadable(name: stored.path, reason: error.reason))
      }
    }
    current = .none
  }

  private mutating func isNew(_ path: String) -> Bool {
    if paths.insert(path).inserted { return true }
    result.unreadable.append(Unreadable(name: path, reason: "its name stands twice"))
    return false
  }

  private func tensor(
    _ stored: Stored, _ attributes: [Attribute]
  ) throws(CheckpointError) -> Tensor {
    func bad(_ reason: String) -> CheckpointError { CheckpointError(.damaged, Place(), reason) }
    let shape = try Shape(checking: stored.extents)
    let dtype: DType
    if UInt32(stored.code) == CKPT_HDF5_OPAQUE2.rawValue {
      // Keras 3 stores bfloat16 as opaque pairs of bytes and says so in an attribute.
      guard attributes.contains(where: { $0.name == "dtype" && $0.text == "bfloat16" }) else {
        throw bad("it holds opaque bytes, no numbers")
      }
      dtype = .bf16
    } else if let known = DType(hdf5Code: stored.code) {
      dtype = known
    } else {
      throw bad("its type is not known")
    }
    let byteCount = shape.count * dtype.size
    let layout = storage(stored)
    let length = image.slice.length
    if stored.layout == CKPT_HDF5_CONTIGUOUS.rawValue {
      guard stored.offset >= 0, stored.offset <= length, byteCount <= length - stored.offset else {
        throw bad("its \(byteCount) bytes at byte \(stored.offset) leave the file")
      }
      if !stored.isBigEndian {
        let slice = try FileSlice(
          image.slice.file, offset: image.slice.offset + stored.offset, length: byteCount)
        return Tensor(
          name: stored.path, dtype: dtype, shape: shape,
          payload: SlicePayload(slice, storage: layout))
      }
    } else {
      // No filter packs more than about 1,032 to 1; the rest of a claim is made of nothing.
      let held = min(max(stored.byteCount, 0), length)
      guard byteCount / 1100 <= held || byteCount <= 64 << 20 else {
        throw bad("it claims \(byteCount) bytes, for which the file holds \(held)")
      }
    }
    return Tensor(
      name: stored.path, dtype: dtype, shape: shape,
      payload: HDF5Payload(
        image: image, path: stored.path, code: Int32(stored.code), byteCount: byteCount,
        storage: layout))
  }

  private func storage(_ stored: Stored) -> String {
    var text =
      switch stored.layout {
      case CKPT_HDF5_CONTIGUOUS.rawValue: "contiguous"
      case CKPT_HDF5_COMPACT.rawValue: "compact"
      case CKPT_HDF5_CHUNKED.rawValue: "chunked"
      default: "never written"
      }
    if !stored.filters.isEmpty { text += " " + stored.filters }
    if stored.isBigEndian { text += " big-endian" }
    return text
  }

  // MARK: Attributes

  private mutating func add(_ attribute: Attribute) {
    switch current {
    case .none: break
    case .group(var group):
      current = .none
      group.attributes.append(attribute)
      current = .group(group)
    case .dataset(let stored, var attributes):
      current = .none
      attributes.append(attribute)
      current = .dataset(stored, attributes)
    }
  }

  private var owner: String {
    switch current {
    case .none: ""
    case .group(let group): group.path + "@"
    case .dataset(let stored, _): stored.path + "@"
    }
  }

  private mutating func numbers(_ content: inout HDF5Reader) throws(CheckpointError) {
    let name = name(try content.blob(), of: owner)
    guard let dtype = DType(hdf5Code: try content.byte()) else {
      throw broken("holds an unknown type")
    }
    let extents = try content.extents()
    let shape = try Shape(checking: extents)
    guard content.left == shape.count * dtype.size else {
      throw broken("holds an attribute of the wrong length")
    }
    let bytes = [UInt8](try content.take(content.left))
    if let name { add(Attribute(name, .numbers(dtype, shape: extents, bytes: bytes))) }
  }

  private mutating func texts(_ content: inout HDF5Reader) throws(CheckpointError) {
    let name = name(try content.blob(), of: owner)
    let isVariable = try content.byte() != 0
    let size = Int(try content.u32())
    let isUTF8 = try content.byte() != 0
    let padding: Attribute.TextType.Padding =
      switch try content.byte() {
      case 1: .nullPadded
      case 2: .spacePadded
      default: .nullTerminated
      }
    let extents = try content.extents()
    let shape = try Shape(checking: extents)
    guard shape.count <= content.left / 4 else { throw broken("holds too few texts") }
    var values: [String] = []
    values.reserveCapacity(shape.count)
    var isValid = true
    for _ in 0..<shape.count {
      let bytes = try content.blob()
      if let text = String(validating: bytes, as: UTF8.self) {
        values.append(text)
      } else {
        isValid = false
      }
    }
    guard let name else { return }
    guard isValid else {
      result.unreadable.append(
        Unreadable(name: owner + name, reason: "the attribute's text is not UTF-8"))
      return
    }
    add(
      Attribute(
        name,
        .text(
          values, shape: extents,
          type: .init(size: isVariable ? nil : size, utf8: isUTF8, padding: padding))))
  }
}
