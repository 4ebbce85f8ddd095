import Checkpoint

/// Elements of a tensor as they are printed: exact, whatever their type.
enum Numbers {
  /// Of half, single or double precision, which decides how many digits tell one from its neighbours;
  /// smaller floats and blocks are numbers of single precision.
  case floats([Double], Precision)
  /// Real and imaginary parts.
  case complex([Double], [Double], Precision)
  case integers([Int64])
  case unsigned([UInt64])
  case bools([Bool])

  enum Precision {
    case half, single, double

    /// The shortest digits that are this number and no other of the precision, as Swift spells it.
    func shortest(_ value: Double) -> String {
      switch self {
      case .half: "\(Float16(value))"
      case .single: "\(Float(value))"
      case .double: "\(value)"
      }
    }

    /// The number next to `value`.
    func rounded(_ value: Double) -> Double {
      switch self {
      case .half: Double(Float16(value))
      case .single: Double(Float(value))
      case .double: value
      }
    }

    /// Decimal digits that every number of the precision has, as `numpy.finfo` says.
    var digits: Int {
      switch self {
      case .half: 3
      case .single: 6
      case .double: 15
      }
    }
  }

  /// - Parameter bytes: canonical bytes of elements of that type.
  init(_ bytes: [UInt8], as dtype: DType, count: Int) {
    func each(_ values: [Double], _ part: Int) -> [Double] {
      stride(from: part, to: values.count, by: 2).map { values[$0] }
    }
    switch dtype {
    case .i8: self = .integers(bytes.map { Int64(Int8(bitPattern: $0)) })
    case .u8: self = .unsigned(bytes.map { UInt64($0) })
    case .i16: self = .integers(Elements.load(bytes, Int16.self).map { Int64($0) })
    case .u16: self = .unsigned(Elements.load(bytes, UInt16.self).map { UInt64($0) })
    case .i32: self = .integers(Elements.load(bytes, Int32.self).map { Int64($0) })
    case .u32: self = .unsigned(Elements.load(bytes, UInt32.self).map { UInt64($0) })
    case .i64: self = .integers(Elements.load(bytes, Int64.self).map { Int64($0) })
    case .u64: self = .unsigned(Elements.load(bytes, UInt64.self))
    case .bool: self = .bools(bytes.map { $0 != 0 })
    case .c64, .c128:
      let parts: [Double] = Elements.decode(bytes, as: dtype)
      self = .complex(each(parts, 0), each(parts, 1), dtype == .c64 ? .single : .double)
    default:
      let values: [Double] = Elements.decode(bytes, as: dtype)
      // A packed type's last block may be begun only.
      self = .floats(
        Array(values.prefix(count)), dtype == .f64 ? .double : dtype == .f16 ? .half : .single)
    }
  }

  /// The elements on the grid of `shape` where each axis is cut to `edge` indices at both ends, as those of
  /// a summary are; all of them without `edge`.
  static func of(_ tensor: Tensor, edge: Int?) throws(CheckpointError) -> Numbers {
    guard let edge else {
      return Numbers(try tensor.bytes(), as: tensor.dtype, count: tensor.shape.count)
    }
    var tensor = tensor
    if !tensor.payload.isWindowed { tensor.payload = BytesPayload(try tensor.bytes()) }
    // The runs of each axis that are shown.
    let parts = tensor.shape.extents.map { extent in
      extent > 2 * edge ? [0..<edge, (extent - edge)..<extent] : [0..<extent]
    }
    var corners: [[Range<Int>]] = [[]]
    for axis in parts { corners = corners.flatMap { corner in axis.map { corner + [$0] } } }
    let shown = Shape(parts.map { $0.reduce(0) { $0 + $1.count } })
    var bytes: [UInt8] = []
    var dtype = tensor.dtype
    for corner in corners {
      let selection = Selection(
        source: tensor.shape,
        axes: corner.map { .init(start: $0.lowerBound, step: 1, count: $0.count) })
      let part = try tensor.selecting(selection, isSmall: true)
      dtype = part.dtype
      let size = dtype.size
      if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: shown.count * size) }
      // Where the corner stands among what is shown.
      let found = try part.bytes()
      let (from, to) = (selection.shape.strides, shown.strides)
      for element in 0..<selection.shape.count {
        var target = 0
        for axis in corner.indices {
          let index = element / from[axis] % max(1, corner[axis].count)
          let isEnd = corner[axis].lowerBound > 0
          target += (index + (isEnd ? edge : 0)) * to[axis]
        }
        for byte in 0..<size { bytes[target * size + byte] = found[element * size + byte] }
      }
    }
    return Numbers(bytes, as: dtype, count: shown.count)
  }

  /// JSON of the elements, in order; what JSON cannot write is `null`, a complex number is `[re, im]`.
  var json: [JSON] {
    switch self {
    case .floats(let values, let precision):
      values.map { $0.isFinite ? .literal(precision.shortest($0)) : .null }
    case .complex(let real, let imaginary, let precision):
      zip(real, imaginary).map { pair in
        .array([pair.0, pair.1].map { $0.isFinite ? .literal(precision.shortest($0)) : .null })
      }
    case .integers(let values): values.map { .literal("\($0)") }
    case .unsigned(let values): values.map { .literal("\($0)") }
    case .bools(let values): values.map { .bool($0) }
    }
  }
}
