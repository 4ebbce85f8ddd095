import Checkpoint

/// One checkpoint of a page: what `info` tells of it, its drawing, and its tensors.
struct ReportSide {
  let info: InfoReport
  let tensors: ReportTensors

  init(_ opening: Opening, family: String?, quiet: Bool) throws {
    let understanding = try Understanding(opening, family: family)
    info = try InfoReport(opening, understanding, readingNumbers: true, quiet: quiet)
    tensors = ReportTensors(info)
  }

  /// The file's name, for a title.
  var name: String { Paths.name(of: info.checkpoint.path) }

  /// The name with its folder's.
  var longName: String {
    let folder = Paths.name(of: Paths.folder(of: info.checkpoint.path))
    return folder.isEmpty || folder == "." ? name : Paths.join(folder, name)
  }

  /// What `info --json` prints, and the drawing, the layers, and what the configuration's keys mean.
  ///
  /// - Parameter name: what it is called in titles.
  func json(name: String) -> JSON {
    var json = info.json.rounded(digits: 7)
    json.set("name", .string(name))
    json.set("files", .number(info.checkpoint.files.count))
    if let keras = info.keras { json.set("layers", .number(keras.layerCount)) }
    guard let model = info.model else { return json }
    json.set("layers", .number(model.architecture.appliedBlocks.count))
    json.set("token_rows", info.tokenRows.map { .number($0) } ?? .null)
    json.set(
      "meanings",
      .object(
        model.settings.compactMap { setting in
          ConfigurationKey.named(setting.key).map { .init(setting.key, .string($0.summary)) }
        }))
    json.set("diagram", ModelDiagram(model).json)
    return json
  }
}
