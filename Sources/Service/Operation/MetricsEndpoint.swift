import HTTP1
import SimilarityCore
import Synchronization
import VectorStore

/// `GET /metrics`: everything that the process counts, in Prometheus' text format.
final class MetricsEndpoint: Sendable {
  private let observation: Observation
  private let texts: TextEncoder
  private let store: CollectionStore
  private let queues: QueueRegistry
  private let transport = Mutex<(@Sendable (inout MetricsText) -> Void)?>(nil)

  init(observation: Observation, texts: TextEncoder, store: CollectionStore, queues: QueueRegistry) {
    self.observation = observation
    self.texts = texts
    self.store = store
    self.queues = queues
  }

  /// Adds what the transport counts.
  func observe(transport write: @escaping @Sendable (inout MetricsText) -> Void) {
    transport.withLock { $0 = write }
  }

  func page(_ call: Call) {
    var text = MetricsText()
    text.family("nearfar_build_info", "gauge", "Version and active CPU code.")
    text.sample("nearfar_build_info", [("version", Version.current), ("kernels", Kernels.active.name)], 1)
    observation.metrics.write(to: &text)
    observation.keys?.write(to: &text)
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
      "nearfar_store_commits_total", [("data", store.location.kind)], Double(store.commits))
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
}
