import HTTP1
import JSON
import Safetensors
import Synchronization
import VectorStore

/// `GET /collections/{name}/export`: one version of a collection as safetensors, its points in the order of their ids.
///
/// The vectors are read while they are sent; beside them only ids, metadata and texts are held, as the header's text.
struct ExportEndpoint: Sendable {
  let store: CollectionStore

  /// Points read at once.
  private static let page = 1024
  /// Bytes of vectors sent at once: made on the event loop, between other connections' turns.
  private static let pieceBytes = 131_072

  /// `?after=ID&limit=N` exports a part, for a collection whose ids and metadata are more than one header may hold.
  func run(_ call: Call) throws {
    let collection = try store.collection(try CollectionsEndpoint.name(call))
    var after: String?
    var limit = Int.max
    for (name, value) in call.head.queryItems {
      switch name {
      case "after": after = value
      case "limit":
        guard let number = Int(decimal: value), number > 0 else {
          throw Problem.invalid("limit", "must be a whole number from 1 on")
        }
        limit = number
      default: throw Problem.invalid(name, "unknown query parameter '\(name)'")
      }
    }
    let snapshot = collection.snapshot
    var lists = ExportLists()
    try lists.read(snapshot, after: after, limit: limit, page: Self.page) { call.isAbandoned }
    var description = JSONWriter()
    CollectionsEndpoint.describe(collection, snapshot, to: &description)
    let head: [UInt8]
    do {
      head = try SafetensorsHead.bytes(
        name: "vectors", dtype: .f32, shape: [lists.count, collection.dimension],
        metadata: lists.metadata(collection: description.bytes))
    } catch {
      throw Problem(413, "ids, metadata and texts are too large for one file: ask for parts with after and limit")
    }
    let rows = VectorPieces(
      snapshot, after: after, rows: lists.count, dimension: collection.dimension, pieceBytes: Self.pieceBytes)
    let first = Mutex<[UInt8]>(head)
    let count = head.count + rows.byteCount
    let stream = BodyStream(count: count) {
      let head = first.withLock { bytes in
        defer { bytes = [] }
        return bytes
      }
      return head.isEmpty ? rows.next() : head
    }
    call.answer(
      Response(
        status: 200, fields: HTTPFields([("Content-Type", MediaType.safetensors.rawValue)]), stream: stream))
  }
}
