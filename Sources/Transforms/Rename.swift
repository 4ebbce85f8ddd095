public import Checkpoint

/// Gives tensors other names: `rename=OLD=>NEW`, where each `*` of NEW stands for what the `*` at the
/// same place in OLD matched.
///
/// Names only: nothing else changes, and the inverse is `rename=NEW=>OLD`. Where the new name leaves
/// its group (a Keras layer), the tensor goes to a nameless group at the end.
public struct Rename: CheckpointTransform {
  public init() {}

  public var name: String { "rename" }
  public var summary: String { "tensors get other names, by a pattern with *" }
  public var contract: Correspondence.Contract { .exact }
  public var inverse: String { "rename=NEW=>OLD" }
  public var value: TransformValue { .text("'OLD=>NEW'") }

  public func apply(
    to checkpoint: Checkpoint, _ arguments: TransformArguments
  ) throws(CheckpointError) -> CheckpointChange {
    let text = arguments.value ?? ""
    let place = Place(member: "--apply rename=\(text)")
    guard let arrow = text.firstRange(of: "=>") else {
      throw CheckpointError(.usage, place, "expected OLD=>NEW")
    }
    let (old, new) = (String(text[..<arrow.lowerBound]), String(text[arrow.upperBound...]))
    guard !old.isEmpty, !new.isEmpty, Rename.stars(old) == Rename.stars(new) else {
      throw CheckpointError(.usage, place, "OLD and NEW need a text, and as many * each")
    }
    var result = checkpoint
    var moved: [Tensor] = []
    var names: [String: String] = [:]
    for index in result.groups.indices {
      var kept: [Tensor] = []
      for tensor in result.groups[index].tensors {
        guard let parts = Rename.match(tensor.name, old) else {
          kept.append(tensor)
          continue
        }
        let renamed = tensor.renamed(Rename.fill(new, parts))
        names[renamed.name] = tensor.name
        let group = result.groups[index].name
        let stays = group.isEmpty || !tensor.name.hasPrefix(group + "/")
        if stays || renamed.name.hasPrefix(group + "/") {
          kept.append(renamed)
        } else {
          moved.append(renamed)
        }
      }
      result.groups[index].tensors = kept
    }
    guard !names.isEmpty else { throw CheckpointError(.usage, place, "matches no tensor") }
    if !moved.isEmpty { result.groups.append(Group(name: "", tensors: moved)) }
    var taken: Set<String> = []
    for tensor in result.tensors where !taken.insert(tensor.name).inserted {
      throw CheckpointError(.usage, place, "would give the name \(tensor.name) to two tensors")
    }
    return CheckpointChange(result, renamed: names)
  }

  private static func stars(_ text: String) -> Int { text.count { $0 == "*" } }

  /// What each `*` of `pattern` stands for in `name`, the shortest first, or `nil`.
  static func match(_ name: String, _ pattern: String) -> [String]? {
    let pieces = pattern.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
    guard name.hasPrefix(pieces[0]) else { return nil }
    var rest = name.dropFirst(pieces[0].count)
    var parts: [String] = []
    for (index, piece) in pieces.enumerated().dropFirst() {
      if index == pieces.count - 1 {
        guard rest.hasSuffix(piece) else { return nil }
        parts.append(String(rest.dropLast(piece.count)))
        return parts
      }
      guard let range = rest.firstRange(of: piece) else { return nil }
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return rest.isEmpty ? parts : nil
  }

  static func fill(_ pattern: String, _ parts: [String]) -> String {
    let pieces = pattern.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
    return zip(pieces, parts + [""]).map { $0 + $1 }.joined()
  }
}
