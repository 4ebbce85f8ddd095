import Infer
import Synchronization
import Testing

@Suite struct ThreadTests {
  @Test(arguments: [1, 2, 5, 16])
  func `every item is visited once`(threads: Int) {
    let workers = Workers(count: threads)
    for count in [0, 1, 2, 7, 64, 1000, 100_001] {
      for grain in [1, 3, 500] {
        let visits = Mutex([Int](repeating: 0, count: count))
        workers.parallel(count, grain: grain) { range, worker in
          visits.withLock { visits in for index in range { visits[index] += 1 } }
          #expect((0..<workers.count).contains(worker))
        }
        #expect(visits.withLock { $0.allSatisfy { $0 == 1 } })
      }
    }
  }

  @Test(arguments: [1, 2, 5])
  func `a loop inside a loop runs on its own worker`(threads: Int) {
    let workers = Workers(count: threads)
    let total = Atomic<Int>(0)
    workers.parallel(20) { range, worker in
      for _ in range {
        workers.parallel(30) { inner, innerWorker in
          #expect(innerWorker == worker)
          total.add(inner.count, ordering: .relaxed)
        }
      }
    }
    #expect(total.load(ordering: .relaxed) == 600)
  }

  @Test func `many short loops, and pools that come and go`() {
    for _ in 0..<20 {
      let workers = Workers(count: 3)
      let total = Atomic<Int>(0)
      for _ in 0..<500 {
        workers.parallel(6) { range, _ in total.add(range.count, ordering: .relaxed) }
      }
      #expect(total.load(ordering: .relaxed) == 3000)
    }
  }

  @Test func `the default is what the process may use`() {
    #expect(Workers().count == Workers.available)
    #expect(Workers(count: -3).count == 1)
  }
}
