import Checkpoint
import Infer
import Testing

/// What stands between layers: operations by their names, named functions for Lambda layers, branches that
/// Keras 1 merges first.
@Suite struct KerasOperationTests {
  static func layer(_ name: String, _ className: String, _ config: String, _ inbound: String)
    -> String
  {
    """
    {"class_name": "\(className)", "name": "\(name)", "config": {"name": "\(name)"\(config)}, \
    "inbound_nodes": \(inbound)}
    """
  }

  /// A model of the input `x` and one layer `f` on it.
  static func model(_ shape: String, _ className: String, _ config: String, _ inbound: String)
    -> String
  {
    let input = layer("x", "InputLayer", #", "batch_input_shape": [null, \#(shape)]"#, "[]")
    return """
      {"class_name": "Functional", "config": {"name": "m", "layers": [\(input), \
      \(layer("f", className, config, inbound))], "input_layers": [["x", 0, 0]], \
      "output_layers": [["f", 0, 0]]}}
      """
  }

  func run(
    _ text: String, _ inputs: [String: NDArray<Float>], lambdas: [String: String] = [:]
  ) throws -> NDArray<Float> {
    let json = try JSON(parsing: Array(text.utf8))
    let network = try KerasNetwork(json, context: KerasConfig.Context(lambdas: lambdas))
    let model = KerasModel(network: network, weights: [])
    let runnable = try RunnableKeras(model, inputs: inputs.mapValues(\.shape))
    if let obstacle = runnable.obstacle { throw obstacle }
    let name = try #require(runnable.outputNames.first)
    return try #require(try runnable.session(returning: [name], threads: 1).run(inputs)[name])
  }

  static let x = NDArray<Float>(shape: [1, 3, 2], values: [1, -2, 3, 4, -5, 6])

  /// By NumPy.
  @Test(
    arguments: [
      ("math.reduce_sum", #"{"axis": 1}"#, [1, 2], [-1, 8]),
      ("math.reduce_max", #"{"axis": -1, "keepdims": true}"#, [1, 3, 1], [1, 4, 6]),
      ("compat.v1.transpose", #"{"perm": [0, 2, 1]}"#, [1, 2, 3], [1, 3, -5, -2, 4, 6]),
      ("__operators__.add", #"{"y": [10, 20]}"#, [1, 3, 2], [11, 18, 13, 24, 5, 26]),
      ("math.floormod", #"{"y": 4}"#, [1, 3, 2], [1, 2, 3, 0, 3, 2]),
      ("reverse", #"{"axis": [1]}"#, [1, 3, 2], [-5, 6, 3, 4, 1, -2]),
      ("roll", #"{"shift": 1, "axis": 1}"#, [1, 3, 2], [-5, 6, 1, -2, 3, 4]),
      ("tile", #"{"multiples": [1, 1, 2]}"#, [1, 3, 4], [1, -2, 1, -2, 3, 4, 3, 4, -5, 6, -5, 6]),
      ("sort", #"{"axis": 1}"#, [1, 3, 2], [-5, -2, 1, 4, 3, 6]),
      ("math.cumsum", #"{"axis": 1, "reverse": true}"#, [1, 3, 2], [-1, 8, -2, 10, -5, 6]),
      ("reshape", #"{"shape": [-1, 2, 3]}"#, [1, 2, 3], [1, -2, 3, 4, -5, 6]),
      ("compat.v1.gather", #"{"indices": [2, 0], "axis": 1}"#, [1, 2, 2], [-5, 6, 1, -2]),
      ("linalg.matmul", #"{"b": [[1, 2], [3, 4]]}"#, [1, 3, 2], [-5, -6, 15, 22, 13, 14]),
      (
        "clip_by_value", #"{"clip_value_min": -2, "clip_value_max": 3}"#, [1, 3, 2],
        [1, -2, 3, 3, -2, 3]
      ),
    ] as [(String, String, [Int], [Float])])
  func `a function of TensorFlow`(
    _ function: String, _ keywords: String, _ shape: [Int], _ values: [Float]
  ) throws {
    let text = Self.model(
      "3, 2", "TFOpLambda", #", "function": "\#(function)""#, #"[["x", 0, 0, \#(keywords)]]"#)
    #expect(try run(text, ["x": Self.x]) == NDArray(shape: shape, values: values))
  }

  /// By NumPy: x[:, ::-2, None, -1], x[..., 1:], x[0:0].
  @Test(
    arguments: [
      (
        #"[{"start": null, "stop": null, "step": null}, {"start": null, "stop": null, "step": -2}, null, -1]"#,
        [1, 2, 1], [6, -2]
      ),
      (
        #"[{"class_name": "__ellipsis__"}, {"start": 1, "stop": null, "step": null}]"#, [1, 3, 1],
        [-2, 4, 6]
      ),
      (
        #"[{"start": null, "stop": null, "step": null}, {"start": 5, "stop": -9, "step": -1}, 0]"#,
        [1, 3], [-5, 3, 1]
      ),
    ] as [(String, [Int], [Float])])
  func `what stands in square brackets`(_ slices: String, _ shape: [Int], _ values: [Float]) throws
  {
    let text = Self.model(
      "3, 2", "SlicingOpLambda", #", "function": "__operators__.getitem""#,
      #"[["x", 0, 0, {"slice_spec": \#(slices)}]]"#)
    #expect(try run(text, ["x": Self.x]) == NDArray(shape: shape, values: values))
  }

  /// A node of a graph, x[:, 1:, 0] by masks: begin_mask and end_mask count bits from the first axis.
  @Test func `a node of a graph`() throws {
    let node = """
      , "node_def": {"name": "s", "op": "StridedSlice", "input": ["x", "b", "e", "s"], "attr": {\
      "begin_mask": {"i": "1"}, "end_mask": {"i": "3"}, "shrink_axis_mask": {"i": "4"}}}, \
      "constants": {"1": [0, 1, 0], "2": [0, 0, 1], "3": [1, 1, 1]}
      """
    let text = Self.model("3, 2", "TensorFlowOpLayer", node, #"[["x", 0, 0, {}]]"#)
    #expect(try run(text, ["x": Self.x]) == NDArray(shape: [1, 2], values: [3, -5]))
  }

  @Test(
    arguments: [
      ("first-token", [1, 2], [1, -2]), ("last-token", [1, 2], [-5, 6]),
      ("mean=2", [1, 3], [-0.5, 3.5, 0.5]),
      ("one-minus", [1, 3, 2], [0, 3, -2, -3, 6, -5]),
      ("scale=-2", [1, 3, 2], [-2, 4, -6, -8, 10, -12]),
      ("argmax", [1, 3], [0, 1, 1]), ("causal-mask", [3, 3], [1, 0, 0, 1, 1, 0, 1, 1, 1]),
    ] as [(String, [Int], [Float])])
  func `a named function for a Lambda`(_ name: String, _ shape: [Int], _ values: [Float]) throws {
    let text = Self.model(
      "3, 2", "Lambda", #", "function": ["cGFzcw==", null, null]"#, #"[[["x", 0, 0, {}]]]"#)
    #expect(
      try run(text, ["x": Self.x], lambdas: ["f": name]) == NDArray(shape: shape, values: values))
  }

  @Test func `a Lambda is not executed, and says how it can be told`() throws {
    let text = Self.model(
      "3, 2", "Lambda", #", "function": ["cGFzcw==", null, null], "output_shape": [7]"#,
      #"[[["x", 0, 0, {}]]]"#)
    func error(_ lambdas: [String: String]) throws -> CheckpointError {
      try #require(
        #expect(throws: CheckpointError.self) {
          try run(text, ["x": Self.x], lambdas: lambdas)
        })
    }
    let found = try error([:])
    #expect(
      found.reason
        == "holds Python code, which ckpt does not execute; its result has the shape [7] after the batch"
    )
    #expect(
      found.hint?.hasPrefix(
        "say what it computes by --lambda f=FUNCTION; functions: identity, first-token") == true)
    #expect(try error(["f": "eval"]).kind == .usage)
    #expect(try error(["f": "scale"]).kind == .usage)
    #expect(try error(["f": "abs=2"]).kind == .usage)
    #expect(try error(["f": "mean=0.5"]).kind == .usage)
    #expect(
      try error(["f": "l1-distance"]).reason
        == "computes l1-distance, which takes 2 tensors; it is given 1")
  }

  @Test(
    arguments: [
      (
        "TFOpLambda", #", "function": "strings.split""#, "{}",
        "is the operation tf.strings.split, which ckpt does not know"
      ),
      (
        "TFOpLambda", #", "function": "einsum""#, "{}",
        "operation tf.einsum: its equation is not there"
      ),
      (
        "TFOpLambda", #", "function": "math.add""#, "{}",
        "operation tf.math.add: it has no second operand: the file does not keep it"
      ),
      (
        "TFOpLambda", #", "function": "math.add""#, #"{"y": "a"}"#,
        #"operation tf.math.add: "a" is no array of numbers"#
      ),
      (
        "TFOpLambda", #", "function": "reshape""#, #"{"shape": [5, 5]}"#,
        "makes [5, 5] of 6 elements, which do not fill it"
      ),
      (
        "TFOpLambda", #", "function": "reshape""#, #"{"shape": [0, -1]}"#,
        "makes [0, -1] of 6 elements, which do not fill it"
      ),
      (
        "TFOpLambda", #", "function": "split""#, #"{"num_or_size_splits": 0, "axis": 1}"#,
        "splits axis 1 of (1, 3, 2) into 0"
      ),
      (
        "TFOpLambda", #", "function": "ones""#, "{}",
        "operation tf.ones: shape is a tensor, not a number that the file states"
      ),
      ("TFOpLambda", #", "function": "math.top_k""#, #"{"k": 9}"#, "takes 9 of 2 elements"),
      (
        "TFOpLambda", #", "function": "math.reduce_sum""#, #"{"axis": [1, 1]}"#,
        "works on axes [1, 1]; what it is given has 3 axes"
      ),
      (
        "TFOpLambda", #", "function": "repeat""#, #"{"repeats": 99999999999, "axis": 1}"#,
        "operation tf.repeat: repeats is 99999999999.0; expected a whole number below 2³¹"
      ),
      (
        "SlicingOpLambda", #", "function": "__operators__.getitem""#, #"{"slice_spec": [0, 7]}"#,
        "takes place 7 of axis 1 of (1, 3, 2)"
      ),
      (
        "SlicingOpLambda", #", "function": "__operators__.getitem""#,
        #"{"slice_spec": {"start": 0, "stop": 1, "step": 0}}"#,
        "operation tf.__operators__.getitem: the step of a range is 0"
      ),
      (
        "SlicingOpLambda", #", "function": "__operators__.getitem""#,
        #"{"slice_spec": [0, 0, 0, 0]}"#, "takes 4 places of a tensor with 3 axes"
      ),
      (
        "TensorFlowOpLayer", #", "node_def": "garbage""#, "{}",
        "its node_def is no node as JSON, the form of TensorFlow 2.2 and 2.3"
      ),
      (
        "Reshape", #", "target_shape": [4, -1]"#, "{}",
        "makes [4, -1] of 6 elements, which do not fill it"
      ),
      (
        "Permute", #", "dims": [1, 3]"#, "{}",
        "dims is [1, 3]; expected the axes from 1 in another order"
      ),
      ("Cropping1D", #", "cropping": [2, 1]"#, "{}", "leaves nothing of (1, 3, 2)"),
      ("UpSampling2D", "", "{}", "takes tensors of 4 axes; it is given (1, 3, 2)"),
      ("Softmax", #", "axis": [5]"#, "{}", "works on axes [5]; what it is given has 3 axes"),
      ("Subtract", "", "{}", "takes two tensors; it is given 1"),
      ("Dot", #", "axes": 1"#, "{}", "takes two tensors of two axes at least; it is given 1"),
      (
        "Discretization", #", "bin_boundaries": [2, 1]"#, "{}",
        "bin_boundaries are no ascending list"
      ),
      (
        "EinsumDense", #", "equation": "abb,bc->ac", "output_shape": 2"#, "{}",
        #"has the equation "abb,bc->ac", which takes a diagonal"#
      ),
    ] as [(String, String, String, String)])
  func `what does not fit is said`(
    _ className: String, _ config: String, _ keywords: String, _ reason: String
  ) throws {
    let text = Self.model("3, 2", className, config, #"[["x", 0, 0, \#(keywords)]]"#)
    do {
      _ = try run(text, ["x": Self.x])
      Issue.record("it ran")
    } catch let error as CheckpointError {
      #expect(error.reason.hasPrefix(reason), "\(error.reason)")
    }
  }

  /// Keras 1: Sequential([Merge([Sequential([…]), Sequential([…])], mode="concat"), …]).
  @Test(
    arguments: [
      ("sum", [6, 0, 4]), ("mul", [5, -4, 3]), ("ave", [3, 0, 2]), ("max", [5, 2, 3]),
      ("concat", [1, -2, 3, 5, 2, 1]), ("dot", [4]),
    ] as [(String, [Float])])
  func `branches that Keras 1 merges first`(_ mode: String, _ values: [Float]) throws {
    func branch(_ name: String) -> String {
      """
      {"class_name": "Sequential", "config": [{"class_name": "Activation", "config": {"name": "\(name)", \
      "activation": "linear", "batch_input_shape": [null, 3]}}]}
      """
    }
    let text = """
      {"class_name": "Sequential", "config": [{"class_name": "Merge", "config": {"name": "merge_1", \
      "mode": "\(mode)", "concat_axis": -1, "dot_axes": -1, "layers": [\(branch("a")), \(branch("b"))]}}, \
      {"class_name": "Activation", "config": {"name": "out", "activation": "linear"}}]}
      """
    let network = try KerasNetwork(JSON(parsing: Array(text.utf8)))
    #expect(network.inputs.map(\.layer) == ["a_input", "b_input"])
    #expect(network.document == network.json)
    let result = try run(
      text,
      [
        "a_input": NDArray(shape: [1, 3], values: [1, -2, 3]),
        "b_input": NDArray(shape: [1, 3], values: [5, 2, 1]),
      ])
    #expect(result == NDArray(shape: [1, values.count], values: values))
  }
}
