import CSentencePiece
import Checkpoint
import Glibc

/// SentencePiece as bert4keras' `SpTokenizer` uses it: the sentencepiece library's own pieces, between the start and
/// end tokens that the vocabulary has.
public struct SentencePiece: Tokenizer {
  public let special: SpecialTokens
  private let library: Library
  private let table: TokenTable
  private let unknownID: Int32

  /// - Throws: ``CheckpointError`` when the file is no model, ``InferError`` when the library
  ///   refuses it.
  public init(contentsOf path: String) throws {
    let model = try SentencePieceModel(contentsOf: path)
    // The library trusts the table of replacements; a damaged one would lead it beyond its end.
    try Charsmap(model.charsmap, from: path).validate(path)
    library = try Library(model.bytes, path)
    var table = TokenTable()
    for (id, entry) in model.entries.enumerated() {
      table.insert(entry.token, id: Int32(clamping: id))
    }
    self.table = table
    unknownID = model.unknown
    let hasStart = table.id(of: "[CLS]") != nil
    special = SpecialTokens(
      unknown: unknownID, padding: table.id(of: "<pad>") ?? table.id(of: "[PAD]"),
      mask: table.id(of: "[MASK]"), start: table.id(of: "[CLS]"),
      end: hasStart ? table.id(of: "[SEP]") : table.id(of: "</s>"))
  }

  public var summary: String { "SentencePiece as bert4keras uses it" }
  public var idCount: Int { table.idCount }
  public func token(of id: Int32) -> String? { table.token(of: id) }
  public func id(of token: String) -> Int32? { table.id(of: token) }

  /// `[CLS] text [SEP]`, `pair [SEP]`; where the vocabulary has no `[CLS]` each text ends with `</s>`.
  public func template(isPair: Bool) -> EncodingTemplate {
    var parts: [EncodingTemplate.Part] = []
    if let start = special.start { parts.append(.special(start, segment: 0)) }
    for text in 0..<(isPair ? 2 : 1) {
      parts.append(.text(text, segment: Int32(text)))
      if let end = special.end { parts.append(.special(end, segment: Int32(text))) }
    }
    return EncodingTemplate(parts)
  }

  public func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    Bert4kerasTruncation.kept(first, second, room: room)
  }

  public func pieces(_ text: String) -> [Piece] {
    let bytes = Array(text.utf8)
    guard let message = library.encode(bytes),
      let found = try? SentencePiece.pieces(message)
    else { return [] }
    // Bytes to code points.
    var places = [Int](repeating: 0, count: bytes.count + 1)
    var count = 0
    for (index, byte) in bytes.enumerated() {
      if byte & 0xc0 != 0x80, index > 0 { count += 1 }
      places[index] = count
    }
    places[bytes.count] = bytes.isEmpty ? 0 : count + 1
    return found.map { piece in
      let start = places[min(piece.start, bytes.count)]
      let end = places[min(piece.end, bytes.count)]
      return Piece(id: piece.id, token: piece.token, range: start..<max(start, end))
    }
  }

  /// The pieces in a serialized `SentencePieceText`.
  private static func pieces(
    _ message: [UInt8]
  ) throws(CheckpointError) -> [(id: Int32, token: String, start: Int, end: Int)] {
    var pieces: [(id: Int32, token: String, start: Int, end: Int)] = []
    var text = Protobuf(ByteReader(message))
    while let field = try text.next() {
      guard field.number == 2 else { continue }
      var part = try text.message(of: field.value)
      var piece = (id: Int32(0), token: "", start: 0, end: 0)
      while let field = try part.next() {
        switch (field.number, field.value) {
        case (1, .bytes): piece.token = try part.text(of: field.value)
        case (2, .varint(let value)): piece.id = Int32(truncatingIfNeeded: value)
        case (4, .varint(let value)): piece.start = Int(truncatingIfNeeded: value)
        case (5, .varint(let value)): piece.end = Int(truncatingIfNeeded: value)
        default: break
        }
      }
      pieces.append(piece)
    }
    return pieces
  }

  /// bert4keras' `SpTokenizer.decode`; ids beyond the vocabulary are nothing.
  public func text(of ids: [Int32], skippingSpecial: Bool) -> String {
    library.decode(ids.compactMap { table.token(of: $0) })
  }
}

/// How bert4keras cuts a pair: the longer one loses a token, of equal ones the first.
enum Bert4kerasTruncation {
  static func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    let excess = first + second - room
    guard excess > 0 else { return (first, second) }
    let fromLonger = min(abs(first - second), excess)
    let rest = excess - fromLonger
    return first >= second
      ? (first - fromLonger - (rest + 1) / 2, second - rest / 2)
      : (first - (rest + 1) / 2, second - fromLonger - rest / 2)
  }
}

/// A model that the library has loaded.
///
/// Encoding and decoding change nothing in it, so that threads may share it.
private final class Library: @unchecked Sendable {
  private let model: OpaquePointer

  init(_ bytes: [UInt8], _ path: String) throws(InferError) {
    var model: OpaquePointer?
    let status = bytes.withUnsafeBytes {
      ckpt_sentencepiece_load($0.baseAddress, $0.count, &model)
    }
    guard status == CKPT_SENTENCEPIECE_OK, let model else {
      throw InferError(.input, path, "is refused by the sentencepiece library")
    }
    self.model = model
  }

  deinit { ckpt_sentencepiece_free(model) }

  func encode(_ text: [UInt8]) -> [UInt8]? {
    var result: UnsafeMutablePointer<CChar>?
    var count = 0
    let status = text.withUnsafeBytes { bytes in
      ckpt_sentencepiece_encode(
        model, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count, &result, &count)
    }
    defer { free(result) }
    guard status == CKPT_SENTENCEPIECE_OK, let result else { return nil }
    return Array(UnsafeRawBufferPointer(start: result, count: count))
  }

  func decode(_ pieces: [String]) -> String {
    var bytes: [CChar] = []
    var lengths: [Int] = []
    for piece in pieces {
      bytes += piece.utf8.map { CChar(bitPattern: $0) }
      lengths.append(piece.utf8.count)
    }
    var result: UnsafeMutablePointer<CChar>?
    var count = 0
    let status = ckpt_sentencepiece_decode(
      model, bytes, lengths, lengths.count, &result, &count)
    defer { free(result) }
    guard status == CKPT_SENTENCEPIECE_OK, let result else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: result, count: count), as: UTF8.self)
  }
}
