public import Checkpoint
import Foundation

/// Files under `fixtures/`, made by the original libraries.
public enum Fixtures {
  public static let folder = Paths.join(
    Paths.folder(of: Paths.folder(of: Paths.folder(of: #filePath))), "fixtures")

  /// `path("b4k-bert", "weights.h5")`.
  public static func path(_ parts: String...) -> String {
    parts.reduce(folder) { Paths.join($0, $1) }
  }
}

/// A folder that goes with the value.
public final class TemporaryFolder: Sendable {
  public let path: String

  public init() throws {
    path = NSTemporaryDirectory() + "ckpt-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in the folder.
  public func file(_ name: String) -> String { Paths.join(path, name) }

  /// Writes a file and returns its path.
  ///
  /// An older file goes first: ext4 waits for the disk when a file is cut and written again.
  @discardableResult
  public func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try? FileManager.default.removeItem(atPath: file(name))
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  /// Everything inside, hidden files too, sorted.
  public var contents: [String] {
    ((try? FileManager.default.subpathsOfDirectory(atPath: path)) ?? []).sorted()
  }
}

/// Tensors of every kind, with bytes that differ from place to place.
public enum Samples {
  public static func tensor(
    _ name: String, _ dtype: DType, _ shape: Shape, seed: Int = 0
  ) -> Tensor {
    let bytes = (0..<dtype.byteCount(of: shape.count)).map { index in
      dtype == .bool
        ? UInt8((index + seed) % 2) : UInt8(truncatingIfNeeded: (index &+ seed) &* 37 &+ seed)
    }
    return Tensor(name: name, dtype: dtype, shape: shape, payload: BytesPayload(bytes))
  }
}

/// Numbers that are the same in every run.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ (state >> 29)
  }
}

/// How long random damage is tried.
public enum Fuzz {
  /// `count` trials, or as many times more as the environment variable `CKPT_FUZZ` says.
  public static func trials(_ count: Int) -> Range<Int> {
    let factor = ProcessInfo.processInfo.environment["CKPT_FUZZ"].flatMap(Int.init) ?? 1
    return 0..<(count * max(factor, 1))
  }
}
