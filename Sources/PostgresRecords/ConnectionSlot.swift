import Dispatch
import Platform
import VectorStore

/// A place for one connection, which is made when it is needed and made again after it was lost. Calls take turns.
///
/// After a failed attempt the next one is not made before some time has passed, which doubles from a tenth of a second to two
/// seconds and is shortened by chance, so that many replicas do not come back at the same moment. Calls meanwhile fail at once.
// SAFETY: every variable is used on `queue` only.
final class ConnectionSlot: @unchecked Sendable {
  private let servers: ServerOrder
  private let name: String
  private let queue: DispatchQueue
  private var connection: PostgresConnection?
  private var failures = 0
  private var nextAttempt: UInt64 = 0
  private var failedAt: UInt64 = 0
  private var lastFailure = PostgresError.lost("no connection yet")
  private var isClosed = false

  /// Knows whether the database answers; nil for what finds that out.
  private let watch: DatabaseWatch?

  private static let connectSeconds = 1.2

  /// - Parameter name: shown by the database in `pg_stat_activity`.
  init(_ servers: ServerOrder, name: String, watch: DatabaseWatch? = nil) {
    self.servers = servers
    self.name = name
    self.watch = watch
    queue = DispatchQueue(label: "nearfar.records.postgresql", qos: .userInitiated)
  }

  /// Calls `body` with the connection.
  ///
  /// - Parameter patiently: waits for the next attempt instead of failing at once.
  func with<Answer>(
    patiently: Bool = false, _ body: (PostgresConnection) throws(PostgresError) -> Answer
  ) throws(PostgresError) -> Answer {
    let result = queue.sync { () -> Result<Answer, PostgresError> in
      do throws(PostgresError) {
        // What somebody else has sent ahead is given up rather than taken for the answer to this.
        if let connection, connection.begun != nil { connection.abandon() }
        return .success(try body(try opened(patiently: patiently)))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Calls `body`, which must not wait, with the connection where it is open.
  ///
  /// - Returns: the connection's socket; nil where there is no connection, or `body` returned false.
  func begin(_ body: (PostgresConnection) throws(PostgresError) -> Bool) -> Int32? {
    queue.sync {
      guard !isClosed, let connection, !connection.isLost, !(watch?.isAway ?? false) else { return nil }
      do throws(PostgresError) { return try body(connection) ? connection.descriptor : nil } catch { return nil }
    }
  }

  /// Takes what has arrived of the answer to what ``begin(_:)`` has sent, without waiting.
  ///
  /// - Parameters:
  ///   - deadline: by which the answer has to be there.
  ///   - ended: called with the socket, while it is open, when nothing more is to be waited for there.
  /// - Returns: the answer; nil while a part of it is missing.
  func progress(until deadline: Double, _ ended: (Int32) -> Void) -> Result<[PostgresResult], PostgresError>? {
    queue.sync {
      guard !isClosed else { return .failure(.closed) }
      guard let connection, !connection.isLost, connection.begun != nil else {
        return .failure(.lost("the connection was given up"))
      }
      do throws(PostgresError) {
        guard let results = try connection.progress() else {
          guard PostgresConnection.now > deadline || (watch?.isAway ?? false) else { return nil }
          throw connection.timeOut()
        }
        ended(connection.descriptor)
        return .success(results)
      } catch {
        ended(connection.descriptor)
        return .failure(error)
      }
    }
  }

  func close() {
    queue.sync {
      isClosed = true
      connection = nil
    }
  }

  private func opened(patiently: Bool) throws(PostgresError) -> PostgresConnection {
    guard !isClosed else { throw .closed }
    if let connection, !connection.isLost {
      guard patiently || !(watch?.isAway ?? false) else { throw .lost(PostgresConnection.silence) }
      return connection
    }
    connection = nil
    let now = SystemClock.monotonic
    // Whatever was wrong is over when others have had an answer since.
    if now < nextAttempt, (watch?.lastAnswer ?? 0) <= failedAt {
      guard patiently else { throw lastFailure }
      usleep(UInt32(truncatingIfNeeded: (nextAttempt - now) / 1000))
    }
    do throws(PostgresError) {
      let made = try PostgresConnection(servers, name: name, seconds: Self.connectSeconds) { [watch] in
        watch?.isAway ?? false
      }
      failures = 0
      connection = made
      return made
    } catch {
      let longest = min(2.0, 0.1 * Double(1 << min(failures, 5)))
      failures += 1
      failedAt = SystemClock.monotonic
      nextAttempt = SystemClock.monotonic + SystemClock.nanoseconds(longest * Double.random(in: 0.5...1))
      lastFailure = error
      throw error
    }
  }
}
