/// Groups and attributes as JSON, for formats that have no place for them.
struct Layout {
  /// What formats call the entry that holds the JSON.
  static let key = "ckpt.layout"

  var attributes: [Attribute]
  var groups: [Group]

  init(_ checkpoint: Checkpoint) {
    attributes = checkpoint.attributes
    groups = checkpoint.groups
  }

  /// `nil` unless the groups name every tensor exactly once.
  init?(json: JSON, tensors: [String: Tensor]) {
    guard let attributes = json["attributes"]?.array, let groups = json["groups"]?.array else {
      return nil
    }
    self.attributes = attributes.compactMap(Attribute.init(json:))
    self.groups = []
    var used: Set<String> = []
    for group in groups {
      guard let name = group["name"]?.string, let names = group["tensors"]?.array,
        let groupAttributes = group["attributes"]?.array
      else { return nil }
      var members: [Tensor] = []
      for name in names {
        guard let name = name.string, let tensor = tensors[name], used.insert(name).inserted
        else { return nil }
        members.append(tensor)
      }
      self.groups.append(
        Group(
          name: name, attributes: groupAttributes.compactMap(Attribute.init(json:)),
          tensors: members))
    }
    guard used.count == tensors.count else { return nil }
  }

  /// The names of all tensors that a layout lists.
  static func names(_ json: JSON) -> Set<String> {
    let groups = json["groups"]?.array ?? []
    return Set(groups.flatMap { ($0["tensors"]?.array ?? []).compactMap(\.string) })
  }

  /// Whether a checkpoint has more than one nameless group of tensors and no attributes.
  static func isNeeded(_ checkpoint: Checkpoint) -> Bool {
    checkpoint.groups.count != 1 || checkpoint.groups[0].name != ""
      || !checkpoint.groups[0].attributes.isEmpty || !checkpoint.attributes.isEmpty
  }

  var json: JSON {
    .object([
      .init("attributes", .array(attributes.map(\.json))),
      .init(
        "groups",
        .array(
          groups.map { group in
            .object([
              .init("name", .string(group.name)),
              .init("attributes", .array(group.attributes.map(\.json))),
              .init("tensors", .array(group.tensors.map { .string($0.name) })),
            ])
          })),
    ])
  }
}
