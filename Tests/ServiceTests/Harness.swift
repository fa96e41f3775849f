import Foundation
import HTTP1
import Service
import StoreSupport
import Synchronization
import TestSupport
import VectorStore

/// Receives the answer to a request that a test passes to the service without a socket.
final class Inbox: ReplyChannel {
  private let state = Mutex<(response: Response?, abandoned: Bool)>((nil, false))
  private let arrived = DispatchSemaphore(value: 0)
  let receivedAt: UInt64 = DispatchTime.now().uptimeNanoseconds

  func send(_ response: Response) {
    state.withLock { $0.response = $0.response ?? response }
    arrived.signal()
  }

  var isAbandoned: Bool { state.withLock { $0.abandoned } }

  func abandon() { state.withLock { $0.abandoned = true } }

  var hasAnswer: Bool { state.withLock { $0.response != nil } }

  /// Returns the answer, after waiting for at most a minute.
  func response() throws -> Response {
    guard arrived.wait(timeout: .now() + 60) == .success, let response = state.withLock({ $0.response }) else {
      throw NoAnswer()
    }
    return response
  }

  struct NoAnswer: Error {}
}

/// A service with the default model, to which tests send requests.
struct Harness {
  let service: Service

  init(service: Service) {
    self.service = service
  }

  init(
    limits: Limits = Limits(), threads: Int = 2, clock: (@Sendable () -> UInt64)? = nil,
    longestExportHeader: Int? = nil, embeddingCacheBytes: Int = 0, store: CollectionStore? = nil
  ) throws {
    var configuration = ServiceConfiguration(threads: threads, limits: limits)
    configuration.embeddingCacheBytes = embeddingCacheBytes
    if let clock { configuration.clock = clock }
    if let longestExportHeader { configuration.longestExportHeader = longestExportHeader }
    service = try Service(
      LoadedModels([LoadedModels.Source(folder: ModelFolder.path)], configuration), store: store ?? CollectionStore(),
      configuration: configuration)
  }

  /// Passes a request to the service as the event loop would.
  func start(
    _ method: HTTPMethod, _ target: String, _ body: String = "", fields: [(String, String)] = [], endsPass: Bool = true
  ) -> Inbox {
    start(method, target, bytes: Array(body.utf8), fields: fields, endsPass: endsPass)
  }

  func start(
    _ method: HTTPMethod, _ target: String, bytes body: [UInt8], fields: [(String, String)], endsPass: Bool = true
  ) -> Inbox {
    let inbox = Inbox()
    var all = HTTPFields(fields)
    if !body.isEmpty && all["content-type"] == nil { all.append("Content-Type", "application/json") }
    let head = RequestHead(method: method, target: target, fields: all)
    switch service.admit(head, from: .unknown) {
    case .reject(let response), .answer(let response): inbox.send(response)
    case .accept(_, let context):
      service.handle(Request(head: head, body: body, context: context), reply: inbox)
      if endsPass { service.endOfPass() }
    }
    return inbox
  }

  func send(
    _ method: HTTPMethod, _ target: String, _ body: String = "", fields: [(String, String)] = []
  ) throws -> Answer {
    Answer(try start(method, target, body, fields: fields).response())
  }

  func post(_ target: String, _ body: String) throws -> Answer { try send(.post, target, body) }
}

/// A response with its parsed JSON.
struct Answer {
  let response: Response
  var status: Int { response.status }
  var text: String { String(decoding: response.body, as: UTF8.self) }
  var json: Any? { try? JSONSerialization.jsonObject(with: Data(response.body), options: .fragmentsAllowed) }
  var object: [String: Any] { json as? [String: Any] ?? [:] }
  var rows: [[Double]] { json as? [[Double]] ?? [] }
  var detail: String { object["detail"] as? String ?? "" }
  var param: String? { object["param"] as? String }

  init(_ response: Response) {
    self.response = response
  }
}
