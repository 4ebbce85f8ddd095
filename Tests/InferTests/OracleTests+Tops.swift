extension OracleTests {
  /// bert4keras models with layers on top: whole-model files tell all, files of weights what is said.
  static let tops: [Case] =
    ["b4k-crf", "b4k-memm", "b4k-memm-low-rank", "b4k-efficient-global-pointer"].flatMap {
      fixture in
      ["model.h5", "weights.h5"].map { Case(fixture: fixture, file: $0) }
    } + [
      Case(fixture: "b4k-global-pointer", file: "model.h5"),
      top("b4k-global-pointer", "weights.h5", ["global_pointer": "sequence,heads=3"]),
      top(
        "b4k-global-pointer", "no-rope.h5", ["global_pointer_1": "sequence,heads=3,rope=false"],
        values: "no-rope.expected"),
      top("b4k-user-sequence", "weights.h5", ["dense": "sequence,softmax"]),
      top("b4k-user-pooler", "weights.h5", ["dense": "pooler,softmax"]),
      top("b4k-user-two", "weights.h5", ["dense": "first-token,relu", "dense_1": "softmax"]),
      top("b4k-bert-user", "weights.h5", ["dense_3": "first-token,softmax"]),
      top("b4k-bert-user", "tf/best_model.weights", ["dense_3": "first-token,softmax"]),
    ]

  private static func top(
    _ fixture: String, _ file: String, _ said: [String: String], values: String = "expected"
  ) -> Case {
    Case(
      fixture: fixture, file: file,
      settings: said.sorted { $0.key < $1.key }.map { (key: "head.\($0.key)", value: $0.value) },
      values: values)
  }
}
