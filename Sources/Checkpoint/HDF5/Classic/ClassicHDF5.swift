import CHDF5Reader

/// Lists an HDF5 file of the classic layout, without libhdf5.
///
/// Keras has always written this layout: superblock 0 or 1, symbol-table groups, version 1 object
/// headers, contiguous or compact datasets, hard links. Such a file is a few structures of fixed
/// form, which are read here through pages, in memory that does not grow with the file.
///
/// It never fails: `nil` says that something is not exactly classic, is not consistent or exceeds a
/// bound, and then the child reads the file and gives the answer or the error (``HDF5Child``). So
/// it may be stricter than libhdf5, and must never accept what libhdf5 refuses or reads otherwise:
/// whatever libhdf5 looks at is looked at here too.
///
/// Source: HDF5 File Format Specification version 3.0; its sections are cited where they are used.
struct ClassicHDF5 {
  var pages: ClassicPages
  var collections: [Int: ClassicCollection] = [:]
  private var builder: HDF5IndexBuilder
  private let superblock: ClassicSuperblock
  /// Addresses of groups that were listed.
  private var visited: Set<Int> = []
  private var linkCount = 0

  private static let deepest = 100
  private static let longestPath = 1 << 16
  private static let mostLinks = 4_000_000

  /// What `image` holds, or `nil` where the child must be asked.
  static func index(of image: HDF5Image) -> HDF5Index? {
    do throws(NotClassic) {
      var reader = try ClassicHDF5(image)
      return try reader.index()
    } catch {
      return nil
    }
  }

  private init(_ image: HDF5Image) throws(NotClassic) {
    var pages = ClassicPages(image.slice)
    superblock = try ClassicSuperblock(&pages)
    self.pages = pages
    builder = HDF5IndexBuilder(image)
  }

  private mutating func index() throws(NotClassic) -> HDF5Index {
    let header = try header(at: superblock.rootHeader)
    try require(header.kind == .group)
    if let cached = superblock.rootTable { try require(cached == header.symbolTable) }
    try list(header, at: superblock.rootHeader, path: "", depth: 0)
    let index = builder.index()
    // What ckpt cannot hold has a reason, which is the child's to give.
    try require(index.unreadable.isEmpty)
    return index
  }

  // MARK: Objects

  private mutating func list(
    _ header: ClassicHeader, at address: Int, path: String, depth: Int
  ) throws(NotClassic) {
    try require(visited.insert(address).inserted && depth <= ClassicHDF5.deepest)
    builder.add(group: path)
    try addAttributes(of: header)
    guard let table = header.symbolTable else { throw NotClassic() }
    let links = try links(of: table, superblock)
    pages.prepare(links.lazy.map(\.address))
    for link in links {
      linkCount += 1
      try require(linkCount <= ClassicHDF5.mostLinks)
      let memberPath = HDF5Index.join(path, link.name)
      try require(memberPath.utf8.count <= ClassicHDF5.longestPath)
      let member = try self.header(at: link.address)
      switch member.kind {
      case .group: try list(member, at: link.address, path: memberPath, depth: depth + 1)
      case .dataset: try add(member, path: memberPath)
      }
      try require(builder.isComplete)
    }
  }

  private mutating func add(_ header: ClassicHeader, path: String) throws(NotClassic) {
    guard let dataset = header.dataset, case .element(let element) = dataset.type else {
      throw NotClassic()
    }
    builder.add(
      dataset: HDF5IndexBuilder.Stored(
        path: path, code: element.code, isBigEndian: element.isBigEndian,
        extents: dataset.extents, layout: dataset.layout,
        offset: dataset.address.map { $0 + pages.base } ?? 0,
        byteCount: dataset.layout == CKPT_HDF5_UNALLOCATED.rawValue ? 0 : dataset.byteCount,
        filters: ""))
    try addAttributes(of: header)
  }

  private mutating func addAttributes(of header: ClassicHeader) throws(NotClassic) {
    var names: Set<String> = []
    for message in header.attributes {
      let attribute = try attribute(message)
      try require(names.insert(attribute.name).inserted)
      builder.add(attribute)
    }
  }
}

/// The file is not exactly classic.
struct NotClassic: Error {}

/// Gives up unless `condition` holds.
@inline(__always)
func require(_ condition: Bool) throws(NotClassic) {
  if !condition { throw NotClassic() }
}
