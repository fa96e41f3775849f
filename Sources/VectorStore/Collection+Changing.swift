import VectorIndex

extension Collection {
  /// Batches on their way from the records into memory. On the writer's queue.
  struct Changing {
    let collection: Collection
    private var snapshot: CollectionSnapshot
    /// Why memory does not have the batches.
    private(set) var failure: StoreError?
    /// Points that changed.
    private(set) var changed = 0

    init(_ collection: Collection) {
      self.collection = collection
      snapshot = collection.snapshot
      failure = collection.stale
    }

    mutating func apply(_ change: RecordChange, _ done: Committed) {
      if case .retarget(_, let target) = change, case .retargeted = done { return retarget(target) }
      guard failure == nil, case .changed(let version, let points, let model) = done, version != snapshot.version else {
        return
      }
      do throws(IndexError) {
        switch change {
        case .upsert(_, let points, _): try snapshot.insert(points, into: collection.index)
        case .delete(_, let ids): try snapshot.remove(ids, from: collection.index)
        case .create, .drop, .retarget: return
        }
        snapshot.version = version
        snapshot.model = model
        changed += points
      } catch {
        // The records have it and memory cannot: what is published stays right for its version, and nothing may follow.
        failure = .unavailable("the collection needs a restart: a stored batch did not fit into memory (\(error))")
      }
    }

    private mutating func retarget(_ target: RecallTarget?) {
      guard failure == nil else { return }
      collection.index.setRecallTarget(target?.value)
      snapshot.vectors = collection.index.snapshot
      snapshot.ownRecallTarget = target
    }

    func publish() {
      collection.state.withLock { state in
        if failure == nil { state.snapshot = snapshot } else { state.stale = failure }
      }
    }
  }

  /// Makes room in memory for `count` points more.
  ///
  /// - Returns: why there is none.
  func reserve(_ count: Int) -> StoreError? {
    do throws(IndexError) {
      try index.reserve(count)
      return nil
    } catch {
      return StoreError(error)
    }
  }

  func beginChange() -> Changing { Changing(self) }
}
