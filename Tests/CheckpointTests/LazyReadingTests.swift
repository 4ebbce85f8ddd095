import Synchronization
import TestSupport
import Testing

@testable import Checkpoint

/// Names and shapes cost no payload, whatever the format.
@Suite struct LazyReadingTests {
  /// In a process of its own, whose bytes nobody else reads.
  @Test func `a listing reads no numbers`() async {
    await #expect(processExitsWith: .success) {
      let paths = [
        Fixtures.path("tiny-albert", "weights.h5"), Fixtures.path("hf-bert", "model.safetensors"),
        Fixtures.path("hf-bert-sharded"), Fixtures.path("b4k-bert", "tf", "best_model.weights"),
      ]
      for path in paths {
        let start = File.bytesRead.load(ordering: .relaxed)
        let tensors = try Opening(path).checkpoint.tensors
        let listed = File.bytesRead.load(ordering: .relaxed) - start
        let payload = tensors.reduce(0) { $0 + $1.byteCount }
        #expect(!tensors.isEmpty && tensors.allSatisfy { $0.shape.count >= 0 })
        let statistics = Statistics.each(of: tensors).count
        let read = File.bytesRead.load(ordering: .relaxed) - start - listed
        #expect(statistics == tensors.count)
        #expect(read >= payload, "\(path): what was read is counted")
        #expect(listed < read / 3, "\(path): \(listed) bytes")
      }
    }
  }
}
