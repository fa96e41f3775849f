import Dispatch
import Synchronization

/// What a request asks of the version that it is answered from.
extension CollectionStore {
  /// Why a request cannot be answered from what is here.
  public enum Shortfall: Error, Sendable, Equatable {
    /// What the request has seen has not arrived here in time.
    case behind(VersionToken)
    /// The collection that the request has seen was dropped, and another one made under its name.
    case remade(VersionToken)
    /// The records cannot be asked.
    case records(StoreError)
  }

  /// Waits until everything that the tokens stand for is here.
  ///
  /// - Parameters:
  ///   - seconds: how long to wait.
  ///   - completion: called once, here or on another thread, which it must not block: with nil when it is.
  public func reach(
    _ tokens: [VersionToken], within seconds: Double, completion: @escaping @Sendable (Shortfall?) -> Void
  ) {
    guard let first = shortfall(tokens) else { return completion(nil) }
    if case .remade = first { return completion(first) }
    guard isShared else { return completion(absence(tokens)) }
    // The newest is looked for now: a notification may have been lost. What is not there after that has been dropped.
    let hasLooked = Flag()
    refresh { [self] look in
      guard look.others == nil, tokens.allSatisfy({ look.failure(of: $0.name) == nil }) else { return }
      hasLooked.raise()
      writer.versions.check()
    }
    let isOver: @Sendable () -> Bool = { [self] in
      switch hasLooked.isRaised ? absence(tokens) : shortfall(tokens) {
      case nil, .remade: true
      case .behind, .records: false
      }
    }
    writer.versions.wait(until: isOver, seconds: seconds) { [self] _ in
      // Where the records could not be asked in time, what is not there may just have been made.
      completion(hasLooked.isRaised ? absence(tokens) : shortfall(tokens))
    }
  }

  /// Calls `completion` once a look at the records that began after this call has ended. At once where no other process writes to them.
  private func refresh(completion: @escaping @Sendable (Look) -> Void) {
    guard isShared else { return completion(Look()) }
    guard contact.ask(completion) else { return }
    writer.later { [self] in
      let asking = contact.takeAsking()
      let found = look()
      for each in asking { each(found) }
    }
  }

  /// Looks at the records, and calls `completion` with nil when everything that they have is here. With an error after so many
  /// seconds: a look waits for writes, and for collections that are loaded. At once where no other process writes to the records.
  ///
  /// - Parameter name: of the collection that has to be here; nil for everything.
  public func refresh(
    of name: String? = nil, within seconds: Double, completion: @escaping @Sendable (StoreError?) -> Void
  ) {
    guard isShared else { return completion(nil) }
    // The timer must not keep what the completion holds, such as a request's body.
    let waiting = OneCall(completion)
    refresh { waiting.call($0.failure(of: name)) }
    DispatchQueue.global().asyncAfter(deadline: .now() + seconds) {
      waiting.call(.unavailable("the database has not been asked in time, because other work came first"))
    }
  }

  private func shortfall(_ tokens: [VersionToken]) -> Shortfall? {
    for token in tokens {
      switch token.standing(standing(token.name)) {
      case .reached: continue
      case .behind: return .behind(token)
      case .remade: return .remade(token)
      }
    }
    return nil
  }

  /// As ``shortfall(_:)``, except that what is not there after the wait is left to whoever looks for it: it has been dropped.
  private func absence(_ tokens: [VersionToken]) -> Shortfall? {
    shortfall(tokens.filter { standing($0.name) != nil })
  }

  /// Whether there is anything here under a name in a token.
  public func knows(_ name: String) -> Bool { standing(name) != nil }

  private func standing(_ name: String) -> VersionToken? {
    if let found = find(name) { return found.token(found.snapshot.version) }
    if let kept = database?.standing(name) { return kept }
    return others.withLock { $0 }.lazy.compactMap { $0.standing(name) }.first
  }
}

/// Passes on the first call, and lets go of what it calls.
private final class OneCall: Sendable {
  private let target: Mutex<(@Sendable (StoreError?) -> Void)?>

  init(_ target: @escaping @Sendable (StoreError?) -> Void) { self.target = Mutex(target) }

  func call(_ failure: StoreError?) {
    let first = target.withLock { target in
      defer { target = nil }
      return target
    }
    first?(failure)
  }
}

/// Is raised once.
private final class Flag: Sendable {
  private let raised = Atomic(false)
  var isRaised: Bool { raised.load(ordering: .acquiring) }
  func raise() { raised.store(true, ordering: .releasing) }
}

/// What follows the shared records beside collections.
package protocol Follower: AnyObject, Sendable {
  /// Takes over what the records have now. On the writer's queue.
  ///
  /// - Returns: why that was not possible.
  func look() -> StoreError?

  /// What is here under a name in a token.
  func standing(_ name: String) -> VersionToken?
}

extension CollectionStore {
  /// Lets `follower` look at the records whenever the store does.
  package func add(_ follower: any Follower) { others.withLock { $0.append(follower) } }

  /// The records, where several replicas share them.
  package var sharedRecords: (any SharedRecords)? { writer.records as? any SharedRecords }

  /// Runs `body` on the writer's queue, between commits and looks at the records, and afterwards tells those who wait for versions.
  package func betweenCommits(_ body: @escaping @Sendable () -> Void) {
    writer.later { [self] in
      body()
      writer.versions.check()
    }
  }
}
