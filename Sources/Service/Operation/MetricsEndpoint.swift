import HTTP1
import SimilarityCore
import Synchronization
import VectorStore

/// `GET /metrics`: everything that the process counts, in Prometheus' text format.
final class MetricsEndpoint: Sendable {
  private let metrics: Metrics
  private let lanes: WorkLanes
  private let models: TextModels
  private let scorer: PairScorer?
  private let store: CollectionStore
  private let queues: QueueRegistry
  private let others = Mutex<[@Sendable (inout MetricsText) -> Void]>([])

  init(
    metrics: Metrics, lanes: WorkLanes, models: TextModels, scorer: PairScorer?, store: CollectionStore,
    queues: QueueRegistry
  ) {
    self.metrics = metrics
    self.lanes = lanes
    self.models = models
    self.scorer = scorer
    self.store = store
    self.queues = queues
  }

  /// Adds what others count.
  func add(_ write: @escaping @Sendable (inout MetricsText) -> Void) {
    others.withLock { $0.append(write) }
  }

  func page(_ call: Call) {
    var text = MetricsText()
    text.family("nearfar_build_info", "gauge", "Version and active CPU code.")
    text.sample("nearfar_build_info", [("version", Version.current), ("kernels", Kernels.active.name)], 1)
    metrics.write(to: &text)
    text.family("nearfar_lane_waiting_requests", "gauge", "Requests that wait for their turn in a lane.")
    for (lane, meter) in lanes.waits {
      text.sample("nearfar_lane_waiting_requests", [("lane", lane)], Double(meter.waiting))
    }
    text.family("nearfar_lane_wait_seconds", "histogram", "How long requests waited for their turn in a lane.")
    for (lane, meter) in lanes.waits { text.histogram("nearfar_lane_wait_seconds", [("lane", lane)], meter.waits) }
    text.family("nearfar_encode_waiting_texts", "gauge", "Texts that wait for a batch.")
    for (lane, count) in models.waiting {
      let pairs = scorer?.waiting.first { $0.lane == lane }?.texts ?? 0
      text.sample("nearfar_encode_waiting_texts", [("lane", lane)], Double(count + pairs))
    }
    let caches = models.all.compactMap { $0.cache?.statistics }
    if let first = caches.first { Self.write(caches.dropFirst().reduce(first, +), to: &text) }
    text.family("nearfar_collection_points", "gauge", "Points of a collection.")
    for collection in store.all {
      text.sample("nearfar_collection_points", [("collection", collection.name)], Double(collection.snapshot.count))
    }
    for kept in store.database?.seen ?? [] {
      text.sample("nearfar_collection_points", [("collection", kept.collection.name)], Double(kept.state.count))
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
      "nearfar_store_commits_total", [("data", store.location.kind)], Double(store.commits))
    if store.isShared {
      text.family(
        "nearfar_store_stale_seconds", "gauge", "Seconds since all that the shared database has was known to be here.")
      text.sample("nearfar_store_stale_seconds", [], store.staleSeconds(of: nil))
    }
    text.family("nearfar_queue_rows", "gauge", "Rows that a queue of negatives holds.")
    let held = queues.all.map { (labels: [("queue", $0.name)], counts: $0.counts) }
    for queue in held { text.sample("nearfar_queue_rows", queue.labels, Double(queue.counts.held)) }
    text.family("nearfar_queue_appended_total", "counter", "Rows that were appended to a queue of negatives.")
    for queue in held { text.sample("nearfar_queue_appended_total", queue.labels, Double(queue.counts.appended)) }
    ProcessMetrics.write(to: &text)
    for write in others.withLock({ $0 }) { write(&text) }
    call.answer(
      Response(
        status: 200, fields: HTTPFields([("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]),
        body: Array(text.text.utf8)))
  }

  private static func write(_ cache: EmbeddingCache.Statistics, to text: inout MetricsText) {
    for (name, help, value) in [
      ("nearfar_embedding_cache_vectors", "Vectors that are kept for texts that come again.", cache.vectors),
      ("nearfar_embedding_cache_bytes", "Memory of these vectors.", cache.bytes),
    ] {
      text.family(name, "gauge", help)
      text.sample(name, [], Double(value))
    }
    for (name, help, value) in [
      ("nearfar_embedding_cache_hits_total", "Texts whose vectors were kept.", cache.hits),
      ("nearfar_embedding_cache_misses_total", "Texts whose vectors were not kept.", cache.misses),
      ("nearfar_embedding_cache_evictions_total", "Vectors that made room for others.", cache.evictions),
    ] {
      text.family(name, "counter", help)
      text.sample(name, [], Double(value))
    }
  }
}
