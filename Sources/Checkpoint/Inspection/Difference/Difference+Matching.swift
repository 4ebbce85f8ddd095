extension CheckpointDifference {
  /// How to compare.
  public struct Options: Sendable {
    /// `nil`: by meaning where both models are understood, otherwise by name.
    public var matching: Matching?
    /// Whether tensors that are left without partner are looked for by shape and content.
    public var guess = false
    public var tolerance = Tolerance.exact
    /// Only tensors one of whose names matches; all where there are none.
    public var only: [Glob] = []
    public var threads: Int?

    public init() {}
  }

  /// Compares two checkpoints.
  ///
  /// - Parameter progress: called from any thread with the bytes that were read since it was last called.
  /// - Throws: ``CheckpointError`` when a tensor cannot be read, or when they are to be matched by meaning and
  ///   one is not understood.
  public init(
    _ first: Opening, _ second: Opening, options: Options = Options(),
    progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) {
    var notes: [String] = []
    var match = Match()
    var models: (Meaning, Meaning)?
    if options.matching != .name {
      models = try CheckpointDifference.understood(
        first, second, isForced: options.matching == .meaning, notes: &notes)
    }
    switch models {
    case (.family(let a), .family(let b))?:
      matching = .meaning
      match = Match(a, first.checkpoint, b, second.checkpoint)
      settings = try CheckpointDifference.settings(a, b)
    case (.keras(let a), .keras(let b))?:
      matching = .meaning
      match = Match(a, first.checkpoint, b, second.checkpoint, notes: &notes)
      settings = []
    default:
      matching = .name
      match = Match(first.checkpoint, second.checkpoint)
      settings = []
    }
    try match.keep(options.only)
    self.first = Side(first.checkpoint, models?.0)
    self.second = Side(second.checkpoint, models?.1)
    for side in [first.checkpoint, second.checkpoint] {
      for entry in side.unreadable {
        notes.append("\(entry.name) of \(side.path) is left out: \(entry.reason)")
      }
    }
    tolerance = options.tolerance

    var pairs = try match.measured(options, progress)
    let leftover = (
      first: match.onlyInFirst.filter { options.guess || $0.isCarried },
      second: match.onlyInSecond.filter { options.guess || $0.isCarried }
    )
    var guess = DifferenceGuess()
    if !leftover.first.isEmpty || !leftover.second.isEmpty {
      guess = try DifferenceGuess(
        leftover.first, leftover.second, matched: match.pairs, options: options,
        progress: progress)
      pairs += guess.pairs
    }
    func rest(_ members: [Member], _ found: Set<String>, _ copies: [String: String]) -> [Entry] {
      members.filter { !found.contains($0.entry.name) }.map { member in
        var entry = member.entry
        entry.copyOf = copies[entry.name]
        if TrainingState.includes(entry.name) { entry.reason = entry.reason ?? "optimizer state" }
        return entry
      }
    }
    onlyInFirst = rest(match.onlyInFirst, guess.firstNames, guess.firstCopies)
    onlyInSecond = rest(match.onlyInSecond, guess.secondNames, guess.secondCopies)
    redundantInFirst = match.redundantInFirst
    redundantInSecond = match.redundantInSecond
    // Guessed pairs stand where the first checkpoint has them.
    let order = Dictionary(
      first.checkpoint.tensors.enumerated().map { ($1.name, $0) }
    ) { first, _ in first }
    if !guess.pairs.isEmpty, matching == .name {
      pairs = pairs.enumerated().sorted {
        (order[$0.element.first.name] ?? 0, $0.offset) < (
          order[$1.element.first.name] ?? 0, $1.offset
        )
      }.map(\.element)
    }
    self.pairs = pairs
    for pair in pairs where pair.state == .changed {
      for (entry, side) in [(pair.first, first), (pair.second, second)]
      where entry.reason == Member.computed {
        notes.append(
          "\(pair.name) of \(side.checkpoint.path) is computed, not stored, and may be rounded "
            + "otherwise: --atol says how much may be")
      }
    }
    self.notes = notes
    if !options.guess, matching == .name,
      onlyInFirst.contains(where: { $0.reason == nil }),
      onlyInSecond.contains(where: { $0.reason == nil })
    {
      self.notes.append("--guess looks for the partners of what is left by shape and content")
    }
    parts = Part.all(pairs)
    evidence = Evidence(pairs)
    (verdict, isEqual) = (.different, false)
    (verdict, isEqual) = judged()
  }

  /// Both models, or `nil` where one is not understood.
  private static func understood(
    _ first: Opening, _ second: Opening, isForced: Bool, notes: inout [String]
  ) throws(CheckpointError) -> (Meaning, Meaning)? {
    var models: [Meaning] = []
    var unknown: [String] = []
    for opening in [first, second] {
      do throws(CheckpointError) {
        models.append(try opening.meaning())
      } catch {
        guard !isForced, error.kind != .usage else { throw error }
        if error.kind == .notRecognised {
          unknown.append(opening.checkpoint.path)
        } else {
          notes.append("matched by name, because \(error.description)")
        }
      }
    }
    if !unknown.isEmpty {
      let paths = unknown.count == 2 && unknown[0] == unknown[1] ? [unknown[0]] : unknown
      notes.append(
        "matched by name: what the tensors of \(paths.joined(separator: " and of ")) mean is not known"
      )
    }
    guard models.count == 2 else { return nil }
    switch (models[0], models[1]) {
    case (.family, .family), (.keras, .keras): return (models[0], models[1])
    // The one of a known family may describe its graph too.
    case (.keras(let a), .family):
      if second.hasKerasGraph { return (.keras(a), .keras(try second.keras())) }
    case (.family, .keras(let b)):
      if first.hasKerasGraph { return (.keras(try first.keras()), .keras(b)) }
    }
    let reason = "one is a model of a known family, the other a graph of layers"
    guard !isForced else { throw CheckpointError(.unsupported, Place(), reason) }
    notes.append("matched by name, because \(reason)")
    return nil
  }

  /// What the two say differently of themselves.
  private static func settings(_ a: Model, _ b: Model) throws(CheckpointError) -> [Setting] {
    let origins = [a, b].map { model in
      Dictionary(model.settings.map { ($0.key, $0.origin) }) { _, last in last }
    }
    func isStated(_ key: String) -> Bool {
      // Heads and depth are told by the weights.
      key == "heads" || key == "applied layers"
        || origins.allSatisfy { ($0[key] ?? .assumed) != .assumed }
    }
    return try Disagreement.between(
      a.architecture, b.architecture, dialects: (a.dialect, b.dialect)
    ).map {
      Setting(
        key: $0.subject, first: $0.source, second: $0.result, isAssumed: !isStated($0.subject))
    }
  }
}

extension CheckpointDifference.Side {
  init(_ checkpoint: Checkpoint, _ meaning: Meaning?) {
    path = checkpoint.path
    format = checkpoint.format
    switch meaning {
    case .family(let model)?: (dialect, family) = (model.dialect, model.architecture.family)
    case .keras?: (dialect, family) = (KerasModel.dialect, nil)
    case nil: (dialect, family) = (nil, nil)
    }
    tensors = checkpoint.tensors.count
    parameters = checkpoint.elementCount
    bytes = checkpoint.byteCount
    var sizes: [DType: Int] = [:]
    for tensor in checkpoint.tensors { sizes[tensor.dtype, default: 0] += tensor.byteCount }
    dtypes = sizes.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }.map(\.key)
  }
}

/// A tensor that looks for its partner.
struct Member: Sendable {
  var entry: CheckpointDifference.Entry
  /// As it is compared: in canonical layout where the meaning is known.
  var tensor: Tensor
  /// As it is stored, where it is stored alone and in blocks that run along the other axis.
  var turnedBlocks: Tensor?
  var aliases: [String] = []
  /// Whether it is one of no known meaning in a model that is understood otherwise.
  var isCarried = false

  /// A stored tensor as it is.
  init(_ tensor: Tensor, reason: String? = nil, isCarried: Bool = false) {
    entry = .init(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, reason: reason)
    self.tensor = tensor
    aliases = tensor.aliases
    self.isCarried = isCarried
  }

  /// Why a weight has no stored tensor.
  static let computed = "computed, not stored"

  func matches(_ globs: [Glob]) -> Bool {
    let names = [entry.name] + aliases + [entry.canonical].compactMap(\.self)
    return globs.contains { glob in names.contains(where: glob.matches) }
  }
}

/// Two members that belong together.
struct MemberPair: Sendable {
  var first: Member
  var second: Member
  var ground: CheckpointDifference.Ground
}

/// Which tensors of two checkpoints belong together.
struct Match: Sendable {
  var pairs: [MemberPair] = []
  var onlyInFirst: [Member] = []
  var onlyInSecond: [Member] = []
  var redundantInFirst: [CheckpointDifference.Entry] = []
  var redundantInSecond: [CheckpointDifference.Entry] = []

  init() {}

  /// By stored names, then by aliases.
  init(_ first: Checkpoint, _ second: Checkpoint) {
    match(
      first.tensors.map { Member($0) }, second.tensors.map { Member($0) }, ground: .name,
      key: \.entry.name)
  }

  /// By what the weights are for; tensors of no known meaning by their names.
  init(_ a: Model, _ first: Checkpoint, _ b: Model, _ second: Checkpoint) {
    // Where one shares layers and the other does not, weights are compared wherever they are used.
    let isShared = [a, b].map { $0.architecture.configuration.groups != nil }
    let byUse =
      isShared[0] != isShared[1]
      || (isShared[0] && a.architecture.configuration.blocks != b.architecture.configuration.blocks)
    match(
      Match.weights(a, first, byUse: byUse), Match.weights(b, second, byUse: byUse),
      ground: .meaning, key: { Match.place($0.entry.canonical ?? "") })
    func others(_ model: Model) -> [Member] {
      model.carried.flatMap(\.tensors).map { Member($0, isCarried: true) }
        + model.left.map { Member($0.tensor, reason: $0.reason) }
    }
    match(others(a), others(b), ground: .name, key: { Match.bare($0.entry.name) })
    func redundant(_ model: Model) -> [CheckpointDifference.Entry] {
      model.redundant.map { Member($0.tensor, reason: $0.reason).entry }
    }
    (redundantInFirst, redundantInSecond) = (redundant(a), redundant(b))
  }

  /// By the variables of layers; by their order where only the names of layers differ, which count what was
  /// built before.
  init(
    _ a: KerasModel, _ first: Checkpoint, _ b: KerasModel, _ second: Checkpoint,
    notes: inout [String]
  ) {
    let mine = Match.weights(a.weights, first)
    var theirs = Match.weights(b.weights, second)
    if Set(a.weights.map(\.name)) != Set(b.weights.map(\.name)), Match.isSameButNames(a, b) {
      for index in theirs.indices { theirs[index].entry.canonical = a.weights[index].name }
      notes.append("layers have other names in the second; matched by their order")
    }
    match(mine, theirs, ground: .meaning, key: { $0.entry.canonical ?? "" })
    func others(_ model: KerasModel) -> [Member] {
      model.carried.flatMap(\.tensors).map { Member($0, isCarried: true) }
    }
    match(others(a), others(b), ground: .name, key: { Match.bare($0.entry.name) })
  }

  /// Whether two graphs list the same variables of the same shapes, whatever their layers are called.
  private static func isSameButNames(_ a: KerasModel, _ b: KerasModel) -> Bool {
    a.weights.count == b.weights.count
      && zip(a.weights, b.weights).allSatisfy { mine, theirs in
        mine.tensor.shape == theirs.tensor.shape
          && mine.name.split(separator: ".").last == theirs.name.split(separator: ".").last
      }
  }

  /// Adds what two lists have in common to the pairs, and the rest to what only one has.
  private mutating func match(
    _ mine: [Member], _ theirs: [Member], ground: CheckpointDifference.Ground,
    key: (Member) -> String
  ) {
    var places: [String: Int] = [:]
    for (index, member) in theirs.enumerated() where places[key(member)] == nil {
      places[key(member)] = index
    }
    var taken: Set<Int> = []
    var partners = mine.map { member -> Int? in
      guard let place = places[key(member)], taken.insert(place).inserted else { return nil }
      return place
    }
    var grounds = [CheckpointDifference.Ground](repeating: ground, count: mine.count)
    if ground == .name, partners.contains(nil), taken.count < theirs.count {
      var aliases: [String: Int] = [:]
      for (index, member) in theirs.enumerated() where !taken.contains(index) {
        for name in [member.entry.name] + member.aliases { aliases[name] = index }
      }
      for index in mine.indices where partners[index] == nil {
        let names = [mine[index].entry.name] + mine[index].aliases
        if let place = names.compactMap({ aliases[$0] }).first(where: { !taken.contains($0) }) {
          taken.insert(place)
          (partners[index], grounds[index]) = (place, .alias)
        }
      }
    }
    for (index, partner) in partners.enumerated() {
      if let partner {
        pairs.append(
          MemberPair(first: mine[index], second: theirs[partner], ground: grounds[index]))
      } else {
        onlyInFirst.append(mine[index])
      }
    }
    onlyInSecond += theirs.indices.filter { !taken.contains($0) }.map { theirs[$0] }
  }

  /// Canonical weights, each with the stored tensor that it is made of.
  private static func weights(_ model: Model, _ checkpoint: Checkpoint, byUse: Bool) -> [Member] {
    guard byUse else { return weights(model.weights, checkpoint) }
    var uses: [String: [String]] = [:]
    for (use, name) in model.architecture.uses(of: model.weights.map(\.name)) {
      uses[name, default: []].append(use)
    }
    return weights(model.weights, checkpoint, uses: uses)
  }

  /// - Parameter uses: the names of the places where each weight is used, where it counts for each.
  private static func weights(
    _ weights: [Weight], _ checkpoint: Checkpoint, uses: [String: [String]]? = nil
  ) -> [Member] {
    let stored = Dictionary(checkpoint.tensors.map { ($0.name, $0) }) { first, _ in first }
    return weights.flatMap { weight -> [Member] in
      let source = weight.sources.count == 1 ? stored[weight.sources[0]] : nil
      let name =
        weight.sources.isEmpty ? weight.name : weight.sources.joined(separator: " + ")
      let names = uses.map { $0[weight.name] ?? [] } ?? [weight.name]
      return names.sorted(by: Natural.less).map { canonical in
        var member = Member(weight.tensor)
        member.entry = .init(
          name: name, canonical: canonical, dtype: source?.dtype ?? weight.tensor.dtype,
          shape: source?.shape ?? weight.tensor.shape,
          reason: weight.sources.isEmpty ? Member.computed : nil)
        member.aliases = source?.aliases ?? []
        if let source, source.dtype.isQuantized, source.shape.rank == 2,
          source.shape.extents == weight.tensor.shape.extents.reversed(),
          weight.tensor.dtype != source.dtype
        {
          member.turnedBlocks = source
        }
        return member
      }
    }
  }

  /// ALBERT's head of the order of sentences has the place of BERT's of the next sentence.
  private static func place(_ canonical: String) -> String {
    canonical.hasPrefix("sop.") ? "nsp." + canonical.dropFirst(4) : canonical
  }

  /// A name without the group that a whole-model file has, or that a tensor of none gets in HDF5.
  private static func bare(_ name: String) -> String {
    for group in ["model_weights/", "carried/"] where name.hasPrefix(group) {
      return String(name.dropFirst(group.count))
    }
    return name
  }

  /// Leaves out what no glob matches.
  ///
  /// - Throws: ``CheckpointError`` when nothing of either is left: two selections of nothing are not equal.
  mutating func keep(_ globs: [Glob]) throws(CheckpointError) {
    guard !globs.isEmpty else { return }
    pairs = pairs.filter { $0.first.matches(globs) || $0.second.matches(globs) }
    onlyInFirst = onlyInFirst.filter { $0.matches(globs) }
    onlyInSecond = onlyInSecond.filter { $0.matches(globs) }
    redundantInFirst = []
    redundantInSecond = []
    guard pairs.isEmpty, onlyInFirst.isEmpty, onlyInSecond.isEmpty else { return }
    let wanted = globs.map { "\"\($0.pattern)\"" }.joined(separator: " or ")
    throw CheckpointError(
      .usage, Place(), "no tensor of either checkpoint has a name that matches \(wanted)",
      hint: "`ckpt ls --canonical` lists the names, of which each pattern must match the whole")
  }
}

// MARK: Numbers of what was matched

extension Match {
  /// The pairs with their numbers.
  func measured(
    _ options: CheckpointDifference.Options, _ progress: (@Sendable (Int) -> Void)?
  ) throws(CheckpointError) -> [CheckpointDifference.Pair] {
    let arranged = pairs.map { ArrangedPair($0) }
    let able = arranged.indices.filter { arranged[$0].isComparable }
    var differences = [TensorDifference?](repeating: nil, count: pairs.count)
    let found = try TensorDifference.of(
      able.map { (arranged[$0].first, arranged[$0].second) }, tolerance: options.tolerance,
      threads: options.threads, progress: progress)
    for (index, difference) in zip(able, found) { differences[index] = difference }
    var tables = RowTables()
    var results: [CheckpointDifference.Pair] = []
    for (index, arranged) in arranged.enumerated() {
      var layout = arranged.layout
      var difference = differences[index]
      // A square matrix that has nothing to do with its partner may be turned.
      if let found = difference, arranged.isSquare, found.differing > 0, found.cosine < 0.5 {
        let turned = try TensorDifference(
          arranged.first, arranged.second.transposed(), tolerance: options.tolerance)
        if turned.differing == 0 || turned.cosine > CheckpointDifference.Evidence.nearCosine {
          difference = turned
          layout.isTransposed.toggle()
        }
      }
      let pair = pairs[index]
      results.append(
        .init(
          first: pair.first.entry, second: pair.second.entry, ground: pair.ground, layout: layout,
          shape: arranged.first.shape, shapeOfSecond: arranged.second.shape,
          difference: difference,
          rows: difference == nil ? try tables.rows(arranged.first, arranged.second) : nil))
    }
    // Vectors over the same rows go by what the tables told.
    for index in results.indices where results[index].difference == nil {
      if results[index].rows == nil {
        results[index].rows = try tables.elements(arranged[index].first, arranged[index].second)
      }
    }
    return results
  }
}

/// A pair as it is compared.
private struct ArrangedPair {
  var first: Tensor
  var second: Tensor
  var layout = CheckpointDifference.Layout.same
  var isComparable = true
  /// Whether both are square matrices whose layout only names vouch for.
  var isSquare = false

  init(_ pair: MemberPair) {
    (first, second) = (pair.first.tensor, pair.second.tensor)
    let (mine, theirs) = (pair.first.entry.shape, pair.second.entry.shape)
    if pair.ground == .meaning {
      isComparable = first.shape == second.shape
      let (a, b) = (pair.first.turnedBlocks, pair.second.turnedBlocks)
      layout.isTransposed =
        (first.liesByColumns || a != nil) != (second.liesByColumns || b != nil)
      // Blocks are compared as they lie, so that what was rounded to them is recognised.
      if isComparable, a != nil || b != nil {
        first = a ?? first.transposed()
        second = b ?? second.transposed()
      }
      layout.isReshaped = isComparable && mine.rank != theirs.rank && mine.count == theirs.count
      return
    }
    if first.shape == second.shape {
      isSquare =
        first.shape.rank == 2 && first.shape[0] == first.shape[1] && first.shape[0] > 1
        && !first.dtype.isPacked && !second.dtype.isPacked
      return
    }
    if first.shape.rank == 2, first.shape.extents == second.shape.extents.reversed(),
      !first.dtype.isQuantized, !second.dtype.isQuantized
    {
      second = second.transposed()
      layout.isTransposed = true
    } else if first.shape.count == second.shape.count {
      layout.isReshaped = true
    } else {
      isComparable = false
    }
  }
}
