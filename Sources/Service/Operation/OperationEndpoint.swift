import CAssets
import HTTP1
import JSON
import SentenceEncoder
import SimilarityCore
import Synchronization
import VectorStore

/// What orchestrators, monitoring and people ask of a running service.
final class OperationEndpoint: Sendable {
  private let encoder: SentenceEncoder
  private let texts: TextEncoder
  private let store: CollectionStore
  private let queues: QueueRegistry
  private let configuration: ServiceConfiguration
  private let metrics: Metrics
  private let draining = Atomic(false)
  private let transport = Mutex<(@Sendable (inout MetricsText) -> Void)?>(nil)

  init(
    texts: TextEncoder, store: CollectionStore, queues: QueueRegistry, configuration: ServiceConfiguration,
    metrics: Metrics
  ) {
    self.queues = queues
    encoder = texts.encoder
    self.texts = texts
    self.store = store
    self.configuration = configuration
    self.metrics = metrics
  }

  /// Not ready from now on; what was accepted is still answered.
  func beginDraining() { draining.store(true, ordering: .releasing) }

  var isDraining: Bool { draining.load(ordering: .acquiring) }

  /// Adds what the transport counts to `/metrics`.
  func observe(transport write: @escaping @Sendable (inout MetricsText) -> Void) {
    transport.withLock { $0 = write }
  }

  /// The process runs.
  func live(_ call: Call) { Self.status("ok", call) }

  /// The model is loaded and the service takes requests: an instance exists only after loading.
  func ready(_ call: Call) throws {
    guard !isDraining else { return call.answer(Self.drainingAnswer(.native)) }
    Self.status("ready", call)
  }

  /// Work belongs to another replica now.
  static func drainingAnswer(_ style: ErrorStyle) -> Response {
    var response = Problem(503, "the service is draining").response(style)
    response.fields.set("Retry-After", "1")
    return response
  }

  private static func status(_ text: String, _ call: Call) {
    call.answer(reserving: 32) { writer in
      writer.beginObject()
      writer.member("status", text)
      writer.endObject()
    }
  }

  func info(_ call: Call) {
    call.answer(reserving: 1024) { writer in
      writer.beginObject()
      writer.member("name", "nearfar")
      writer.member("version", Version.current)
      writer.key("model")
      writer.beginObject()
      writer.member("name", encoder.name)
      writer.member("fingerprint", encoder.fingerprint)
      writer.member("dim", encoder.dimension)
      writer.member("max_seq_length", encoder.maxSequenceLength)
      writer.member("pooling", encoder.pooling.rawValue)
      writer.member("normalize", encoder.normalizes)
      writer.endObject()
      writer.member("precision", "f32")
      writer.member("threads", configuration.threads)
      writer.key("cpu")
      writer.beginObject()
      writer.member("kernels", Kernels.active.name)
      writer.member("onednn", MatrixLibrary.description)
      writer.endObject()
      writer.member("data", store.location.description)
      writer.member("read_only", store.isReadOnly)
      writer.key("collections")
      writer.beginObject()
      for collection in store.all { writer.member(collection.name, collection.snapshot.count) }
      writer.endObject()
      writer.key("graphs")
      writer.beginObject()
      for collection in store.all {
        guard let graph = collection.snapshot.graph else { continue }
        writer.key(collection.name)
        writer.beginObject()
        writer.member("nodes", graph.nodes)
        writer.member("mode", graph.ef == nil ? "exact" : "graph")
        if let ef = graph.ef { writer.member("ef", ef) }
        writer.member("recall_target", graph.target)
        writer.member("expected_recall", graph.expectedRecall)
        writer.key("measured")
        writer.beginObject()
        writer.member("rows", Int(graph.rows.rounded()))
        writer.member("queries", Int(graph.asked.rounded()))
        if let at = graph.measuredAt { writer.member("at", at) }
        writer.endObject()
        writer.endObject()
      }
      writer.endObject()
      writer.key("limits")
      writer.limits(configuration.limits)
      writer.endObject()
    }
  }

  func metrics(_ call: Call) {
    var text = MetricsText()
    text.family("nearfar_build_info", "gauge", "Version and active CPU code.")
    text.sample("nearfar_build_info", [("version", Version.current), ("kernels", Kernels.active.name)], 1)
    metrics.write(to: &text)
    text.family("nearfar_encode_waiting_texts", "gauge", "Texts that wait for a batch.")
    text.sample("nearfar_encode_waiting_texts", [], Double(texts.waiting))
    text.family("nearfar_collection_points", "gauge", "Points of a collection.")
    for collection in store.all {
      text.sample("nearfar_collection_points", [("collection", collection.name)], Double(collection.snapshot.count))
    }
    let graphs = store.all.compactMap { collection in
      collection.snapshot.graph.map { (labels: [("collection", collection.name)], graph: $0) }
    }
    text.family(
      "nearfar_collection_expected_recall", "gauge", "Recall@10 of searches that ask for none, as it was measured.")
    for each in graphs { text.sample("nearfar_collection_expected_recall", each.labels, each.graph.expectedRecall) }
    text.family("nearfar_collection_ef", "gauge", "The pool of searches that ask for none; 0 where they are exact.")
    for each in graphs { text.sample("nearfar_collection_ef", each.labels, Double(each.graph.ef ?? 0)) }
    text.family(
      "nearfar_collection_recall_queries", "gauge", "Queries that recall was measured on; older ones count for less.")
    for each in graphs {
      text.sample("nearfar_collection_recall_queries", each.labels + [("kind", "rows")], each.graph.rows)
      text.sample("nearfar_collection_recall_queries", each.labels + [("kind", "queries")], each.graph.asked)
    }
    text.family("nearfar_collection_recall_measured_timestamp_seconds", "gauge", "When recall was last measured.")
    for each in graphs {
      guard let at = each.graph.measuredAt else { continue }
      text.sample("nearfar_collection_recall_measured_timestamp_seconds", each.labels, Double(at))
    }
    text.family("nearfar_store_commits_total", "counter", "Transactions that stored batches of points.")
    text.sample(
      "nearfar_store_commits_total", [("data", store.location == .memory ? "memory" : "folder")], Double(store.commits))
    text.family("nearfar_queue_rows", "gauge", "Rows that a queue of negatives holds.")
    let held = queues.all.map { (labels: [("queue", $0.name)], counts: $0.counts) }
    for queue in held { text.sample("nearfar_queue_rows", queue.labels, Double(queue.counts.held)) }
    text.family("nearfar_queue_appended_total", "counter", "Rows that were appended to a queue of negatives.")
    for queue in held { text.sample("nearfar_queue_appended_total", queue.labels, Double(queue.counts.appended)) }
    ProcessMetrics.write(to: &text)
    transport.withLock { $0 }?(&text)
    call.answer(
      Response(
        status: 200, fields: HTTPFields([("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]),
        body: Array(text.text.utf8)))
  }

  func openapi(_ call: Call) {
    Self.asset(nearfar_openapi_yaml(), nearfar_openapi_yaml_length(), "application/yaml", call)
  }

  func page(_ call: Call) {
    Self.asset(nearfar_index_html(), nearfar_index_html_length(), "text/html; charset=utf-8", call)
  }

  // SAFETY: the asset is a constant array of `count` bytes in the program.
  private static func asset(_ bytes: UnsafePointer<UInt8>?, _ count: Int, _ type: String, _ call: Call) {
    let body = Array(UnsafeBufferPointer(start: bytes, count: count))
    call.answer(Response(status: 200, fields: HTTPFields([("Content-Type", type)]), body: body))
  }
}

extension JSONWriter {
  fileprivate mutating func limits(_ limits: Limits) {
    beginObject()
    for (name, value) in [
      ("max_body_bytes", limits.maxBodyBytes), ("max_inputs", limits.maxInputs),
      ("max_input_chars", limits.maxCharacters), ("max_dim", limits.maxDimension),
      ("max_k", limits.maxNeighbors), ("max_json_depth", limits.maxJSONDepth),
      ("max_head_bytes", limits.maxHeadBytes), ("max_fields", limits.maxFields),
    ] {
      member(name, value)
    }
    endObject()
  }
}
