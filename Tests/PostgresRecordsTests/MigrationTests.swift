import PostgresRecords
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Collections are copied from records in SQLite into a database.
@Suite struct MigrationTests {
  private let database: TestDatabase
  private let source: SQLiteRecords
  private let store: CollectionStore

  init() throws {
    database = try TestDatabase()
    source = try SQLiteRecords.open(.memory)
    store = try CollectionStore(records: source)
  }

  /// 2,500 points, so that there are three batches.
  private func fill() throws {
    var random = Seeded(21)
    let collection = try store.create("c", dimension: 4, metric: .euclidean).collection
    for start in [0, 1000, 500, 1500] {
      _ = try collection.upsert((start..<start + 1000).map { random.point("p\($0)") }, model: "m")
    }
    _ = try collection.delete(["p3", "p2000"])
  }

  private func migrate(from source: (any OrderedReading)? = nil, _ report: (Migration.Step) -> Void = { _ in }) throws
    -> [Migration.Outcome]
  {
    let records = try PostgresRecords.open(database.url)
    defer { records.close() }
    return try Migration(from: source ?? self.source, to: records).run(report)
  }

  @Test func aCopyIsTheSame() throws {
    try fill()
    let empty = try store.create("empty", dimension: 2, metric: .dot).collection
    _ = try empty.upsert([Point(id: "x", vector: [1, 2], text: "t")], model: "its model")
    _ = try empty.delete(["x"])
    try empty.change(.set(try #require(RecallTarget(0.8))))
    var copied: [Int] = []
    let outcomes = try migrate { if case .copied(let points, let all) = $0, all == 2498 { copied.append(points) } }
    #expect(copied == [1000, 2000, 2498])
    #expect(outcomes.map(\.name) == ["c", "empty"] && outcomes.map(\.points) == [2498, 0])
    let copy = try CollectionStore(records: try PostgresRecords.open(database.url))
    let points = try copy.collection("c").snapshot
    #expect(points.all == (try store.collection("c").snapshot.all) && points.model == "m" && points.version == 3)
    let rest = try copy.collection("empty").snapshot
    #expect(rest.count == 0 && rest.model == "its model" && rest.version == 0)
    let again = try migrate { if case .copied = $0 { Issue.record("a second run has copied") } }
    #expect(again.map(\.found) == [2498, 0] && again.map(\.digest) == outcomes.map(\.digest))
  }

  /// A batch of somebody else between two of the copy is noticed, and then the copy cannot go on.
  @Test func anotherWriterIsNoticed() throws {
    try fill()
    var other: CollectionStore?
    let refused = #expect(throws: OpenError.self) {
      _ = try migrate { step in
        guard case .copied(1000, _) = step else { return }
        other = try? CollectionStore(records: PostgresRecords.open(database.url))
        _ = try? other?.collection("c").upsert([Point(id: "other", vector: [1, 2, 3, 4])])
      }
    }
    #expect(refused?.description.contains("collection 'c' in postgresql://") == true)
    #expect(refused?.description.contains("is being written by another program") == true)
    let later = #expect(throws: OpenError.self) { _ = try migrate() }
    #expect(later?.description.contains("was not copied from :memory:") == true)
    #expect(try database.run("SELECT count FROM nearfar.collections") == "1001")
  }

  /// The connection is lost between batches; the copy goes on by itself.
  @Test func aLostConnectionIsMadeAgain() throws {
    try fill()
    let outcomes = try migrate { if case .copied = $0 { try? database.cutConnections() } }
    #expect(outcomes.map(\.points) == [2498])
  }

  /// Whatever differs when both sides are read again is an error that names the first id.
  @Test(arguments: [
    ("point 'p10' has another vector", 1), ("point 'p10' has another text", 2), ("point 'p10' has another metadata", 3),
    ("point 'p10' is in the copy alone", 4), ("point 'p10!' is missing", 5), ("point 'zz' is missing", 6),
    ("point 'p999' is in the copy alone", 7),
  ]) func aDifferenceIsNamed(_ reason: String, _ change: Int) throws {
    try fill()
    let altered = AlteredSource(source) { point in
      var (vector, text, metadata) = (point.vector, point.text, point.metadata)
      switch (point.id, change) {
      case ("p10", 1): vector[2] = vector[2].nextUp
      case ("p10", 2): text = "\(text ?? "")e"
      case ("p10", 3): metadata = Array(#"{"other":1}"#.utf8)
      case ("p10", 4), ("p999", 7): return []
      case ("p10", 5): return [point, Point(id: "p10!", vector: vector)]
      case ("p999", 6): return [point, Point(id: "zz", vector: vector)]
      default: break
      }
      return [Point(id: point.id, vector: vector, text: text, metadata: metadata)]
    }
    let error = #expect(throws: OpenError.self) { _ = try migrate(from: altered) }
    #expect(error?.cause == .damaged)
    #expect(error?.description.contains("collection 'c' in postgresql://") == true)
    #expect(error?.description.hasSuffix(reason) == true, "\(error?.description ?? "")")
  }

  @Test(arguments: [
    "postgresql://u:se%zzcret@h/d", "postgresql://u:secret@h:x/d", "postgresql://u:secret/x@h/d",
    "postgresql://u@h/d?passwort=secret",
  ]) func anAddressThatCannotBeReadIsNotRepeated(_ url: String) throws {
    let error = #expect(throws: OpenError.self) { _ = try PostgresRecords.open(url) }
    #expect(error?.description.contains("cannot be read") == true && error?.description.contains("cret") == false)
  }
}

/// Records whose points are different when they are read in the order of their ids.
private final class AlteredSource: OrderedReading {
  private let base: SQLiteRecords
  private let alter: @Sendable (Point) -> [Point]

  init(_ base: SQLiteRecords, _ alter: @escaping @Sendable (Point) -> [Point]) {
    self.base = base
    self.alter = alter
  }

  var location: RecordsLocation { base.location }
  var isReadOnly: Bool { base.isReadOnly }

  func inIDOrder(
    _ collection: StoredCollection, _ body: (() throws(OpenError) -> Point?) throws(OpenError) -> Void
  ) throws(OpenError) {
    var points: [Point] = []
    try base.inIDOrder(collection) { next throws(OpenError) in
      while let point = try next() { points += alter(point) }
    }
    var rest = points[...]
    try body { () throws(OpenError) in rest.popFirst() }
  }

  func collections() throws(StoreError) -> [StoredCollection] { try base.collections() }

  func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError) {
    try base.load(collection, body)
  }

  func beginWriting() throws(OpenError) { try base.beginWriting() }

  func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] { try base.commit(group) }

  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    try base.changes(of: collection, after: version, limit: limit)
  }

  func close() { base.close() }
}
