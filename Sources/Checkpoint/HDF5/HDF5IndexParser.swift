import CHDF5Reader

/// Makes an ``HDF5Index`` of a child's records.
struct HDF5IndexParser {
  private var reader: HDF5Reader
  private let image: HDF5Image
  private var builder: HDF5IndexBuilder

  init(_ answer: [UInt8], image: HDF5Image) {
    reader = HDF5Reader(answer)
    self.image = image
    builder = HDF5IndexBuilder(image)
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
    } catch {
      throw error.at(.file(image.path))
    }
    return builder.index()
  }

  private func broken(_ reason: String) -> CheckpointError {
    CheckpointError(.damaged, Place(), "the answer of the reading process \(reason)")
  }

  // MARK: Objects

  private mutating func group(_ content: inout HDF5Reader) throws(CheckpointError) {
    builder.skipObject()
    guard let path = name(try content.blob(), of: "") else { return }
    builder.add(group: path)
  }

  private mutating func dataset(_ content: inout HDF5Reader) throws(CheckpointError) {
    builder.skipObject()
    let path = name(try content.blob(), of: "")
    let stored = HDF5IndexBuilder.Stored(
      path: path ?? "", code: try content.byte(), isBigEndian: try content.byte() != 0,
      extents: try content.extents(), layout: UInt32(try content.byte()),
      offset: try content.int(), byteCount: try content.int(), filters: try content.text())
    if path != nil { builder.add(dataset: stored) }
  }

  private mutating func unreadable(_ content: inout HDF5Reader) throws(CheckpointError) {
    let path = try content.text()
    let attribute = try content.text()
    builder.add(
      unreadable: attribute.isEmpty ? path : "\(path)@\(attribute)", try content.text())
  }

  /// A valid name; one that is not UTF-8 is listed as unreadable.
  private mutating func name(_ bytes: ArraySlice<UInt8>, of owner: String) -> String? {
    if let name = String(validating: bytes, as: UTF8.self) { return name }
    builder.add(unreadable: owner + String(decoding: bytes, as: UTF8.self), "its name is not UTF-8")
    return nil
  }

  // MARK: Attributes

  private mutating func numbers(_ content: inout HDF5Reader) throws(CheckpointError) {
    let name = name(try content.blob(), of: builder.owner)
    guard let dtype = DType(hdf5Code: try content.byte()) else {
      throw broken("holds an unknown type")
    }
    let extents = try content.extents()
    let shape = try Shape(checking: extents)
    guard content.left == shape.count * dtype.size else {
      throw broken("holds an attribute of the wrong length")
    }
    let bytes = [UInt8](try content.take(content.left))
    if let name { builder.add(Attribute(name, .numbers(dtype, shape: extents, bytes: bytes))) }
  }

  private mutating func texts(_ content: inout HDF5Reader) throws(CheckpointError) {
    let name = name(try content.blob(), of: builder.owner)
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
      builder.add(unreadable: builder.owner + name, "the attribute's text is not UTF-8")
      return
    }
    builder.add(
      Attribute(
        name,
        .text(
          values, shape: extents,
          type: .init(size: isVariable ? nil : size, utf8: isUTF8, padding: padding))))
  }
}
