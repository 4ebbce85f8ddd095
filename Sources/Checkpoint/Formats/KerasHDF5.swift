/// Keras weights and models in HDF5: `save_weights("x.h5")`, `save("x.h5")`, and any other HDF5
/// file of numbers.
///
/// **Names are HDF5 paths.** A tensor is named by the path of its dataset without the leading slash
/// (`Embedding-Token/Embedding-Token/embeddings:0`,
/// `model_weights/dense_1/dense_1/kernel:0`), a ``Group`` by the path of the HDF5 group
/// (`Embedding-Token`, `model_weights/dense_1`; the root's is empty).
///
/// **Reading.** Layers come first, in the order of `layer_names`, also those without weights; their
/// tensors in the order of `weight_names`. What no layer names follows in natural order of paths:
/// every further group that has attributes, datasets of its own or no members at all (optimizer
/// weights, `top_level_model_weights`, groups of Keras 3). A dataset directly in a layer's group
/// that its `weight_names` does not list stands after those listed.
/// ``Checkpoint/attributes`` are those of the root, then those of `model_weights`, called
/// `model_weights@NAME`. A group's attributes are ``Group/attributes``; an attribute of a dataset
/// stands there too, called `PATH@NAME`.
///
/// **Writing** puts everything back to where reading found it. `layer_names` and `weight_names` are
/// kept as they are while they agree with the groups and tensors, and are made anew otherwise.
/// A checkpoint without `layer_names` gets them, with `backend` and `keras_version`, when a tensor's
/// name goes on with a path below its group's, as Keras names do (group `L`, tensor
/// `L/L/kernel:0`). Otherwise it is written as plain HDF5: datasets at the paths that are their
/// names, and nothing added. Datasets are contiguous; with ``WriteOptions/compression`` those of
/// 4 KB and more are cut into chunks that are shuffled and packed.
///
/// Source: `keras/src/legacy/saving/legacy_h5_format.py` (Keras 3),
/// `keras/src/saving/legacy/hdf5_format.py` (Keras 2.15).
public struct KerasHDF5: Format {
  public init() {}

  public var name: String { "keras-h5" }
  public var aliases: [String] { ["h5", "hdf5"] }
  public var summary: String { "Keras weights or model in HDF5 (.h5), and plain HDF5" }
  public var suffixes: [String] { ["h5", "hdf5", "weights"] }
  public var customaryNames: [String] {
    ["model.weights.h5", "model.h5", "weights.h5", "tf_model.h5"]
  }
  public var folderName: String { "model.h5" }

  public var compresses: Bool { true }

  /// `NAME_00000.weights.h5` beside `NAME.weights.json` is a shard; see ``Keras``.
  public func isEntry(_ name: String, among names: [String]) -> Bool {
    if name.contains("-of-") { return false }
    guard name.hasSuffix(".weights.h5") else { return true }
    let stem = name.dropLast(".weights.h5".count)
    let isNumbered = stem.suffix(6).first == "_" && stem.suffix(5).allSatisfy(\.isNumber)
    return !isNumbered || !names.contains("\(stem.dropLast(6)).weights.json")
  }

  public func recognises(_ probe: Probe) -> Bool { HDF5.recognises(head: probe.head) }

  /// A user block of any size may stand before an HDF5 file.
  public func recognisesBehindHead(_ probe: Probe) -> Bool {
    HDF5.recognisesUserBlock(probe.file, beyond: probe.head.count)
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    var checkpoint = KerasHDF5Reading(try HDF5.index(of: probe.file)).checkpoint()
    checkpoint.path = probe.path
    checkpoint.files = [probe.path]
    checkpoint.format = name
    return checkpoint
  }

  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    let plan: KerasHDF5Plan
    do throws(CheckpointError) {
      plan = try KerasHDF5Plan(checkpoint)
    } catch {
      throw error.at(.file(path))
    }
    try plan.write(to: output.file(path), options.compression)
    return path
  }
}

/// Names that Keras gives to groups and attributes.
enum KerasHDF5Names {
  static let layerNames = "layer_names"
  static let weightNames = "weight_names"
  static let modelWeights = "model_weights"
  /// Groups beside the layers that `layer_names` never lists.
  static let besideLayers: Set<String> = ["optimizer_weights", "top_level_model_weights"]
  /// The most bytes that Keras puts into one attribute (`HDF5_OBJECT_HEADER_LIMIT`).
  static let attributeLimit = 64512

  /// The texts of the list `name`: one attribute, or `name0`, `name1`, … where Keras split it.
  static func list(_ name: String, in attributes: [Attribute]) -> [String]? {
    if let whole = attributes.first(where: { $0.name == name }) { return whole.texts }
    var texts: [String]?
    var number = 0
    while let part = attributes.first(where: { $0.name == "\(name)\(number)" }) {
      texts = (texts ?? []) + part.texts
      number += 1
    }
    return texts
  }

  /// A list of texts as NumPy keeps an array of bytes; Keras stores an empty one as an array of floats.
  static func attribute(_ name: String, _ texts: [String]) -> Attribute {
    guard !texts.isEmpty else { return Attribute(name, .numbers(.f64, shape: [0], bytes: [])) }
    let size = texts.map(\.utf8.count).max() ?? 1
    return Attribute(
      name,
      .text(
        texts, shape: [texts.count],
        type: .init(size: max(size, 1), utf8: false, padding: .nullPadded)))
  }

  /// Whether `attribute` is the list `name` or a part of it.
  static func isPart(_ attribute: Attribute, of name: String) -> Bool {
    attribute.name.hasPrefix(name)
      && attribute.name.utf8.dropFirst(name.utf8.count).allSatisfy { (0x30...0x39).contains($0) }
  }

  /// The dataset that the weight `name` of the group at `path` is.
  static func weightPath(_ name: String, of path: String) -> String {
    // Nearly all names are plain: no empty component and none that starts with a dot.
    var isPlain = true
    var before = UInt8(ascii: "/")
    for byte in name.utf8 {
      if before == UInt8(ascii: "/") {
        isPlain = isPlain && byte != UInt8(ascii: "/") && byte != UInt8(ascii: ".")
      }
      before = byte
    }
    if isPlain, before != UInt8(ascii: "/") { return HDF5Index.join(path, name) }
    let names = name.split(separator: "/", omittingEmptySubsequences: true)
    let tail = names.filter { $0 != "." }.joined(separator: "/")
    return name.hasPrefix("/") ? tail : HDF5Index.join(path, tail)
  }
}
