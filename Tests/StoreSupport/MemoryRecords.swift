import PostgresRecords
import SQLiteRecords
import Synchronization
import VectorStore

/// Records in dictionaries: a second implementation of the protocol, without SQLite.
package final class MemoryRecords: Records {
  fileprivate struct Contents {
    var last: Int64 = 0
    var collections: [Int64: StoredCollection] = [:]
    // The keys are the bytes of the ids, because canonically equivalent strings are equal in Swift.
    var points: [Int64: [[UInt8]: (point: Point, version: Int)]] = [:]
    var deletions: [Int64: [[UInt8]: (id: String, version: Int)]] = [:]
  }

  /// Keeps the contents when the records are closed, as a disk would.
  package final class Disk: Sendable {
    fileprivate let contents = Mutex(Contents())
    package init() {}
  }

  package let location = RecordsLocation(kind: "memory", description: ":dictionaries:", folder: nil)
  package let isReadOnly: Bool
  private let disk: Disk
  private let isClosed = Atomic(false)

  package init(on disk: Disk = Disk(), readOnly: Bool = false) {
    self.disk = disk
    isReadOnly = readOnly
  }

  package func collections() throws(StoreError) -> [StoredCollection] {
    disk.contents.withLock { $0.collections.values.sorted { $0.id < $1.id } }
  }

  package func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError) {
    let stored = disk.contents.withLock { Array($0.points[collection.id, default: [:]].values) }
    for each in stored.sorted(by: { $0.version < $1.version }) { try body(each.point) }
  }

  package func beginWriting() throws(OpenError) {}

  package func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] {
    guard !isReadOnly else { throw .readOnly }
    guard !isClosed.load(ordering: .relaxed) else { throw .unavailable("the store is closed") }
    return disk.contents.withLock { contents in group.map { contents.apply($0) } }
  }

  package func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    let (stored, points, deletions) = disk.contents.withLock {
      ($0.collections[collection], $0.points[collection, default: [:]], $0.deletions[collection, default: [:]])
    }
    guard let stored else { throw .unknownCollection("\(collection)") }
    var merge = ChangeMerge(limit: limit)
    for (point, at) in points.values.sorted(by: { $0.version < $1.version }) where at > version {
      guard merge.add(point, version: at) else { break }
    }
    for (id, at) in deletions.values.sorted(by: { $0.version < $1.version }) where at > version {
      guard merge.addDeletion(id, version: at) else { break }
    }
    return merge.page(newest: max(version, stored.version), model: stored.model)
  }

  package func close() { isClosed.store(true, ordering: .relaxed) }
}

extension MemoryRecords.Contents {
  fileprivate mutating func apply(_ change: RecordChange) -> Result<Committed, StoreError> {
    switch change {
    case .create(let name, let dimension, let metric, let recallTarget):
      guard !collections.values.contains(where: { $0.name == name }) else {
        return .failure(.conflict("collection '\(name)' exists"))
      }
      last += 1
      let made = StoredCollection(
        id: last, name: name, dimension: dimension, metric: metric, recallTarget: recallTarget)
      collections[last] = made
      return .success(.created(made))
    case .drop(let id):
      guard collections.removeValue(forKey: id) != nil else { return .failure(.unknownCollection("\(id)")) }
      (points[id], deletions[id]) = (nil, nil)
      return .success(.dropped)
    case .retarget(let id, let recallTarget):
      guard collections[id] != nil else { return .failure(.unknownCollection("\(id)")) }
      collections[id]?.recallTarget = recallTarget
      return .success(.retargeted)
    case .upsert(let id, let batch, let model):
      guard var stored = collections[id] else { return .failure(.unknownCollection("\(id)")) }
      if let model, let held = stored.model, held != model {
        return .failure(.conflict("the collection's texts were embedded by another model, \(held)"))
      }
      if !batch.isEmpty {
        stored.model = model ?? stored.model
        stored.version += 1
        for point in batch {
          let key = Array(point.id.utf8)
          points[id, default: [:]][key] = (point, stored.version)
          deletions[id, default: [:]][key] = nil
        }
        stored.count = points[id, default: [:]].count
        collections[id] = stored
      }
      return .success(.changed(version: stored.version, points: batch.count, model: stored.model))
    case .delete(let id, let ids):
      guard var stored = collections[id] else { return .failure(.unknownCollection("\(id)")) }
      let gone = ids.filter { points[id, default: [:]].removeValue(forKey: Array($0.utf8)) != nil }
      if !gone.isEmpty {
        stored.version += 1
        stored.count -= gone.count
        for each in gone { deletions[id, default: [:]][Array(each.utf8)] = (each, stored.version) }
        collections[id] = stored
      }
      return .success(.changed(version: stored.version, points: gone.count, model: stored.model))
    }
  }
}

/// The implementations of the records, for tests that must hold for each.
package enum RecordsKind: String, CaseIterable, Sendable {
  case sqlite
  case dictionaries
  case postgresql

  /// Records whose contents are lost when they are closed.
  package func records() throws -> any Records {
    switch self {
    case .sqlite: try SQLiteRecords.open(.memory)
    case .dictionaries: MemoryRecords()
    case .postgresql: try PostgresRecords.open(try Self.lasting().url)
    }
  }

  /// Databases of records that do not hold them themselves; they end with the process.
  private static let databases = Mutex<[TestDatabase]>([])

  private static func lasting() throws -> TestDatabase {
    let made = try TestDatabase()
    databases.withLock { $0.append(made) }
    return made
  }

  /// A store over such records.
  package func store() throws -> CollectionStore { try CollectionStore(records: records()) }
}

/// A place whose records can be closed and opened again.
package struct RecordsPlace {
  private enum Place {
    case folder(TemporaryFolder)
    case disk(MemoryRecords.Disk)
    case database(TestDatabase)
  }

  private let place: Place

  package init(_ kind: RecordsKind) throws {
    switch kind {
    case .sqlite: place = .folder(try TemporaryFolder())
    case .dictionaries: place = .disk(MemoryRecords.Disk())
    case .postgresql: place = .database(try TestDatabase())
    }
  }

  package func records() throws -> any Records {
    switch place {
    case .folder(let folder): try SQLiteRecords.open(.folder(folder.path))
    case .disk(let disk): MemoryRecords(on: disk)
    case .database(let database): try PostgresRecords.open(database.url)
    }
  }

  package func open() throws -> CollectionStore { try CollectionStore(records: records()) }
}
