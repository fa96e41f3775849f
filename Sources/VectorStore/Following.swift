import VectorIndex

/// Brings collections in memory to the version that shared records have. Everything here runs on the writer's queue.
enum Following {
  /// Points and deletions that are read at once.
  private static let pageLimit = 5_000

  enum Outcome: Equatable {
    /// The collection has reached the newest version.
    case current
    /// The records cannot be read, or memory has no room for now: the collection stays as it is, and a later attempt may succeed.
    case delayed(StoreError)
    /// The collection has been dropped.
    case dropped
    /// What the collection has applied is not what the records say it did, or changes that it needs have been forgotten: it has to
    /// be loaded anew.
    case diverged
  }

  /// Applies everything that is newer than a collection.
  static func catchUp(_ collection: VectorCollection, _ records: any SharedRecords) -> Outcome {
    var changing = collection.beginChange()
    let outcome = catchUp(&changing, through: .max, records)
    if changing.changed > 0 || changing.failure != nil { changing.publish() }
    collection.tidy(changed: changing.changed)
    return changing.failure == nil ? outcome : .diverged
  }

  /// Applies what others have committed before `done`, a change of this process that is about to be applied.
  static func bring(_ changing: inout VectorCollection.Changing, before done: Committed, _ records: any SharedRecords) {
    let wanted: Int
    switch done {
    // A batch that has changed nothing has met the version as it was.
    case .changed(let version, let points, _, _, _): wanted = points > 0 ? version - 1 : version
    case .repeated(let version, _, _): wanted = version
    case .created, .dropped, .retargeted: return
    }
    guard changing.version < wanted else { return }
    switch catchUp(&changing, through: wanted, records) {
    case .current: return
    case .delayed(let error):
      changing.fail(
        .unavailable("the write is stored, but this replica could not follow what came before it: \(error)"))
    case .dropped: changing.fail(.unavailable("the collection has been dropped meanwhile"))
    case .diverged: changing.fail(.unavailable("the collection is loaded again"))
    }
  }

  private static func catchUp(
    _ changing: inout VectorCollection.Changing, through last: Int, _ records: any SharedRecords
  ) -> Outcome {
    while changing.version < last, changing.failure == nil {
      let page: ChangePage
      do throws(StoreError) {
        page = try records.changes(of: changing.collection.id, after: changing.version, limit: pageLimit)
      } catch {
        switch error {
        case .tooOld: return .diverged
        case .unknownCollection: return .dropped
        default: return .delayed(error)
        }
      }
      // A server that took over after a failure may have lost what was committed last, and have gone on differently.
      if let base = page.base, base != changing.digest { return .diverged }
      if page.through < changing.version { return .diverged }
      for batch in page.batches where batch.version <= last {
        guard batch.version == changing.version + 1 else { return .diverged }
        if let refusal = changing.collection.reserve(batch.upserts.count) { return .delayed(refusal) }
        changing.apply(batch, model: page.model)
      }
      if page.isComplete { return .current }
      if page.batches.isEmpty { return .diverged }
    }
    return .current
  }
}
