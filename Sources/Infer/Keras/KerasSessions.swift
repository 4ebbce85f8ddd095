import Checkpoint

/// Runs a Keras model on inputs of whatever shapes come: its graph is lowered for each of them, and the
/// weights are in memory once.
final class KerasSessions {
  private let model: KerasModel
  private let names: [String]
  private let threads: Int?
  /// Those of the shapes that came last, the newest at the end.
  ///
  /// Each has working memory of its own.
  private var recent: [(shapes: [String: [Int]], session: Session)] = []
  private static let kept = 8

  /// - Parameter names: outputs and inner values that runs return.
  init(_ model: KerasModel, returning names: [String], threads: Int?) {
    self.model = model
    self.names = names
    self.threads = threads
  }

  /// - Parameter inputs: arrays by the names of the model's inputs.
  /// - Throws: what lowers not for these shapes; as ``Session/run(_:)``.
  func run(_ inputs: [String: NDArray<Float>]) throws -> [String: NDArray<Float>] {
    try session(inputs.mapValues(\.shape)).run(inputs)
  }

  private func session(_ shapes: [String: [Int]]) throws -> Session {
    if let place = recent.firstIndex(where: { $0.shapes == shapes }) {
      let known = recent.remove(at: place)
      recent.append(known)
      return known.session
    }
    let runnable = try RunnableKeras(model, inputs: shapes)
    if let obstacle = runnable.obstacle { throw obstacle }
    let session = try runnable.session(
      returning: names, threads: threads, sharing: recent.last?.session)
    if recent.count >= KerasSessions.kept { recent.removeFirst() }
    recent.append((shapes, session))
    return session
  }
}
