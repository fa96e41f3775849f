import Synchronization
import TestSupport
import VectorStore

extension CollectionSnapshot {
  package var all: [Point] { points(after: nil, limit: .max) }
}

extension Seeded {
  /// A random point; some have a text, some have metadata.
  package mutating func point(_ id: String, dimension: Int = 4) -> Point {
    let kind = next() % 4
    return Point(
      id: id, vector: floats(dimension), text: kind == 1 ? "text of \(id)" : nil,
      metadata: kind >= 2 ? Array(#"{"n":\#(next() % 100)}"#.utf8) : nil)
  }
}

/// The expected contents of a collection.
package struct Model: Equatable {
  package var points: [String: Point] = [:]
  package var version = 0

  package init(points: [String: Point] = [:], version: Int = 0) {
    self.points = points
    self.version = version
  }

  package var sorted: [Point] { points.values.sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) } }

  package mutating func upsert(_ batch: [Point]) {
    for point in batch { points[point.id] = point }
    version += 1
  }

  package mutating func delete(_ ids: [String]) {
    let before = points.count
    for id in ids { points[id] = nil }
    if points.count != before { version += 1 }
  }

  package func matches(_ snapshot: CollectionSnapshot) -> Bool { snapshot.version == version && snapshot.all == sorted }
}

/// Collects the lines of progress that a store reports while it is opened.
package final class Lines: Sendable {
  private let lines = Mutex<[String]>([])

  package init() {}

  package var text: String { lines.withLock { $0.joined(separator: "\n") } }
  package var add: @Sendable (String) -> Void { { line in self.lines.withLock { $0.append(line) } } }
}

extension VectorCollection {
  /// Calls ``upsert(_:model:completion:)`` and waits for the result.
  package func upsert(_ points: [Point], model: String? = nil) throws(StoreError) -> Int {
    let answer = AnswerSlot<Int>()
    upsert(points, model: model) { answer.put($0) }
    return try answer.wait()
  }

  /// Calls ``delete(_:completion:)`` and waits for the result.
  package func delete(_ ids: [String]) throws(StoreError) -> (version: Int, deleted: Int) {
    let answer = AnswerSlot<(version: Int, deleted: Int)>()
    delete(ids) { answer.put($0) }
    return try answer.wait()
  }

  /// Calls ``delete(where:completion:)`` and waits for the result.
  package func delete(where filter: Filter) throws(StoreError) -> (version: Int, deleted: Int) {
    let answer = AnswerSlot<(version: Int, deleted: Int)>()
    delete(where: filter) { answer.put($0) }
    return try answer.wait()
  }

  /// Calls ``change(_:_:completion:)`` and waits for the result.
  package func change(
    _ changes: [MetadataChange], _ mode: MetadataChange.Mode
  ) throws(StoreError) -> MetadataOutcome {
    let answer = AnswerSlot<MetadataOutcome>()
    change(changes, mode) { answer.put($0) }
    return try answer.wait()
  }

  /// Calls ``change(_:completion:)`` and waits for the result.
  package func change(_ recallTarget: RecallTargetChange) throws(StoreError) {
    let answer = AnswerSlot<Void>()
    change(recallTarget) { answer.put($0) }
    return try answer.wait()
  }
}

extension CollectionStore {
  /// Calls ``delete(_:completion:)`` and waits for the result.
  package func delete(_ name: String) throws(StoreError) {
    let answer = AnswerSlot<Void>()
    delete(name) { answer.put($0) }
    return try answer.wait()
  }
}
