import Dispatch
import Encoder
import HTTP1
import JSON
import Platform
import SQLiteRecords
import Safetensors
import Service
import Synchronization
import VectorStore

/// Every route of the service, with bodies in both formats.
///
/// The input is up to six requests, which are sent one after another to one service, so that a later one meets the collections,
/// points and queues of the earlier ones. After an input that may have changed something there is a new service, whose collections
/// are empty; opening the records anew as well would take as long as a hundred answers.
///
/// A request is a line and a body: `PUT /collections/c/points s`, where the letter is the type of the body: `s` for safetensors (a body that begins with `{` stands for a header, the divider and the data, which are in
/// the part that follows), `a` for a JSON body whose answer is wanted as safetensors; anything else is JSON.
final class ServiceTarget {
  private let encoder = TinyModel.load(from: makeFolder())
  private let clock = FuzzClock()
  private var store = ServiceTarget.openStore()
  /// Inputs for which ``store`` may have been used.
  private var uses = 0
  /// The service, while no input has changed it.
  private var unchanged: Service?

  private static let limits: Limits = {
    var limits = Limits()
    limits.maxBodyBytes = 1 << 16
    limits.maxInputs = 64
    limits.maxCharacters = 4096
    limits.maxDimension = 64
    limits.maxNeighbors = 50
    return limits
  }()

  func run(_ input: [UInt8]) {
    let service = unchanged ?? makeService()
    unchanged = service
    var parts = Parts(input)
    for _ in 0..<6 where !parts.isEmpty {
      let text = parts.next()
      let end = text.firstIndex(of: 0x0A) ?? text.endIndex
      var body = Array(text[min(end + 1, text.endIndex)...])
      let words = String(decoding: text[..<end], as: UTF8.self).split(separator: " ")
      guard words.count >= 2, words[1].hasPrefix("/"), body.count <= Self.limits.maxBodyBytes else { continue }
      let kind = words.count > 2 ? words[2] : ""
      if kind == "s", body.first == 0x7B {
        let count = UInt64(body.count).littleEndian
        body = withUnsafeBytes(of: count) { Array($0) } + body + parts.next()
      }
      let method = HTTPMethod(name: String(words[0]))
      if Self.changes(method, String(words[1]), String(kind)) { unchanged = nil }
      send(method, String(words[1]), String(kind), body, to: service)
    }
    clock.advance()
  }

  private static func openStore() -> CollectionStore {
    must { try CollectionStore(records: SQLiteRecords.open(.memory)) }
  }

  private func makeService() -> Service {
    uses += 1
    if uses.isMultiple(of: 100) {
      store.close()
      store = Self.openStore()
    }
    for collection in store.all {
      let arrived = DispatchSemaphore(value: 0)
      store.delete(collection.name) { _ in arrived.signal() }
      arrived.wait()
    }
    return must {
      var configuration = ServiceConfiguration(threads: 1, limits: Self.limits, clock: { [clock] in clock.now })
      configuration.longestExportHeader = 4096
      return try Service(encoder: encoder, store: store, configuration: configuration)
    }
  }

  /// Whether a request may change what later ones meet.
  private static func changes(_ method: HTTPMethod, _ target: String, _ kind: String) -> Bool {
    kind == "k" || method != .get && (target.contains("/collections") || target.contains("/queues"))
  }

  private func send(_ method: HTTPMethod, _ target: String, _ kind: String, _ body: [UInt8], to service: Service) {
    var fields = HTTPFields()
    fields.append("Host", "h")
    if !body.isEmpty {
      fields.append("Content-Type", kind == "s" ? "application/x-safetensors" : "application/json")
    }
    if kind == "s" || kind == "a" { fields.append("Accept", "application/x-safetensors, application/json;q=0.5") }
    if kind == "k" { fields.append("Idempotency-Key", "one") }
    let head = RequestHead(method: method, target: target, fields: fields)
    let inbox = Inbox()
    switch service.admit(head, from: .unknown) {
    case .reject(let response), .answer(let response): inbox.send(response)
    case .accept(let most, let context):
      guard body.count <= most else { return }
      service.handle(Request(head: head, body: body, context: context), reply: inbox)
      service.endOfPass()
    }
    check(inbox.response(), "\(method.name) \(target)")
  }

  private func check(_ response: Response, _ request: String) {
    // 507 and 503 state that something is full, which is no fault.
    require(
      (200...499).contains(response.status) || [501, 503, 507].contains(response.status),
      "\(request) is answered \(response.status): \(String(decoding: response.body, as: UTF8.self))")
    require(response.fields["x-request-id"] != nil, "\(request): the answer has no X-Request-Id")
    var body = response.body
    if let stream = response.stream { body = collect(stream, request) }
    require(body.count <= 1 << 22, "\(request): an answer of \(body.count) bytes")
    let type = response.fields["content-type"] ?? ""
    if type.contains("json"), !body.isEmpty {
      do { _ = try JSONDocument(body, maxDepth: 64) } catch {
        finding("\(request): the answer is no JSON: \(error.describing()): \(String(decoding: body, as: UTF8.self))")
      }
    } else if type.contains("safetensors") {
      do { _ = try SafetensorsArchive(body) } catch {
        finding("\(request): the answer cannot be read: \(error.message)")
      }
    }
  }

  private func collect(_ stream: BodyStream, _ request: String) -> [UInt8] {
    var body: [UInt8] = []
    while body.count < stream.count ?? .max {
      let box = Pieces()
      stream.next { piece in box.put(piece) }
      guard let piece = box.take() else { finding("\(request): the stream breaks off after \(body.count) bytes") }
      if piece.isEmpty { break }
      body += piece
    }
    let announced = stream.count ?? body.count
    require(body.count == announced, "\(request): \(body.count) bytes where \(announced) were announced")
    return body
  }
}

/// A clock that moves between inputs only, so that an input always does the same.
private final class FuzzClock: Sendable {
  private let nanoseconds = Atomic<UInt64>(1)
  var now: UInt64 { nanoseconds.load(ordering: .relaxed) }
  func advance() { nanoseconds.wrappingAdd(1_000_000_000, ordering: .relaxed) }
}

/// Takes one value from another thread.
private final class Pieces: Sendable {
  private let piece = Mutex<[UInt8]?>(nil)
  private let arrived = DispatchSemaphore(value: 0)

  func put(_ bytes: [UInt8]?) {
    piece.withLock { $0 = bytes }
    arrived.signal()
  }

  func take() -> [UInt8]? {
    require(arrived.wait(timeout: .now() + 60) == .success, "a piece of a stream did not come within a minute")
    return piece.withLock { $0 }
  }
}

/// Takes the answer to a request.
private final class Inbox: ReplyChannel {
  private let answer = Mutex<Response?>(nil)
  private let arrived = DispatchSemaphore(value: 0)
  let receivedAt: UInt64 = SystemClock.monotonic
  let isAbandoned = false

  func send(_ response: Response) {
    answer.withLock { $0 = $0 ?? response }
    arrived.signal()
  }

  func response() -> Response {
    require(arrived.wait(timeout: .now() + 60) == .success, "no answer came within a minute")
    guard let response = answer.withLock({ $0 }) else { finding("an empty answer came") }
    return response
  }
}
