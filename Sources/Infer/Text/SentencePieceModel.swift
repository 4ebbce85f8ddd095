import Checkpoint

/// A sentencepiece model file (`spiece.model`): the protocol buffer `ModelProto`, as far as it matters here.
struct SentencePieceModel: Sendable {
  struct Entry: Sendable {
    var token = ""
    var score: Float = 0
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    var type = 1
  }

  private(set) var entries: [Entry] = []
  /// Compiled replacements of characters.
  private(set) var charsmap: [UInt8] = []
  private(set) var unknown: Int32 = 0
  /// 1 unigram, 2 BPE, 3 words, 4 characters.
  private(set) var type = 1
  let bytes: [UInt8]

  /// - Throws: ``CheckpointError`` when the bytes are no such message.
  init(contentsOf path: String) throws {
    bytes = try File.contents(of: path, limit: Vocabulary.largest)
    do throws(CheckpointError) {
      try read()
    } catch {
      throw CheckpointError(
        .damaged, .file(path), "is no sentencepiece model: \(error.reason)",
        hint: "give the spiece.model that the model was trained with: --vocab FILE")
    }
    guard !entries.isEmpty, entries.indices.contains(Int(unknown)) else {
      throw CheckpointError(.damaged, .file(path), "is no sentencepiece model: it has no pieces")
    }
  }

  private mutating func read() throws(CheckpointError) {
    var message = Protobuf(ByteReader(bytes))
    while let field = try message.next() {
      guard case .bytes(let offset, let count) = field.value else { continue }
      var part = try message.message(offset: offset, count: count)
      switch field.number {
      case 1:
        var entry = Entry()
        while let field = try part.next() {
          switch (field.number, field.value) {
          case (1, .bytes): entry.token = try part.text(of: field.value)
          case (2, .fixed32(let bits)): entry.score = Float(bitPattern: bits)
          case (3, .varint(let type)): entry.type = Int(truncatingIfNeeded: type)
          default: break
          }
        }
        entries.append(entry)
      case 2:
        while let field = try part.next() {
          switch (field.number, field.value) {
          case (3, .varint(let value)): type = Int(truncatingIfNeeded: value)
          case (40, .varint(let value)): unknown = Int32(truncatingIfNeeded: value)
          default: break
          }
        }
      case 3:
        while let field = try part.next() {
          if field.number == 2 { charsmap = try part.bytes(of: field.value) }
        }
      default: break
      }
    }
  }
}
