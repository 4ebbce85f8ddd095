extension Tensor {
  /// Ranges of the canonical bytes that together are all of them, which several threads may read at once:
  /// whole elements and blocks, of at most `size` bytes where they can be read apart.
  ///
  /// What carries a checksum is one part, since only the whole can be checked.
  public func parts(of size: Int = 2 << 20) -> [Range<Int>] {
    guard payload.slice != nil, payload.checksum == nil, byteCount > size else {
      return byteCount > 0 ? [0..<byteCount] : []
    }
    let step = max(1, size / dtype.size) * dtype.size
    return stride(from: 0, to: byteCount, by: step).map { $0..<min(byteCount, $0 + step) }
  }

  /// Passes a part's bytes to `body`, piece by piece, with the place of each piece's first byte.
  ///
  /// What lies in a file as it is, is shown where the system keeps it, without a copy; the rest goes
  /// through `window`. Pieces hold whole elements and blocks.
  public func read(
    _ part: Range<Int>, through window: Window,
    _ body: (_ offset: Int, _ bytes: RawSpan) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      try checkLength()
      if let slice = payload.slice, payload.checksum == nil {
        try slice.mapped(part) { (bytes) throws(CheckpointError) in try body(part.lowerBound, bytes)
        }
        return
      }
      var offset = part.lowerBound
      // Parts of what cannot be read in parts are the whole.
      try readWindows(through: window) { (bytes) throws(CheckpointError) in
        try body(offset, bytes)
        offset += bytes.byteCount
      }
    } catch {
      throw error.at(.tensor(name))
    }
  }
}
