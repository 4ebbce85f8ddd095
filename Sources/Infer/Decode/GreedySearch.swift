/// The likeliest token at each step, as transformers' `generate` without beams and sampling takes it.
///
/// Of equally likely tokens the lowest id is taken; the library leaves the order open.
struct GreedySearch: Search {
  private let decoding: Decoding
  private let constraints: Constraints
  private var history: [Int32]
  private let room: Int
  private(set) var result = Generated(ids: [], score: 0, isFinished: false)

  init(_ decoding: Decoding, _ request: DecodingRequest) {
    self.decoding = decoding
    constraints = Constraints(decoding)
    history = request.history
    room = min(request.room, decoding.maxNewTokens)
  }

  mutating func advance(_ logits: [ArraySlice<Float>]) -> [Continuation] {
    guard let row = logits.first, result.ids.count < room else { return [] }
    var scores = Array(row)
    constraints.apply(to: &scores, history: history, new: result.ids.count)
    guard let (token, margin) = Logits.best(scores[...]) else { return [] }
    if let margin { result.margin = min(result.margin ?? .infinity, margin) }
    result.score += Double(row[row.startIndex + token]) - Logits.logarithmOfSum(row)
    result.ids.append(Int32(token))
    history.append(Int32(token))
    result.isFinished = decoding.ends.contains(Int32(token))
    guard !result.isFinished, result.ids.count < room else { return [] }
    return [Continuation(parent: 0, token: Int32(token))]
  }
}
