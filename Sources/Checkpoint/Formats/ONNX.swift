/// ONNX: the tensors of a model's graphs, read only.
///
/// Source: `onnx.proto` of onnx/onnx. Read are the initializers and the tensors in attributes, above
/// all those of Constant nodes, of the main graph, of the sub-graphs of If, Loop and Scan, of
/// functions and of training; data inside the file at their offsets, or in files beside it.
public struct ONNX: Format {
  public init() {}

  public var name: String { "onnx" }
  public var summary: String { "ONNX: initializers and constants, also of sub-graphs" }
  public var suffixes: [String] { ["onnx"] }
  public var customaryNames: [String] { ["model.onnx"] }
  public var writes: Bool { false }

  /// The numbers of the fields that are read.
  enum ModelField {
    static let irVersion = 1
    static let producerName = 2
    static let producerVersion = 3
    static let domain = 4
    static let modelVersion = 5
    static let docString = 6
    static let graph = 7
    static let opsetImport = 8
    static let metadata = 14
    static let training = 20
    static let functions = 25
    static let configuration = 26
    static let numbers: Set<Int> = [irVersion, modelVersion]
    static let messages: Set<Int> = [
      producerName, producerVersion, domain, docString, graph, opsetImport, metadata, training,
      functions, configuration,
    ]
  }

  enum GraphField {
    static let node = 1
    static let initializer = 5
    static let sparseInitializer = 15
    static let all: Set<Int> = [node, 2, initializer, 10, 11, 12, 13, 14, sparseInitializer, 16]
  }

  /// The newest IR version that is taken for one; 13 is the newest in use.
  private static let newestVersion: UInt64 = 255
  /// Fields of the graph that are looked at before the file is taken for a model.
  private static let looked = 32

  /// A model's fields, with a graph among them, from the first byte to the last; in a file that is
  /// cut, as far as it goes.
  public func recognises(_ probe: Probe) -> Bool {
    guard let first = probe.head.first,
      let slice = try? FileSlice(
        probe.file, offset: 0, length: probe.file.size)
    else { return false }
    // The key of a field of the model: a number of at most two bytes, with the type that it has.
    guard ONNX.fits(Int(first >> 3), first & 7) || first >= 0x80 else { return false }
    var reader = ByteReader(slice)
    var hasVersion = false
    var hasGraph = false
    while reader.left > 0 {
      guard let key = try? reader.varint(), let number = Int(exactly: key >> 3),
        ONNX.fits(number, UInt8(key & 7))
      else { return false }
      if key & 7 == 0 {
        guard let value = try? reader.varint() else { return hasVersion && hasGraph }
        if number == ModelField.irVersion {
          guard (1...ONNX.newestVersion).contains(value) else { return false }
          hasVersion = true
        }
        continue
      }
      guard let count = (try? reader.varint()).flatMap({ Int(exactly: $0) }) else {
        return hasVersion && hasGraph
      }
      if number == ModelField.graph {
        let start = reader.position
        guard isGraph(&reader, end: start + min(count, reader.left)) else { return false }
        guard (try? reader.seek(start)) != nil else { return false }
        hasGraph = true
      }
      guard count <= reader.left else { return hasVersion && hasGraph }
      guard (try? reader.skip(count)) != nil else { return false }
    }
    return hasVersion && hasGraph
  }

  /// Whether a field of the model has this number and this wire type.
  private static func fits(_ number: Int, _ type: UInt8) -> Bool {
    type == 0 && ModelField.numbers.contains(number)
      || type == 2 && ModelField.messages.contains(number)
  }

  /// Whether the first fields are those of a graph.
  private func isGraph(_ reader: inout ByteReader, end: Int) -> Bool {
    for _ in 0..<ONNX.looked where reader.position < end {
      guard let key = try? reader.varint(), let number = Int(exactly: key >> 3), key & 7 == 2,
        GraphField.all.contains(number)
      else { return false }
      guard let count = (try? reader.varint()).flatMap({ Int(exactly: $0) }), count <= reader.left
      else { return true }  // cut
      guard (try? reader.skip(count)) != nil else { return false }
    }
    return true
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    var reader = ONNXReader(probe.file)
    do throws(CheckpointError) {
      let slice = try FileSlice(probe.file, offset: 0, length: probe.file.size)
      try reader.readModel(Protobuf(ByteReader(slice)))
    } catch {
      throw error.at(.file(probe.path))
    }
    return Checkpoint(
      path: probe.path, files: [probe.path] + reader.externals.map(\.path), format: name,
      groups: [Group(name: "", tensors: reader.tensors)], attributes: reader.attributes,
      unreadable: reader.unreadable)
  }
}
