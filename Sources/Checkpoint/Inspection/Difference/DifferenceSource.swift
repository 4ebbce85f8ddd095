/// One side of a pair as it is read: in parts, or as a whole that is made once.
final class DifferenceSource {
  private let tensor: Tensor
  private let whole: [UInt8]?
  private var checksum: ChecksumState?

  /// Bytes up to which what lies out of order is gathered as a whole.
  static let gathered = 16 << 20

  init(_ tensor: Tensor) throws(CheckpointError) {
    self.tensor = tensor
    let payload = tensor.payload
    if !payload.isWindowed || (payload.slice == nil && tensor.byteCount <= Self.gathered) {
      whole = try tensor.bytes()
    } else {
      whole = nil
      do throws(CheckpointError) {
        try tensor.checkLength()
      } catch {
        throw error.at(.tensor(tensor.name))
      }
      checksum = payload.checksum.map { ChecksumState($0.kind) }
    }
  }

  /// Shows the bytes of some elements, which begin with a block.
  func read(
    _ elements: Range<Int>, through window: Window,
    _ body: (RawSpan) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    let dtype = tensor.dtype
    let range = dtype.bytes(of: elements)
    if let whole {
      return try body(unsafe whole.span.bytes.extracting(range))
    }
    do throws(CheckpointError) {
      if let slice = tensor.payload.slice, checksum == nil {
        try slice.mapped(range, body)
      } else {
        try window.read(tensor.payload, at: range.lowerBound, count: range.count) {
          (bytes) throws(CheckpointError) in
          checksum?.update(bytes)
          try body(bytes)
        }
      }
    } catch {
      throw error.at(.tensor(tensor.name))
    }
  }

  /// Checks what the file states of the bytes, after all were read.
  func finish() throws(CheckpointError) {
    do throws(CheckpointError) {
      try checksum?.check(tensor.payload.checksum)
    } catch {
      throw error.at(.tensor(tensor.name))
    }
  }
}

extension DType {
  /// Whether elements are integers or truth values.
  var isInteger: Bool {
    switch self {
    case .i64, .i32, .i16, .i8, .u64, .u32, .u16, .u8, .bool: true
    default: false
    }
  }

  /// The canonical bytes of some elements, which begin with a block.
  func bytes(of elements: Range<Int>) -> Range<Int> {
    byteCount(of: elements.lowerBound)..<byteCount(of: elements.upperBound)
  }

  /// Bits of an element on average; of two types of one width the one with the longer fraction has more.
  var precision: Double {
    Double(block.bytes * 8) / Double(block.elements) - (self == .bf16 ? 0.5 : 0)
  }
}
