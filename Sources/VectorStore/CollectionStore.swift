import Synchronization

/// All collections of the process, by name.
public final class CollectionStore: Sendable {
  private let collections = Mutex<[String: Collection]>([:])

  public init() {}

  /// Makes a collection, or finds the one that is alike.
  ///
  /// - Returns: the collection, and whether it is new.
  /// - Throws: ``StoreError/conflict(_:)`` when one of that name has another dimension.
  public func create(_ name: String, dimension: Int) throws(StoreError) -> (collection: Collection, created: Bool) {
    let existing = collections.withLock { all -> Collection? in
      if let existing = all[name] { return existing }
      all[name] = Collection(name: name, dimension: dimension)
      return nil
    }
    guard let existing else { return (try collection(name), true) }
    guard existing.dimension == dimension else {
      throw .conflict("collection '\(name)' exists with dimension \(existing.dimension)")
    }
    return (existing, false)
  }

  public func collection(_ name: String) throws(StoreError) -> Collection {
    guard let found = collections.withLock({ $0[name] }) else { throw .unknownCollection(name) }
    return found
  }

  /// Every collection, by name.
  public var all: [Collection] {
    collections.withLock { Array($0.values) }.sorted { $0.name < $1.name }
  }

  public func delete(_ name: String) throws(StoreError) {
    guard collections.withLock({ $0.removeValue(forKey: name) }) != nil else { throw .unknownCollection(name) }
  }
}
