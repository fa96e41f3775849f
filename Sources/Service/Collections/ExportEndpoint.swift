import HTTP1
import JSON
import Safetensors
import Synchronization
import VectorStore

/// `GET /collections/{name}/export`: one version of a collection as safetensors, its points in the order of their ids.
///
/// The vectors are read while they are sent, one piece ahead; beside them only ids, metadata and texts are held, as the header's text. That is
/// bounded by the format: a larger collection goes in parts, each a file of its own, all of one version.
struct ExportEndpoint: Sendable {
  let store: CollectionStore
  let kept: KeptSnapshots
  let transactions: KeptTransactions
  let work: WorkQueues
  /// Bytes that a header may have.
  let longestHeader: Int

  /// Points read at once.
  static let page = 1024
  /// Bytes of vectors made and sent at once, between other connections' turns.
  static let pieceBytes = 131_072
  /// What a header has beside the lists and the collection.
  static let headerRest = 512

  func run(_ call: Call) throws {
    if let access = try store.inDatabase(call) {
      let export = DatabaseExport(access: access, kept: transactions, longestHeader: longestHeader)
      return try export.run(try ExportQuery(call.head), call)
    }
    let collection = try store.collection(try call.name(of: "a collection"))
    let query = try ExportQuery(call.head)
    let (snapshot, held) = try find(query, collection)
    var description = JSONWriter()
    CollectionsEndpoint.describe(collection, snapshot, to: &description)
    var lists = ExportLists()
    let end = try lists.read(
      snapshot, after: query.after, limit: query.limit ?? .max, part: query.part ?? .max,
      bytes: longestHeader - description.bytes.count * 2 - Self.headerRest, page: Self.page
    ) { call.isAbandoned }
    let key = KeptSnapshots.key(collection, snapshot)
    call.note(collection.token(snapshot.version))
    var fields = HTTPFields([("Content-Type", MediaType.safetensors.rawValue)])
    var use = held
    if end != .complete {
      guard let last = lists.last, lists.count > 0 else { throw tooLarge(collection).problem(end) }
      guard query.part != nil else { throw tooLarge(collection).problem }
      fields.append("Link", query.link(after: last, taken: lists.count, snapshot: key))
      use = use ?? kept.keep(key, snapshot)
    }
    let count = lists.count
    let head = try SafetensorsHead.pieces(
      name: "vectors", dtype: .f32, shape: [count, collection.dimension],
      escaped: lists.header(collection: description.bytes))
    let rows = VectorPieces(
      snapshot, after: query.after, rows: count, dimension: collection.dimension, pieceBytes: Self.pieceBytes)
    call.answer(Response(status: 200, fields: fields, stream: stream(head, rows, holding: use)))
  }

  /// The version that the query wants: the newest, or the one that the answers before were of.
  private func find(
    _ query: ExportQuery, _ collection: VectorCollection
  ) throws(Problem) -> (CollectionSnapshot, KeptSnapshots.Use?) {
    let newest = collection.snapshot
    guard let wanted = query.snapshot else { return (newest, nil) }
    if let use = kept.use(wanted) { return (use.snapshot, use) }
    guard wanted == KeptSnapshots.key(collection, newest) else {
      throw Problem(
        409, "the version that the export began with is not kept any more: begin it anew", param: "snapshot")
    }
    return (newest, nil)
  }

  /// - Parameter use: held until the answer has left.
  private func stream(_ head: [[UInt8]], _ rows: VectorPieces, holding use: KeptSnapshots.Use?) -> BodyStream {
    let first = Mutex(head.filter { !$0.isEmpty }[...])
    return BodyStream(count: head.reduce(0) { $0 + $1.count } + rows.byteCount) { [work] deliver in
      // On a work queue, since rows may have to be read from the disk.
      work.submit {
        deliver(withExtendedLifetime(use) { first.withLock { $0.popFirst() } ?? (try? rows.next()) })
      }
    }
  }

  private func tooLarge(_ collection: VectorCollection) -> ExportTooLarge {
    ExportTooLarge(longestHeader: longestHeader, collection: collection.name)
  }
}

/// Why one file cannot hold an export.
struct ExportTooLarge: Sendable {
  let longestHeader: Int
  /// The collection's name.
  let collection: String

  var problem: Problem {
    Problem(
      413,
      """
      ids, metadata and texts need more than the \(longestHeader) bytes that the header of one file may have: \
      'nearfar export' writes several files; with part=N an answer has at most N points, and no more than fit, and its Link \
      field names the next
      """)
  }

  /// - Parameter end: why there is not even one point.
  func problem(_ end: ExportLists.End) -> Problem {
    guard case .full(let id) = end else { return problem }
    return Problem(
      413,
      """
      the point '\(id)' alone needs more than the \(longestHeader) bytes that the header of one file may have: \
      GET /collections/\(collection)/points/ID has it
      """)
  }
}

/// What `GET /collections/{name}/export` is asked for.
struct ExportQuery {
  /// Only points whose ids come after this one.
  var after: String?
  /// At most so many points; nil for all.
  var limit: Int?
  /// At most so many points in one answer, and no more than fit; nil wants all in one.
  var part: Int?
  /// The version that the answers before were of.
  var snapshot: String?

  init(_ head: RequestHead) throws(Problem) {
    for (name, value) in head.queryItems {
      switch name {
      case "after":
        try PointsRequest.check(after: value)
        after = value
      case "limit": limit = try Self.count(name, value)
      case "part": part = try Self.count(name, value)
      case "snapshot": snapshot = value
      default: throw Problem.invalid(name, "unknown query parameter '\(name)'")
      }
    }
  }

  private static func count(_ name: String, _ value: String) throws(Problem) -> Int {
    guard let number = Int(decimal: value), number > 0 else {
      throw Problem.invalid(name, "must be a whole number from 1 on")
    }
    return number
  }

  /// Where the rest is, behind `taken` points of which `last` was the last one: a reference to be resolved against this
  /// request's URL, whatever prefix a proxy has put there, as the value of a Link field (RFC 8288).
  func link(after last: String, taken: Int, snapshot: String) -> String {
    var items = ["after=\(Self.encoded(last))"]
    if let limit { items.append("limit=\(limit - taken)") }
    if let part { items.append("part=\(part)") }
    items.append("snapshot=\(snapshot)")
    return "<?\(items.joined(separator: "&"))>; rel=\"next\""
  }

  /// All but unreserved characters percent-encoded (RFC 3986, 2.3).
  private static func encoded(_ text: String) -> String {
    var out: [UInt8] = []
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        out.append(byte)
      default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
