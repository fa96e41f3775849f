import Dispatch
import Platform
import SimilarityCore
import Synchronization
import Testing

@Suite struct CrewTests {
  /// Every piece of every step is done once, and all of a step before the next begins.
  @Test(arguments: [1, 2, 4]) func everyPieceOnce(_ threads: Int) {
    let crew = Crew(threads: threads)
    for round in 0..<30 {
      crew.work { team in
        #expect((team == nil) == (threads == 1))
        guard let team else { return }
        #expect(team.workers == threads)
        let counts = (0..<64).map { _ in Counter() }
        for step in 0..<50 {
          let pieces = (step * 7 + round) % 64
          team.forEachPiece(pieces) { piece, worker in
            #expect((0..<threads).contains(worker))
            // What was done before this step is seen by all.
            #expect(counts[piece].value.load(ordering: .relaxed) == 0)
            counts[piece].value.add(1, ordering: .relaxed)
          }
          for (piece, count) in counts.enumerated() {
            #expect(count.value.load(ordering: .relaxed) == (piece < pieces ? 1 : 0))
            count.value.store(0, ordering: .relaxed)
          }
        }
      }
    }
  }

  private final class Counter: Sendable {
    let value = Atomic(0)
  }

  /// Long enough pieces are shared.
  @Test func otherThreadsTakePart() {
    let workers = Mutex<Set<Int>>([])
    let crew = Crew(threads: 2)
    for _ in 0..<100 where workers.withLock({ $0.count }) < 2 {
      crew.work { team in
        team?.forEachPiece(8) { _, worker in
          workers.withLock { _ = $0.insert(worker) }
          usleep(2000)
        }
      }
    }
    #expect(workers.withLock { $0 } == [0, 1])
  }

  @Test func oneJobAtATimeHasTheCrew() {
    let crew = Crew(threads: 2)
    crew.work { team in
      #expect(team != nil)
      crew.work { #expect($0 == nil) }
    }
    crew.work { #expect($0 != nil) }
  }

  /// Jobs on many threads at once: some have the crew, the others work alone.
  @Test func manyJobsAtOnce() {
    let crew = Crew(threads: 3)
    let sums = Mutex<[Int]>([])
    DispatchQueue.concurrentPerform(iterations: 40) { job in
      let sum = crew.work { team -> Int in
        let parts = (0..<10).map { _ in Counter() }
        func add(_ piece: Int) { parts[piece].value.add(piece * job, ordering: .relaxed) }
        for _ in 0..<20 {
          if let team {
            team.forEachPiece(10) { piece, _ in add(piece) }
          } else {
            for piece in 0..<10 { add(piece) }
          }
        }
        return parts.reduce(0) { $0 + $1.value.load(ordering: .relaxed) }
      }
      sums.withLock { $0.append(sum - 900 * job) }
    }
    #expect(sums.withLock { $0 } == [Int](repeating: 0, count: 40))
  }
}
