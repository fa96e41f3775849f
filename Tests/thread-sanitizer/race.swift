import Glibc
import SimilarityCore
import Synchronization
import VectorIndex

/// For some seconds, readers search an index while a writer changes it. Answers are compared with the snapshot's own
/// exact search.
final class Race: Sendable {
  private static let dimension = 24
  private let index: VectorIndex
  private let isDone = Atomic(false)
  let searches = Atomic(0)
  let faults = Atomic(0)

  init(_ metric: Metric) {
    var options = IndexOptions()
    options.graphThreshold = 500
    options.threads = 2
    index = VectorIndex(dimension: Self.dimension, metric: metric, options: options)
  }

  func run(seconds: Int) throws -> GraphReport {
    var slots = try index.apply(removing: [], adding: Self.rows(1500))
    let readers = (0..<3).map { reader in Threads.start { self.read(reader) } }
    let end = time(nil) + seconds
    var round = 0
    while time(nil) < end {
      round += 1
      // The index grows and shrinks, so that slots are reused and records move.
      let isGrowing = round / 40 % 2 == 0
      let removed = (0..<(isGrowing ? 10 : 40)).compactMap { _ in
        slots.isEmpty ? nil : slots.remove(at: Int.random(in: slots.indices))
      }
      slots += try index.apply(removing: removed, adding: Self.rows(isGrowing ? 40 : 10))
      if round % 50 == 0 { _ = index.image()?.lists[0..<10] }
    }
    isDone.store(true, ordering: .relaxed)
    for reader in readers { pthread_join(reader, nil) }
    return index.validate()
  }

  private func read(_ reader: Int) {
    while !isDone.load(ordering: .relaxed) {
      let snapshot = index.snapshot
      guard
        let queries = Matrix(
          rows: reader == 2 ? 30 : 1, columns: Self.dimension, values: Self.rows(reader == 2 ? 30 : 1))
      else { return }
      var search = SearchOptions(k: 10)
      search.loop = ParallelLoop(threads: reader == 2 ? 2 : 1)
      search.mode = .exact
      let exact = try? snapshot.nearest(to: queries, search, tiePrecedes: <)
      search.mode = reader == 0 ? .exact : .graph(ef: 60)
      let found = try? snapshot.nearest(to: queries, search, tiePrecedes: <)
      guard let exact, let found else {
        faults.add(1, ordering: .relaxed)
        continue
      }
      for (truth, near) in zip(exact.neighbors, found.neighbors) {
        let isWhole = near.count == truth.count && near.allSatisfy { snapshot.live.contains($0.position) }
        let isRight = reader != 0 || near == truth
        if !isWhole || !isRight { faults.add(1, ordering: .relaxed) }
      }
      searches.add(1, ordering: .relaxed)
    }
  }

  private static func rows(_ count: Int) -> [Float] { (0..<count * dimension).map { _ in Float.random(in: -1...1) } }
}

/// A deliberate race, which ThreadSanitizer must find: otherwise the absence of other findings would mean nothing.
func plant() {
  nonisolated(unsafe) let counter = UnsafeMutablePointer<Int>.allocate(capacity: 1)
  counter.initialize(to: 0)
  let threads = (0..<2).map { _ in
    Threads.start {
      for _ in 0..<1000 { counter.pointee &+= 1 }
    }
  }
  for thread in threads { pthread_join(thread, nil) }
  print("planted: \(counter.pointee)")
}

let arguments = CommandLine.arguments
if arguments.count > 1, arguments[1] == "planted" {
  plant()
  exit(0)
}
guard arguments.count == 3, let metric = Metric(rawValue: arguments[1]), let seconds = Int(arguments[2]) else {
  exit(2)
}
let race = Race(metric)
let report = try race.run(seconds: seconds)
let (searches, faults) = (race.searches.load(ordering: .relaxed), race.faults.load(ordering: .relaxed))
print("\(metric): \(searches) searches, \(faults) faults; \(report)")
exit(searches == 0 || faults > 0 || report.dangling > 0 || report.repeated > 0 ? 1 : 0)
