/// What an HDF5 file holds: paths without a leading slash, the root's being empty.
public struct HDF5Index: Sendable {
  /// Every group, a parent before its members.
  public var groups: [HDF5Group]
  /// Every dataset of numbers, in the order of the file.
  public var datasets: [HDF5Dataset]
  /// Objects, links and attributes (`path@name`) that ckpt cannot hold, with the reason.
  public var unreadable: [Unreadable]
}

/// A group: its path and attributes.
public struct HDF5Group: Sendable {
  public var path: String
  public var attributes: [Attribute]
}

/// A dataset: a tensor named by its path, and attributes.
public struct HDF5Dataset: Sendable {
  public var tensor: Tensor
  public var attributes: [Attribute]

  public var path: String { tensor.name }
}

extension HDF5Index {
  /// The path of the group that holds `path`; empty for an object of the root.
  static func parent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
    return String(path[..<slash])
  }

  /// `folder/name`, or `name` in the root.
  static func join(_ folder: String, _ name: String) -> String {
    folder.isEmpty ? name : folder + "/" + name
  }
}
