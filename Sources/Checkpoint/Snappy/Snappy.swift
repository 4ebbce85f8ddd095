import CSnappy

/// Snappy's raw format, through libsnappy.
enum Snappy {
  /// Bytes that one byte of the raw format can stand for at most: a copy takes 3 bytes for 64.
  private static let largestRatio = 22

  /// The bytes that `compressed` stands for.
  ///
  /// - Throws: ``CheckpointError`` when the bytes are not Snappy's, or claim more than `limit` or
  ///   more than they can hold; memory is taken only after that is known.
  static func uncompress(
    _ compressed: [UInt8], limit: Int
  ) throws(CheckpointError) -> [UInt8] {
    var length = 0
    // The pointer is used inside the closure only, for as many bytes as the array has.
    let status = unsafe compressed.withUnsafeBytes { bytes in
      unsafe snappy_uncompressed_length(
        bytes.bindMemory(to: CChar.self).baseAddress, bytes.count, &length)
    }
    guard status == SNAPPY_OK else { throw damaged("does not begin with a length") }
    guard length <= compressed.count * largestRatio else {
      throw damaged("claims \(length) bytes in \(compressed.count)")
    }
    guard length <= limit else {
      throw CheckpointError(
        .unsupported, Place(), "a Snappy block of \(length) bytes; at most \(limit) are read")
    }
    var result = [UInt8](repeating: 0, count: length)
    // Both pointers are used inside the closures only; libsnappy is told both lengths.
    let done = unsafe result.withUnsafeMutableBytes { target in
      unsafe compressed.withUnsafeBytes { source in
        unsafe snappy_uncompress(
          source.bindMemory(to: CChar.self).baseAddress, source.count,
          target.bindMemory(to: CChar.self).baseAddress, &length)
      }
    }
    guard done == SNAPPY_OK, length == result.count else { throw damaged("cannot be uncompressed") }
    return result
  }

  private static func damaged(_ reason: String) -> CheckpointError {
    CheckpointError(.damaged, Place(), "a Snappy block \(reason)")
  }
}
