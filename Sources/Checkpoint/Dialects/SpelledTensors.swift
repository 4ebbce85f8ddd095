/// The tensors of a spelling without layers, each with the row that tells what it is made of.
struct SpelledTensors {
  private(set) var tensors: [Tensor] = []
  private(set) var rows: [Spelling.Row] = []
  /// Names of tensors of no known meaning that go along.
  private(set) var carried: [String] = []

  var groups: [Group] { [Group(name: "", tensors: tensors)] }

  mutating func add(
    _ tensor: Tensor, holding canonical: [String] = [], from sources: [String],
    _ operation: String
  ) {
    tensors.append(tensor)
    rows.append(
      Spelling.Row(
        target: tensor.name, canonical: canonical, sources: sources, operation: operation,
        dtype: tensor.dtype, shape: tensor.shape))
  }

  mutating func add(_ written: FlatTable.Written) {
    add(
      written.tensor, holding: written.canonical, from: written.sources, written.operation)
  }

  /// Takes along what a model carries, under its names.
  mutating func carry(_ groups: [Group]) {
    for tensor in groups.flatMap(\.tensors) {
      add(tensor, from: [tensor.name], "carried")
      carried.append(tensor.name)
    }
  }
}
