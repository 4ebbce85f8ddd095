/// Which name means which operation.
///
/// Names are those of functions without their module (`tf.math.reduce_mean` → `reduce_mean`), of
/// `keras.ops` and of graph nodes in snake case (`LogSoftmax` → `log_softmax`).
enum OperationTable {
  typealias Rule = @Sendable (OperationReader) throws(CheckpointError) -> OperationReader.Reading

  static func rule(named name: String) -> Rule? { all[name] }

  /// Every name, for messages and documents.
  static var names: [String] { all.keys.sorted() }

  private static let all: [String: Rule] = {
    var all: [String: Rule] = [:]
    for (name, op) in unary { all[name] = function(op) }
    for name in KerasActivation.all.union(["swish", "hard_swish"]) where unary[name] == nil {
      all[name] = activation(name)
    }
    for (name, op) in binary { all[name] = ofTwo(.binary(op)) }
    for (name, kind) in reductions { all[name] = reduction(kind) }
    for part in [arithmetic, searching, arranging, products, making] { all.merge(part) { $1 } }
    return all
  }()

  // MARK: Element by element

  private static let unary: [String: String] = [
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "log2": "log2",
    "log10": "log10", "sqrt": "sqrt", "rsqrt": "rsqrt", "square": "square", "abs": "abs",
    "absolute": "abs", "sign": "sign", "negative": "negate", "neg": "negate",
    "reciprocal": "reciprocal", "inv": "reciprocal", "sin": "sin", "cos": "cos", "tan": "tan",
    "asin": "asin", "arcsin": "asin", "acos": "acos", "arccos": "acos", "atan": "atan",
    "arctan": "atan", "sinh": "sinh", "cosh": "cosh", "asinh": "asinh", "arcsinh": "asinh",
    "acosh": "acosh", "arccosh": "acosh", "atanh": "atanh", "arctanh": "atanh", "floor": "floor",
    "ceil": "ceil", "rint": "round", "trunc": "trunc", "erf": "erf",
    "logical_not": "logical_not", "is_finite": "is_finite", "isfinite": "is_finite",
    "is_nan": "is_nan", "isnan": "is_nan", "is_inf": "is_infinite", "isinf": "is_infinite",
  ]

  private static let binary: [String: String] = [
    "add": "add", "add_v2": "add", "bias_add": "add", "subtract": "subtract", "sub": "subtract",
    "multiply": "multiply", "mul": "multiply", "truediv": "divide", "real_div": "divide",
    "divide": "divide", "div": "divide", "true_divide": "divide", "floordiv": "floor_divide",
    "floor_div": "floor_divide", "floor_divide": "floor_divide", "floormod": "remainder",
    "floor_mod": "remainder", "mod": "remainder", "pow": "power", "power": "power",
    "maximum": "maximum", "minimum": "minimum", "squared_difference": "squared_difference",
    "atan2": "arctan2", "arctan2": "arctan2", "equal": "equal", "not_equal": "not_equal",
    "less": "less", "less_equal": "less_equal", "greater": "greater",
    "greater_equal": "greater_equal", "logical_and": "logical_and", "logical_or": "logical_or",
    "logical_xor": "logical_xor", "bitwise_and": "logical_and", "bitwise_or": "logical_or",
  ]

  private static func function(_ op: String) -> Rule {
    { reader throws(CheckpointError) in
      (.unary(op), [try reader.operand(0, "x", "input", "value", "a", "features", "values")])
    }
  }

  private static func ofTwo(_ operation: KerasOperation) -> Rule {
    { reader throws(CheckpointError) in (operation, try twoOperands(reader)) }
  }

  private static func activation(_ name: String) -> Rule {
    { reader throws(CheckpointError) in try activation(reader, name) }
  }

  private static func twoOperands(
    _ reader: OperationReader
  ) throws(CheckpointError) -> [KerasOperand] {
    // The first of a function stands without a name; `atan2(y, x)` calls its second one x.
    let first = try reader.operand(0)
    guard let other = reader.argument(1, "y", "x", "x2", "b", "bias", "other") else {
      throw reader.error("it has no second operand: the file does not keep it")
    }
    return [first, try reader.operand(other)]
  }

  private static func activation(
    _ reader: OperationReader, _ name: String
  ) throws(CheckpointError) -> OperationReader.Reading {
    var parameters: [String: Double] = [:]
    for key in [
      "alpha", "negative_slope", "axis", "threshold", "default_value", "b", "max_value", "lambd",
    ] {
      if let number = try reader.double(nil, key) { parameters[key] = number }
    }
    if reader.states("approximate") {
      parameters["approximate"] = try reader.bool(nil, "approximate") ? 1 : 0
    }
    let aliases = ["swish": "silu", "hard_swish": "hard_silu"]
    var known = aliases[name] ?? name
    if known == "hard_sigmoid", reader.version >= 3 { known = KerasActivation.hardSigmoid6 }
    if known == "gelu", reader.version >= 3, parameters["approximate"] == nil {
      parameters["approximate"] = 1
    }
    return (
      .activation(KerasActivation(name: known, parameters: parameters)),
      [try reader.operand(0, "x", "features", "logits", "input", "inputs")]
    )
  }

  private static let arithmetic: [String: Rule] = [
    "identity": same, "stop_gradient": same, "copy": same, "convert_to_tensor": same,
    "ensure_shape": same, "check_numerics": same,
    "add_n": { reader throws(CheckpointError) in (.sum, try reader.positional()) },
    "divide_no_nan": ofTwo(.divideNoNaN),
    "div_no_nan": ofTwo(.divideNoNaN),
    "logaddexp": ofTwo(.logAddExp),
    "hypot": ofTwo(.hypotenuse),
    "round": { reader throws(CheckpointError) in
      guard try reader.int(nil, "decimals", default: 0) == 0 else {
        throw reader.error("rounding to decimals is not supported")
      }
      return (.unary("round"), [try reader.operand(0, "x", "a")])
    },
    "where": select, "select": select, "select_v2": select,
    "clip_by_value": clip, "clip": clip,
    "cast": { reader throws(CheckpointError) in
      let x = try reader.operand(0, "x", "value")
      let type = try reader.text(1, "dtype", "DstT") ?? "float32"
      let kind: KerasOperation =
        type == "bool"
        ? .toBoolean : type.contains("int") || type == "long" ? .toInteger : .identity
      return (kind, [x])
    },
    "nan_to_num": { reader throws(CheckpointError) in
      let largest = Double(Float.greatestFiniteMagnitude)
      return (
        .replaceNaN(
          nan: try reader.double(nil, "nan") ?? 0, positive: try reader.double(nil, "posinf") ?? largest,
          negative: try reader.double(nil, "neginf") ?? -largest),
        [try reader.operand(0, "x")]
      )
    },
  ]

  private static let same: Rule = { reader throws(CheckpointError) in
    (.identity, [try reader.operand(0, "x", "input", "value", "variable", "tensor")])
  }

  private static let select: Rule = { reader throws(CheckpointError) in
    (
      .select,
      [
        try reader.operand(0, "condition"), try reader.operand(1, "x", "x1"),
        try reader.operand(2, "y", "x2"),
      ]
    )
  }

  private static let clip: Rule = { reader throws(CheckpointError) in
    let low = try reader.double(1, "clip_value_min", "x_min", "min_value") ?? -Double.infinity
    let high = try reader.double(2, "clip_value_max", "x_max", "max_value") ?? Double.infinity
    return (.clip(min: low, max: high), [try reader.operand(0, "t", "x")])
  }

  // MARK: Reductions

  private static let reductions: [String: String] = [
    "reduce_sum": "sum", "sum": "sum", "reduce_mean": "mean", "mean": "mean", "average": "mean",
    "reduce_max": "max", "max": "max", "amax": "max", "reduce_min": "min", "min": "min",
    "amin": "min", "reduce_prod": "product", "prod": "product", "reduce_any": "any", "any": "any",
    "reduce_all": "all", "all": "all", "reduce_std": "std", "std": "std",
    "reduce_variance": "variance", "var": "variance", "reduce_logsumexp": "log_sum_exp",
    "logsumexp": "log_sum_exp",
  ]

  private static func reduction(_ kind: String) -> Rule {
    { reader throws(CheckpointError) in
      (
        .reduce(kind, axes: try axes(reader), keepsDimensions: try keepsDimensions(reader)),
        [try reader.operand(0, "input_tensor", "x", "input", "a")]
      )
    }
  }

  private static func axes(_ reader: OperationReader) throws(CheckpointError) -> [Int]? {
    try reader.ints(1, "axis", "reduction_indices", "axes")
  }

  private static func keepsDimensions(_ reader: OperationReader) throws(CheckpointError) -> Bool {
    try reader.bool(nil, "keepdims", "keep_dims")
  }

  private static func argument(isMaximum: Bool) -> Rule {
    { reader throws(CheckpointError) in
      let axis = try reader.ints(1, "axis", "dimension")
      // NumPy's goes over all elements, TensorFlow's over the first axis.
      let fallback = reader.version >= 3 ? nil : 0
      return (
        .argument(
          isMaximum: isMaximum, axis: axis?.first ?? fallback,
          keepsDimensions: try keepsDimensions(reader)),
        [try reader.operand(0, "input", "x")]
      )
    }
  }

  private static func cumulative(isProduct: Bool) -> Rule {
    { reader throws(CheckpointError) in
      (
        .accumulate(
          isProduct: isProduct, axis: try reader.int(1, "axis", default: 0),
          isExclusive: try reader.bool(nil, "exclusive"), isReversed: try reader.bool(nil, "reverse")),
        [try reader.operand(0, "x")]
      )
    }
  }

  private static let searching: [String: Rule] = [
    "argmax": argument(isMaximum: true), "arg_max": argument(isMaximum: true),
    "argmin": argument(isMaximum: false), "arg_min": argument(isMaximum: false),
    "cumsum": cumulative(isProduct: false), "cumprod": cumulative(isProduct: true),
    "norm": { reader throws(CheckpointError) in
      let word = reader.argument(nil, "ord")?.constant
      var order = 2.0
      if let text = word?.string, text != "euclidean", text != "fro" {
        guard text == "inf" else { throw reader.error("the norm \(text) is not supported") }
        order = .infinity
      } else if word?.string == nil, let number = try reader.double(nil, "ord") {
        order = number
      }
      guard [1, 2, .infinity].contains(order) else {
        throw reader.error("the norm of order \(order) is not supported")
      }
      let axes = try reader.ints(nil, "axis")
      guard axes?.count != 2 || order == 2 && word == nil || word?.string == "fro"
        || word?.string == "euclidean"
      else { throw reader.error("norms of matrices other than Frobenius' are not supported") }
      return (
        .norm(order: order, axes: axes, keepsDimensions: try keepsDimensions(reader)),
        [try reader.operand(0, "tensor", "x")]
      )
    },
    "l2_normalize": { reader throws(CheckpointError) in
      (
        .normalize(
          order: 2, axes: try reader.ints(1, "axis", "dim"),
          epsilon: try (reader.double(nil, "epsilon") ?? 1e-12).squareRoot()),
        [try reader.operand(0, "x")]
      )
    },
    "normalize": { reader throws(CheckpointError) in
      let order = try reader.double(nil, "order") ?? 2
      guard [1, 2].contains(order) else {
        throw reader.error("normalizing by order \(order) is not supported")
      }
      return (
        .normalize(
          order: order, axes: try reader.ints(1, "axis") ?? [-1],
          epsilon: try reader.double(nil, "epsilon") ?? 1e-7), [try reader.operand(0, "x")]
      )
    },
    "count_nonzero": { reader throws(CheckpointError) in
      (
        .countNonzero(axes: try axes(reader), keepsDimensions: try keepsDimensions(reader)),
        [try reader.operand(0, "x", "input")]
      )
    },
    "median": { reader throws(CheckpointError) in
      guard let axes = try axes(reader), axes.count == 1 else {
        throw reader.error("a median over other than one axis is not supported")
      }
      return (
        .median(axis: axes[0], keepsDimensions: try keepsDimensions(reader)),
        [try reader.operand(0, "x")]
      )
    },
    "sort": { reader throws(CheckpointError) in
      (
        .sort(
          axis: try reader.int(1, "axis", default: -1),
          isDescending: try reader.text(nil, "direction") == "DESCENDING"),
        [try reader.operand(0, "values", "x")]
      )
    },
    "top_k": topK, "top_kv2": topK, "top_k_v2": topK,
  ]

  private static let topK: Rule = { reader throws(CheckpointError) in
    let count = try reader.int(1, "k", default: 1)
    guard count >= 1 else { throw reader.error("k is \(count)") }
    return (.top(count), [try reader.operand(0, "input", "x")])
  }

  // MARK: Arrangements

  private static let arranging: [String: Rule] = [
    "reshape": { reader throws(CheckpointError) in
      let x = try reader.operand(0, "tensor", "x")
      if let extents = try reader.extents(1, "shape", "newshape") {
        return (.reshape(extents), [x])
      }
      return (.reshapeToOperand(rank: nil), [x, try reader.operand(1, "shape", "newshape")])
    },
    "ravel": { reader throws(CheckpointError) in (.reshape([-1]), [try reader.operand(0, "x")]) },
    "transpose": { reader throws(CheckpointError) in
      (.transpose(try reader.ints(1, "perm", "axes")), [try reader.operand(0, "a", "x")])
    },
    "permute_dimensions": { reader throws(CheckpointError) in
      (.transpose(try reader.ints(1, "pattern")), [try reader.operand(0, "x")])
    },
    "matrix_transpose": { reader throws(CheckpointError) in
      (.swapAxes(-2, -1), [try reader.operand(0, "a", "x")])
    },
    "swapaxes": { reader throws(CheckpointError) in
      (
        .swapAxes(try reader.int(1, "axis1", default: 0), try reader.int(2, "axis2", default: 1)),
        [try reader.operand(0, "x")]
      )
    },
    "moveaxis": { reader throws(CheckpointError) in
      (
        .moveAxes(
          from: try reader.ints(1, "source") ?? [], to: try reader.ints(2, "destination") ?? []),
        [try reader.operand(0, "x")]
      )
    },
    "expand_dims": { reader throws(CheckpointError) in
      (
        .expand(try reader.ints(1, "axis", "dim") ?? [-1]), [try reader.operand(0, "input", "x")]
      )
    },
    "squeeze": { reader throws(CheckpointError) in
      let axes = try reader.ints(1, "axis", "squeeze_dims")
      return (.squeeze(axes == [] ? nil : axes), [try reader.operand(0, "input", "x")])
    },
    "concat": joined, "concatenate": joined,
    "concat_v2": { reader throws(CheckpointError) in
      let all = try reader.positional()
      guard case .numbers(let axis)? = all.last, axis.values.count == 1,
        let place = Int(exactly: axis.values[0])
      else { throw reader.error("its axis is no number that the file states") }
      return (.concatenate(axis: place), Array(all.dropLast()))
    },
    "hstack": { reader throws(CheckpointError) in
      (.concatenate(axis: 1), try reader.operands("xs", "x", "values"))
    },
    "vstack": { reader throws(CheckpointError) in
      (.concatenate(axis: 0), try reader.operands("xs", "x", "values"))
    },
    "stack": { reader throws(CheckpointError) in
      (.stack(axis: try reader.int(1, "axis", default: 0)), try reader.operands("values", "x", "arrays"))
    },
    "pack": { reader throws(CheckpointError) in
      (.stack(axis: try reader.int(nil, "axis", default: 0)), try reader.positional())
    },
    "split": { reader throws(CheckpointError) in
      // A graph node has the axis first.
      if reader.states("num_split") {
        let axis = try reader.int(0, default: 0)
        return (
          .split(parts: try reader.int(nil, "num_split", default: 1), axis: axis),
          [try reader.operand(1)]
        )
      }
      let axis = try reader.int(2, "axis", default: 0)
      let x = try reader.operand(0, "value", "x")
      guard
        let parts = try reader.ints(1, "num_or_size_splits", "indices_or_sections")
      else { throw reader.error("it does not say into how many parts") }
      let isList =
        reader.argument(1, "num_or_size_splits", "indices_or_sections")?.constant?.int == nil
      if !isList { return (.split(parts: parts[0], axis: axis), [x]) }
      return (
        reader.states("num_or_size_splits")
          ? .splitSizes(parts, axis: axis) : .splitAt(parts, axis: axis), [x]
      )
    },
    "split_v": { reader throws(CheckpointError) in
      (
        .splitSizes(try reader.ints(1, "size_splits") ?? [], axis: try reader.int(2, default: 0)),
        [try reader.operand(0)]
      )
    },
    "unstack": { reader throws(CheckpointError) in
      (.unstack(axis: try reader.int(nil, "axis", default: 0)), [try reader.operand(0, "value", "x")])
    },
    "unpack": { reader throws(CheckpointError) in
      (.unstack(axis: try reader.int(nil, "axis", default: 0)), [try reader.operand(0)])
    },
    "tile": { reader throws(CheckpointError) in
      let factors = try reader.ints(1, "multiples", "repeats", "reps") ?? []
      guard factors.allSatisfy({ $0 >= 0 }) else { throw reader.error("it repeats \(factors) times") }
      return (.tile(factors), [try reader.operand(0, "input", "x")])
    },
    "repeat": { reader throws(CheckpointError) in
      let counts = try reader.ints(1, "repeats") ?? []
      guard counts.count == 1, counts[0] >= 0 else {
        throw reader.error("repeating places differently often is not supported")
      }
      return (
        .repeated(counts[0], axis: try reader.ints(2, "axis")?.first),
        [try reader.operand(0, "input", "x")]
      )
    },
    "repeat_elements": { reader throws(CheckpointError) in
      (
        .repeated(try reader.int(1, "rep", default: 1), axis: try reader.int(2, "axis", default: 0)),
        [try reader.operand(0, "x")]
      )
    },
    "pad": pad, "pad_v2": pad, "mirror_pad": pad,
    "flip": flip, "reverse": flip, "reverse_v2": flip,
    "roll": { reader throws(CheckpointError) in
      let shifts = try reader.ints(1, "shift") ?? []
      let axes = try reader.ints(2, "axis") ?? []
      guard shifts.count == axes.count, !axes.isEmpty else {
        throw reader.error("rolling over all axes at once is not supported")
      }
      return (.roll(shifts, axes: axes), [try reader.operand(0, "input", "x")])
    },
    "broadcast_to": { reader throws(CheckpointError) in
      let extents = try reader.ints(1, "shape") ?? []
      guard extents.allSatisfy({ $0 >= 0 }) else { throw reader.error("its shape is \(extents)") }
      return (.broadcast(extents), [try reader.operand(0, "input", "x")])
    },
    "getitem": brackets, "get_item": brackets, "_slice_helper": brackets,
    "strided_slice": { reader throws(CheckpointError) in
      (.slice(try TensorFlowNode.slices(reader)), [try reader.operand(0, "input_", "input")])
    },
    "slice": { reader throws(CheckpointError) in
      let starts = try reader.ints(1, "begin", "start_indices") ?? []
      let sizes = try reader.ints(2, "size", "shape") ?? []
      guard starts.count == sizes.count, starts.allSatisfy({ $0 >= 0 }),
        sizes.allSatisfy({ $0 >= -1 })
      else { throw reader.error("its starts are \(starts) and its sizes \(sizes)") }
      return (.cut(starts: starts, sizes: sizes), [try reader.operand(0, "input_", "inputs")])
    },
    "band_part": { reader throws(CheckpointError) in
      let lower = try reader.int(1, "num_lower", default: -1)
      let upper = try reader.int(2, "num_upper", default: -1)
      return (
        .band(lower: lower < 0 ? nil : lower, upper: upper < 0 ? nil : upper),
        [try reader.operand(0, "input")]
      )
    },
    "tril": { reader throws(CheckpointError) in
      (.band(lower: nil, upper: try reader.int(nil, "k", default: 0)), [try reader.operand(0, "x")])
    },
    "triu": { reader throws(CheckpointError) in
      (.band(lower: -(try reader.int(nil, "k", default: 0)), upper: nil), [try reader.operand(0, "x")])
    },
    "resize": resize, "resize_images": resize, "resize_bilinear": resize,
    "resize_nearest_neighbor": resize,
  ]

  private static let joined: Rule = { reader throws(CheckpointError) in
    (
      .concatenate(axis: try reader.int(1, "axis", default: 0)), try reader.operands("values", "xs", "x")
    )
  }

  private static let pad: Rule = { reader throws(CheckpointError) in
    guard let pairs = try reader.pairs(1, "paddings", "pad_width"),
      pairs.joined().allSatisfy({ $0 >= 0 })
    else { throw reader.error("its paddings are no pairs of numbers from 0") }
    let mode = try reader.text(nil, "mode")?.lowercased() ?? "constant"
    guard ["constant", "reflect", "symmetric", "edge"].contains(mode) else {
      throw reader.error("the mode \(mode) is not supported")
    }
    return (
      .pad(pairs, mode: mode, value: try reader.double(2, "constant_values") ?? 0),
      [try reader.operand(0, "tensor", "x")]
    )
  }

  private static let flip: Rule = { reader throws(CheckpointError) in
    (.flip(try reader.ints(1, "axis", "axes")), [try reader.operand(0, "tensor", "x")])
  }

  private static let brackets: Rule = { reader throws(CheckpointError) in
    (.slice(try reader.slices(1, "slice_spec", "key")), [try reader.operand(0, "x", "tensor")])
  }

  private static let resize: Rule = { reader throws(CheckpointError) in
    guard let sizes = try reader.ints(1, "size"), sizes.count == 2, sizes.allSatisfy({ $0 >= 1 })
    else { throw reader.error("its size is no height and width") }
    for name in [
      "antialias", "align_corners", "preserve_aspect_ratio", "crop_to_aspect_ratio",
      "pad_to_aspect_ratio",
    ] {
      guard try !reader.bool(nil, name) else { throw reader.error("\(name) is not supported") }
    }
    guard try reader.text(nil, "data_format") != "channels_first" else {
      throw reader.error("images with channels first are not supported")
    }
    if reader.states("half_pixel_centers"), try !reader.bool(nil, "half_pixel_centers") {
      throw reader.error("images whose pixels stand at corners are not supported")
    }
    let ways = ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]
    let fallback = reader.name.contains("nearest") ? "nearest" : "bilinear"
    let way = try reader.text(2, "method", "interpolation") ?? fallback
    guard ways.contains(way) else { throw reader.error("the method \(way) is not supported") }
    return (.resize(sizes, method: way), [try reader.operand(0, "images", "x")])
  }

  // MARK: Products

  private static let matrixProduct: Rule = { reader throws(CheckpointError) in
    (
      .matrixProduct(
        transposesA: try reader.bool(nil, "transpose_a", "adjoint_a", "adj_x"),
        transposesB: try reader.bool(nil, "transpose_b", "adjoint_b", "adj_y")), try twoOperands(reader)
    )
  }

  private static let products: [String: Rule] = [
    "matmul": matrixProduct, "mat_mul": matrixProduct, "batch_mat_mul": matrixProduct,
    "batch_mat_mul_v2": matrixProduct, "batch_mat_mul_v3": matrixProduct,
    "dot": ofTwo(.dot),
    "outer": ofTwo(.outer),
    "tensordot": { reader throws(CheckpointError) in
      guard let stated = reader.argument(nil, "axes")?.constant else {
        return (.tensorProductOf(count: 2), try twoOperands(reader))
      }
      if let count = stated.int { return (.tensorProductOf(count: count), try twoOperands(reader)) }
      let sides = (KerasConfig.items(stated) ?? []).compactMap { KerasNumbers($0)?.values }
      guard sides.count == 2, sides.joined().allSatisfy({ abs($0) < 64 }) else {
        throw reader.error("its axes are \(stated.compact.prefix(80))")
      }
      return (
        .tensorProduct(a: sides[0].map { Int($0) }, b: sides[1].map { Int($0) }),
        try twoOperands(reader)
      )
    },
    "einsum": { reader throws(CheckpointError) in
      guard let equation = try reader.text(nil, "subscripts", "equation") ?? reader.arguments.first?
        .constant?.string
      else { throw reader.error("its equation is not there") }
      let isFirst = reader.arguments.first?.constant?.string != nil
      let operands = try OperationReader(
        name: reader.name, arguments: isFirst ? Array(reader.arguments.dropFirst()) : reader.arguments
      ).positional()
      guard !operands.isEmpty else {
        throw reader.error("its operands are missing: this version of Keras does not write them")
      }
      return (.einsum(try Einsum(equation)), operands)
    },
  ]

  // MARK: What makes tensors

  private static func like(_ value: Double) -> Rule {
    { reader throws(CheckpointError) in (.like(value), [try reader.operand(0, "input", "x", "tensor")]) }
  }

  private static func filled(_ value: Double) -> Rule {
    { reader throws(CheckpointError) in try full(reader, reader.ints(0, "shape", "dims") ?? [], value) }
  }

  private static func full(
    _ reader: OperationReader, _ shape: [Int], _ value: Double
  ) throws(CheckpointError) -> OperationReader.Reading {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow, product <= 1 << 24 else {
        throw reader.error("its shape is \(shape); at most 2²⁴ numbers are supported")
      }
      count = product
    }
    return (
      .constant(KerasNumbers(shape: shape, values: Array(repeating: value, count: count))), []
    )
  }

  private static let making: [String: Rule] = [
    "zeros_like": like(0), "ones_like": like(1), "zeros": filled(0), "ones": filled(1),
    "full_like": { reader throws(CheckpointError) in
      guard let value = try reader.double(1, "fill_value") else {
        throw reader.error("it fills with nothing")
      }
      return (.like(value), [try reader.operand(0, "x")])
    },
    "fill": { reader throws(CheckpointError) in
      try full(
        reader, reader.ints(0, "dims", "shape") ?? [], reader.double(1, "value", "fill_value") ?? 0)
    },
    "full": { reader throws(CheckpointError) in
      try full(reader, reader.ints(0, "shape") ?? [], reader.double(1, "fill_value") ?? 0)
    },
    "range": range, "arange": range,
    "one_hot": { reader throws(CheckpointError) in
      let depth = try reader.int(1, "depth", "num_classes", default: 0)
      guard depth >= 0 else { throw reader.error("its depth is \(depth)") }
      return (
        .oneHot(
          depth: depth, axis: try reader.int(nil, "axis", default: -1),
          on: try reader.double(2, "on_value") ?? 1, off: try reader.double(3, "off_value") ?? 0),
        [try reader.operand(0, "indices", "x")]
      )
    },
    "gather": { reader throws(CheckpointError) in
      guard try reader.int(nil, "batch_dims", default: 0) == 0 else {
        throw reader.error("batch_dims is not supported")
      }
      return (
        .take(axis: try reader.int(2, "axis", default: 0)),
        [try reader.operand(0, "params"), try reader.operand(1, "indices")]
      )
    },
    "gather_v2": { reader throws(CheckpointError) in
      (
        .take(axis: try reader.int(2, "axis", default: 0)),
        [try reader.operand(0), try reader.operand(1)]
      )
    },
    "take": { reader throws(CheckpointError) in
      (
        .take(axis: try reader.ints(nil, "axis")?.first),
        [try reader.operand(0, "x"), try reader.operand(1, "indices")]
      )
    },
    "embedding_lookup": { reader throws(CheckpointError) in
      (.take(axis: 0), [try reader.operand(0, "params"), try reader.operand(1, "ids")])
    },
    "shape": { reader throws(CheckpointError) in (.shape, [try reader.operand(0, "input", "x")]) },
    "size": { reader throws(CheckpointError) in (.size, [try reader.operand(0, "input", "x")]) },
  ]

  private static func range(
    _ reader: OperationReader
  ) throws(CheckpointError) -> OperationReader.Reading {
    var first = try reader.double(0, "start") ?? 0
    var limit = try reader.double(1, "limit", "stop")
    if limit == nil { (first, limit) = (0, first) }
    let step = try reader.double(2, "delta", "step") ?? 1
    guard let end = limit, step != 0, first.isFinite, end.isFinite, abs((end - first) / step) <= 16_777_216 else {
      throw reader.error("it makes no range of at most 2²⁴ numbers")
    }
    let count = max(0, Int(((end - first) / step).rounded(.up)))
    return (
      .constant(KerasNumbers(shape: [count], values: (0..<count).map { first + Double($0) * step })), []
    )
  }
}
