import Checkpoint

/// One HTML file that needs nothing else: the sources of `Report/Page` with the data in them.
enum ReportPage {
  /// Scripts in the order in which they run.
  private static let scripts = [
    PackageResources.tools_js, PackageResources.plots_js, PackageResources.overview_js,
    PackageResources.diagram_js, PackageResources.graph_js, PackageResources.layers_js,
    PackageResources.heads_js,
    PackageResources.change_js,
    PackageResources.table_js, PackageResources.page_js,
  ]

  /// The page's bytes.
  ///
  /// - Parameter data: what `tools.js` documents.
  static func html(title: String, data: JSON) -> [UInt8] {
    let style = PackageResources.page_css
    let script = Array(scripts.joined())
    let values: [String: [UInt8]] = [
      "title": Array(escaped(title).utf8), "style": style, "script": script,
      "policy": Array(policy(style: style, script: script).utf8),
      "data": embedded(data),
    ]
    // What is put in is not looked at again.
    var page: [UInt8] = []
    var template = PackageResources.page_html[...]
    while let start = template.firstRange(of: Array("{{".utf8)),
      let end = template[start.upperBound...].firstRange(of: Array("}}".utf8))
    {
      page += template[..<start.lowerBound]
      page +=
        values[String(decoding: template[start.upperBound..<end.lowerBound], as: UTF8.self)] ?? []
      template = template[end.upperBound...]
    }
    return page + template
  }

  /// Nothing is loaded from anywhere, and no script runs but the page's own.
  private static func policy(style: [UInt8], script: [UInt8]) -> String {
    "default-src 'none'; img-src data:; style-src '\(hash(style))'; script-src '\(hash(script))'; "
      + "base-uri 'none'; form-action 'none'"
  }

  private static func hash(_ bytes: [UInt8]) -> String {
    var digest = SHA256()
    digest.update(bytes)
    return "sha256-" + base64(digest.bytes())
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let chunk = bytes[start..<min(bytes.count, start + 3)]
      var bits = chunk.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      bits <<= 8 * UInt32(3 - chunk.count)
      for place in 0..<4 {
        text.append(place <= chunk.count ? digits[Int(bits >> (18 - 6 * UInt32(place)) & 63)] : "=")
      }
    }
    return text
  }

  /// JSON inside a script element: no `<` that could end it or open a comment.
  private static func embedded(_ data: JSON) -> [UInt8] {
    var bytes: [UInt8] = []
    for byte in data.compact.utf8 {
      if byte == UInt8(ascii: "<") { bytes += Array("\\u003c".utf8) } else { bytes.append(byte) }
    }
    return bytes
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}
