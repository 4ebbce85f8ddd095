import Checkpoint
import TestSupport
import Testing

/// Damaged files, read to the end.
struct Damage {
  let folder: TemporaryFolder
  let format: any Format

  init(_ format: any Format) throws {
    folder = try TemporaryFolder()
    self.format = format
  }

  /// Opens `bytes` as a file and reads every payload; `nil` when the content is not recognised.
  @discardableResult
  func read(_ bytes: [UInt8], name: String = "a.bin") throws(CheckpointError) -> Checkpoint? {
    guard (try? folder.file(name, bytes)) != nil else { return nil }
    let probe = try Probe(folder.file(name))
    guard format.recognises(probe) else { return nil }
    let checkpoint = try format.read(probe)
    for tensor in checkpoint.tensors { try tensor.readWindows { _ in } }
    return checkpoint
  }

  /// Cuts the file at every byte: each time there is an error, or it is not recognised.
  ///
  /// - Parameter last: how much may be missing at the end without harm (padding).
  func cutEverywhere(_ bytes: [UInt8], sparing last: Int = 0) throws {
    for count in 0..<(bytes.count - last) {
      do throws(CheckpointError) {
        let checkpoint = try read(Array(bytes[..<count]))
        #expect(checkpoint == nil, "cut at \(count)")
      } catch {
        #expect(error.kind == .damaged, "cut at \(count): \(error)")
        #expect(error.place.file != nil || error.place.tensor != nil, "cut at \(count)")
      }
    }
  }

  /// Changes up to 16 bytes at random: tensors or an error, nothing else.
  func mutate(_ bytes: [UInt8], trials: Int = 10_000, seed: UInt64 = 1) throws {
    var random = SeededGenerator(seed: seed)
    for _ in Fuzz.trials(trials) {
      var copy = bytes
      for _ in 0...Int.random(in: 0..<16, using: &random) {
        copy[Int.random(in: copy.indices, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      do throws(CheckpointError) {
        try read(copy)
      } catch {
        #expect([.damaged, .unsupported, .notRecognised].contains(error.kind), "\(error)")
      }
    }
  }
}
