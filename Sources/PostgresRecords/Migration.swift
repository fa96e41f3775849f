import VectorStore

/// Copies the collections of other records, which nobody writes meanwhile, into a database.
///
/// A collection is copied in batches that are always the same, in the order in which its records give the points, and every batch
/// is one version. A version's digest is over all changes up to it, so it shows whether the collection in the database consists
/// of the first batches of this copy and nothing else; then the copy goes on behind them, and otherwise it is refused. Each
/// batch names the version that it follows, so that nobody else's writes come between unnoticed. At the end both sides are read
/// again and compared.
package struct Migration {
  private let source: any OrderedReading
  private let database: PostgresRecords

  /// What became of a collection.
  package struct Outcome: Sendable {
    package let name: String
    package let points: Int
    /// Those that an earlier run has copied.
    package let found: Int
    /// Over the settings and the points in the order of their ids, the same on both sides.
    package let digest: Int64
  }

  /// A step that may take long.
  package enum Step: Sendable {
    /// The collection is read from the source and, as far as it is copied already, recognised in the database.
    case reading(String)
    /// So many points of all that had to be copied have been copied by this run.
    case copied(Int, of: Int)
    /// The collection is read from both sides and compared.
    case comparing(String)
  }

  package init(from source: any OrderedReading, to database: PostgresRecords) {
    self.source = source
    self.database = database
  }

  /// - Returns: what became of each collection, in the order in which the source has them.
  /// - Throws: ``OpenError`` naming the collection: before anything is written when a collection is damaged in the source, or is in
  ///   the database with other settings or content; afterwards when it cannot be copied or has turned out different.
  package func run(_ report: (Step) -> Void) throws(OpenError) -> [Outcome] {
    let collections = try listed(source)
    let targets = try Dictionary(listed(database).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var plans: [Plan] = []
    for collection in collections {
      report(.reading(collection.name))
      plans.append(try plan(collection, targets[collection.name]))
    }
    let missing = plans.reduce(0) { $0 + $1.collection.count - $1.found }
    var copied = 0
    for plan in plans {
      try copy(plan) { points in
        copied += points
        report(.copied(copied, of: missing))
      }
    }
    let copies = try Dictionary(listed(database).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var outcomes: [Outcome] = []
    for plan in plans {
      let collection = plan.collection
      report(.comparing(collection.name))
      guard let copy = copies[collection.name] else {
        throw OpenError("\(named(collection)) has been dropped meanwhile")
      }
      let digest = try MigrationCheck(source: source, database: database).compare(collection, copy)
      outcomes.append(
        Outcome(name: collection.name, points: collection.count, found: plan.found, digest: digest))
    }
    return outcomes
  }

  // MARK: What is there

  /// What is to be done with a collection.
  private struct Plan {
    let collection: StoredCollection
    /// nil where the database has none of this name.
    let target: StoredCollection?
    /// All batches of the collection.
    let batches: Int
    /// The points of those batches that are in the database already.
    let found: Int
  }

  private func plan(_ collection: StoredCollection, _ target: StoredCollection?) throws(OpenError) -> Plan {
    if let target, let difference = Self.difference(collection, target) {
      throw OpenError("\(named(collection)) exists with other settings: \(difference). Nothing was copied")
    }
    let version = target?.version ?? 0
    var batches = 0
    var found = 0
    var digest: Int64 = 0
    try source.batches(of: collection) { number, points in
      batches = number
      guard number <= version else { return }
      found += points.count
      digest = PostgresCollection.digest(
        digest, version: number, ChangePayload.encode(upserts: points, deletes: []))
    }
    guard version <= batches, digest == target?.digest ?? 0 else {
      throw OpenError(
        "\(named(collection)) exists with content that was not copied from \(source.location), or was changed since. "
          + "Nothing was copied")
    }
    return Plan(collection: collection, target: target, batches: batches, found: found)
  }

  /// How the settings of two collections differ; nil when they do not, or when they will not once all points are copied.
  private static func difference(_ source: StoredCollection, _ target: StoredCollection) -> String? {
    func said(_ what: String, _ here: String?, _ there: String?) -> String {
      "its \(what) is \(there ?? "the default"), and \(here ?? "the default") in the folder"
    }
    if source.dimension != target.dimension {
      return said("dimension", "\(source.dimension)", "\(target.dimension)")
    }
    if source.metric != target.metric { return said("metric", source.metric.rawValue, target.metric.rawValue) }
    if source.recallTarget != target.recallTarget {
      return said(
        "recall target", source.recallTarget.map { "\($0.value)" }, target.recallTarget.map { "\($0.value)" })
    }
    // The first batch brings the model.
    if let model = target.model, model != source.model { return "its texts were embedded by another model" }
    return nil
  }

  // MARK: Copying

  private func copy(_ plan: Plan, _ copied: (Int) -> Void) throws(OpenError) {
    let collection = plan.collection
    let target = if let found = plan.target { found } else { try made(collection) }
    if plan.batches == 0 {
      if target.model != collection.model { try database.setModel(of: target, collection.model) }
      return
    }
    guard target.version < plan.batches else { return }
    try source.batches(of: collection) { number, points throws(OpenError) in
      guard number > target.version else { return }
      let change = RecordChange.upsert(collection: target.id, points: points, model: collection.model)
      guard case .changed(number, _, _, _, _) = try commit(change, basis: number - 1, collection) else {
        throw meanwhile(collection)
      }
      copied(points.count)
    }
  }

  private func made(_ collection: StoredCollection) throws(OpenError) -> StoredCollection {
    let change = RecordChange.create(
      name: collection.name, dimension: collection.dimension, metric: collection.metric,
      recallTarget: collection.recallTarget)
    guard case .created(let made) = try commit(change, basis: nil, collection) else { throw meanwhile(collection) }
    return made
  }

  private func commit(
    _ change: RecordChange, basis: Int?, _ collection: StoredCollection
  ) throws(OpenError) -> Committed {
    let results: [Result<Committed, StoreError>]
    do throws(StoreError) { results = try database.commit([change], basis: basis, keys: []) } catch {
      throw OpenError("\(named(collection)) cannot be written; the same call goes on from there later", error)
    }
    switch results.first {
    case .success(let committed): return committed
    case .failure(.outdated), nil: throw meanwhile(collection)
    case .failure(let error): throw OpenError("\(named(collection)) cannot be written", error)
    }
  }

  private func meanwhile(_ collection: StoredCollection) -> OpenError {
    OpenError("\(named(collection)) is being written by another program, and cannot be copied meanwhile")
  }

  private func named(_ collection: StoredCollection) -> String {
    "collection '\(collection.name)' in \(database.location)"
  }

  private func listed(_ records: any Records) throws(OpenError) -> [StoredCollection] {
    do throws(StoreError) { return try records.collections() } catch {
      throw OpenError("the collections in \(records.location) cannot be listed", error)
    }
  }
}

extension PostgresRecords {
  /// Notes the model of a collection without points: its texts have been deleted, and later ones must be of the same model.
  fileprivate func setModel(of collection: StoredCollection, _ model: String?) throws(OpenError) {
    do throws(PostgresError) {
      try loading.with(patiently: true) { connection throws(PostgresError) -> Void in
        try connection.run(
          "UPDATE nearfar.collections SET model = $2 WHERE id = $1 AND version = 0 AND model IS NULL",
          [.integer(collection.id), .text(model)])
      }
    } catch {
      throw error.asOpenError("collection '\(collection.name)' in \(location) cannot be written")
    }
  }
}
