import Dispatch
import HTTP1
import JSON
import Safetensors
import Synchronization
import VectorStore

/// The export of a collection that stays in the database: one state of it, which a transaction of its own holds, as ``ExportEndpoint``
/// answers it.
struct DatabaseExport: Sendable {
  let access: DatabaseAccess
  let kept: KeptTransactions
  let longestHeader: Int

  func run(_ query: ExportQuery, _ call: Call) throws {
    try access.run(call) { try read(query, call) }
  }

  private func read(_ query: ExportQuery, _ call: Call) throws {
    let collection = access.collection
    let (key, snapshot) = try find(query)
    var description = JSONWriter()
    description.object { CollectionsEndpoint.members(collection, snapshot.state, to: &$0) }
    var lists = ExportLists()
    let end = try lists.read(
      snapshot, after: query.after, limit: query.limit ?? .max, part: query.part ?? .max,
      bytes: longestHeader - description.bytes.count * 2 - ExportEndpoint.headerRest, page: ExportEndpoint.page
    ) { call.isAbandoned }
    var fields = HTTPFields([("Content-Type", MediaType.safetensors.rawValue)])
    if end == .complete {
      kept.remove(key)
    } else {
      let endpoint = ExportTooLarge(longestHeader: longestHeader, collection: collection.name)
      guard let last = lists.last, lists.count > 0 else { throw endpoint.problem(end) }
      guard query.part != nil else { throw endpoint.problem }
      fields.append("Link", query.link(after: last, taken: lists.count, snapshot: key))
      kept.keep(key, snapshot)
    }
    call.note(collection.token(snapshot.state.version))
    let count = lists.count
    let head = try SafetensorsHead.pieces(
      name: "vectors", dtype: .f32, shape: [count, collection.dimension],
      escaped: lists.header(collection: description.bytes))
    let rows = VectorPieces(
      snapshot, after: query.after, rows: count, dimension: collection.dimension, pieceBytes: ExportEndpoint.pieceBytes)
    call.answer(Response(status: 200, fields: fields, stream: stream(head, rows)))
  }

  /// The state that the query wants: the newest, or the one that the answers before were of.
  private func find(_ query: ExportQuery) throws -> (key: String, snapshot: any DatabaseSnapshot) {
    guard let wanted = query.snapshot else {
      let made = try access.engine.snapshot(of: access.collection)
      // Drawn, so that nobody reads in the middle of another's export.
      return ("\(made.collection.id)-\(made.state.version)-\(UInt64.random(in: 0 ... .max))", made)
    }
    guard let held = kept.find(wanted), held.collection == access.collection else {
      throw Problem(
        409, "the version that the export began with is not kept any more: begin it anew", param: "snapshot")
    }
    return (wanted, held)
  }

  private func stream(_ head: [[UInt8]], _ rows: VectorPieces) -> BodyStream {
    let first = Mutex(head.filter { !$0.isEmpty }[...])
    let engine = access.engine
    return BodyStream(count: head.reduce(0) { $0 + $1.count } + rows.byteCount) { deliver in
      let isTaken = engine.submit {
        if let piece = first.withLock({ $0.popFirst() }) { return deliver(piece) }
        // Without the rest the connection is dropped.
        deliver(try? rows.next())
      }
      if !isTaken { deliver(nil) }
    }
  }
}

/// Transactions that are kept for exports in several answers. Each holds a connection, so they are few, and dropped when nobody has asked for
/// the next answer for a while.
final class KeptTransactions: Sendable {
  private static let most = 4
  private static let seconds = 120.0

  private struct Kept {
    let snapshot: any DatabaseSnapshot
    var since: UInt64
  }

  private let kept = Mutex<[String: Kept]>([:])
  private let now: @Sendable () -> UInt64
  private let timer = DispatchQueue(label: "nearfar.export.transactions")

  /// - Parameter now: the time in nanoseconds.
  init(now: @escaping @Sendable () -> UInt64) { self.now = now }

  func find(_ key: String) -> (any DatabaseSnapshot)? {
    let time = now()
    return kept.withLock { kept in
      kept[key]?.since = time
      return kept[key]?.snapshot
    }
  }

  func keep(_ key: String, _ snapshot: any DatabaseSnapshot) {
    let time = now()
    let dropped = kept.withLock { kept in
      kept[key] = Kept(snapshot: snapshot, since: time)
      return Self.prune(&kept, time)
    }
    _ = dropped
    // It is dropped in time even if nobody exports again.
    timer.asyncAfter(deadline: .now() + Self.seconds + 1) { [weak self] in
      guard let self else { return }
      let time = now()
      _ = kept.withLock { Self.prune(&$0, time) }
    }
  }

  func remove(_ key: String) {
    _ = kept.withLock { $0.removeValue(forKey: key) }
  }

  /// - Returns: what is not kept any more, whose connections are closed outside the lock.
  private static func prune(_ kept: inout [String: Kept], _ time: UInt64) -> [any DatabaseSnapshot] {
    var gone = kept.filter { Double(time &- $0.value.since) / 1e9 > seconds }
    for key in gone.keys { kept[key] = nil }
    for (key, entry) in kept.sorted(by: { $0.value.since < $1.value.since }).prefix(max(0, kept.count - most)) {
      gone[key] = entry
      kept[key] = nil
    }
    return gone.values.map(\.snapshot)
  }
}
