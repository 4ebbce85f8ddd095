import Infer
import Testing

extension KernelTests {
  /// What the ops mean is said by keras_contrib's own numbers (`KerasLayerTests`, contrib).
  @Test(arguments: [1, 3]) func `chains of labels equal the reference`(threads: Int) throws {
    for (batch, length, labels) in [(1, 1, 1), (3, 7, 4), (2, 1, 5), (5, 12, 3), (2, 9, 11)] {
      for (isMasked, seed) in [(false, 1), (true, 2)] {
        var random = Random(100 * batch + 10 * length + labels + seed)
        var given = [
          "energies": random.array([batch, length, labels], scale: 3),
          "chain": random.array([labels, labels], scale: 2),
        ]
        if isMasked {
          var mask = random.wholes([batch, length], below: 4)
          mask.values = mask.values.map { $0 == 0 ? 0 : 1 }
          given["mask"] = mask
        }
        for op: any Op in [
          ChainPath(), ChainMessages(isReversed: false), ChainMessages(isReversed: true),
        ] {
          var trial = Trial(seed: 0)
          let operands = ["energies", "chain", "mask"].compactMap { name in
            given[name].map { trial.graph.input(name, $0.shape.map { .fixed($0) }) }
          }
          trial.graph.output("y", try trial.graph.apply(op, operands))
          let expected = try trial.reference(given, ["y"])["y"]
          let found = try trial.session(["y"], threads: threads).run(given)["y"]
          #expect(
            difference(found, expected) <= 1e-6, "\(op.name) of \(batch), \(length), \(labels)")
        }
      }
    }
  }
}
