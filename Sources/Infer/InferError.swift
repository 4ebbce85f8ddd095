/// What went wrong when a graph was built, prepared or run: the place, the reason, the next step.
public struct InferError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// The graph contradicts itself or its weights: shapes, names, missing values.
    case graph
    /// The inputs do not fit the graph: names, shapes, ids out of range.
    case input
    /// The model holds something that the engine cannot run.
    case unsupported
  }

  public var kind: Kind
  /// The value, weight or input concerned.
  public var value: String
  public var reason: String
  public var hint: String?

  public init(_ kind: Kind, _ value: String, _ reason: String, hint: String? = nil) {
    self.kind = kind
    self.value = value
    self.reason = reason
    self.hint = hint
  }

  public var description: String {
    (value.isEmpty ? reason : "\(value): \(reason)") + (hint.map { "\n  \($0)" } ?? "")
  }

  public static func == (a: InferError, b: InferError) -> Bool {
    a.kind == b.kind && a.value == b.value
  }

  /// A value that should be an index along an axis of so many, and is none.
  static func index<Scalar: BinaryFloatingPoint>(
    _ value: Scalar, of extent: Int, at position: Int
  ) -> InferError {
    InferError(
      .input, "indices",
      "element \(position) is \(value); expected a whole number of \(-extent) to \(extent - 1)")
  }
}
