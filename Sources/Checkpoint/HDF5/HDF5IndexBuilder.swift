import CHDF5Reader

/// Makes an ``HDF5Index`` of what a reader finds and checks every claim in it.
///
/// Both readers, the child's and ``ClassicHDF5``, hand over objects in the order of the file: an
/// object, then its attributes.
struct HDF5IndexBuilder {
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

  /// A dataset as a reader tells it.
  struct Stored {
    var path: String
    /// One of `ckpt_hdf5_dtype`.
    var code: UInt8
    var isBigEndian: Bool
    var extents: [Int]
    /// One of `ckpt_hdf5_layout`.
    var layout: UInt32
    /// Bytes from the start of the image, where the layout is contiguous.
    var offset: Int
    /// Bytes that it takes in the file.
    var byteCount: Int
    var filters: String
  }

  init(_ image: HDF5Image) { self.image = image }

  /// Ends the list.
  mutating func index() -> HDF5Index {
    finishObject()
    return result
  }

  /// Whether everything so far can be held.
  var isComplete: Bool { result.unreadable.isEmpty }

  /// Starts a group.
  mutating func add(group path: String) {
    finishObject()
    current = .group(HDF5Group(path: path, attributes: []))
  }

  /// Starts a dataset.
  mutating func add(dataset stored: Stored) {
    finishObject()
    current = .dataset(stored, [])
  }

  /// Ends the object that was started last; what follows belongs to none.
  mutating func skipObject() { finishObject() }

  /// Adds an attribute of the object that was started last.
  mutating func add(_ attribute: Attribute) {
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

  mutating func add(unreadable name: String, _ reason: String) {
    result.unreadable.append(Unreadable(name: name, reason: reason))
  }

  /// What an attribute's name stands behind in a list: `path@`.
  var owner: String {
    switch current {
    case .none: ""
    case .group(let group): group.path + "@"
    case .dataset(let stored, _): stored.path + "@"
    }
  }

  /// Adds the object whose attributes are complete now.
  private mutating func finishObject() {
    switch current {
    case .none: return
    case .group(let group):
      if isNew(group.path) { result.groups.append(group) }
    case .dataset(let stored, let attributes):
      guard isNew(stored.path) else { break }
      do throws(CheckpointError) {
        result.datasets.append(
          HDF5Dataset(tensor: try tensor(stored, attributes), attributes: attributes))
      } catch {
        add(unreadable: stored.path, error.reason)
      }
    }
    current = .none
  }

  private mutating func isNew(_ path: String) -> Bool {
    if paths.insert(path).inserted { return true }
    add(unreadable: path, "its name stands twice")
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
      let slice = try FileSlice(
        image.slice.file, offset: image.slice.offset + stored.offset, length: byteCount)
      let payload = SlicePayload(slice, storage: layout)
      return Tensor(
        name: stored.path, dtype: dtype, shape: shape,
        payload: stored.isBigEndian
          ? try StridedPayload(
            stored: payload, shape: shape, strides: shape.strides, size: dtype.size,
            swapped: dtype.numberSize) : payload)
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
        storage: layout, filters: stored.filters.split(separator: "+").map(String.init)))
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
    // Contiguous bytes are turned round by a payload that says so itself.
    if stored.isBigEndian, stored.layout != CKPT_HDF5_CONTIGUOUS.rawValue { text += " big-endian" }
    return text
  }
}
