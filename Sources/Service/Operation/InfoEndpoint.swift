import Encoder
import JSON
import SimilarityCore
import VectorStore

/// `GET /info`: the model, the limits, the processor's code and the collections.
struct InfoEndpoint: Sendable {
  let models: TextModels
  let scorer: PairScorer?
  let store: CollectionStore
  let configuration: ServiceConfiguration

  private var encoder: SentenceEncoder { models.first.encoder }

  func info(_ call: Call) {
    call.answer(reserving: 1024) { writer in
      writer.object { writer in
        writer.member("name", "nearfar")
        writer.member("version", Version.current)
        writer.key("model")
        writer.object { model(models.first, to: &$0) }
        precision(encoder.precision, to: &writer)
        writer.key("models")
        writer.array { writer in
          for texts in models.all {
            writer.object { writer in
              model(texts, to: &writer)
              precision(texts.encoder.precision, to: &writer)
            }
          }
        }
        writer.key("reranker")
        if let scorer { writer.object { reranker(scorer.encoder, to: &$0) } } else { writer.null() }
        writer.member("threads", configuration.threads)
        writer.key("cpu")
        writer.object { writer in
          writer.member("kernels", Kernels.active.name)
          writer.member("onednn", MatrixLibrary.description)
          if let usable = configuration.usable {
            writer.member("usable_cores", usable.cores)
            writer.key("quota_cores")
            if let quota = usable.quota { writer.number(quota) } else { writer.null() }
          }
        }
        if let usable = configuration.usable {
          writer.key("memory")
          writer.object { writer in
            writer.key("limit_bytes")
            if let limit = usable.memory { writer.integer(limit) } else { writer.null() }
          }
        }
        writer.member("data", store.location.description)
        writer.member("read_only", store.isReadOnly)
        writer.member("accept_token_ids", configuration.acceptsTokenIds)
        let collections = store.all
        writer.key("collections")
        writer.object { writer in
          for collection in collections { writer.member(collection.name, collection.snapshot.count) }
          for kept in store.database?.seen ?? [] { writer.member(kept.collection.name, kept.state.count) }
        }
        writer.key("graphs")
        writer.object { writer in
          for collection in collections { graph(of: collection, to: &writer) }
        }
        writer.key("limits")
        writer.object { limits(to: &$0) }
        likeTextEmbeddingsInference(to: &writer)
      }
    }
  }

  private func precision(_ choice: PrecisionChoice, to writer: inout JSONWriter) {
    writer.member("precision", choice.precision.rawValue)
    writer.member("precision_reason", choice.reason)
    writer.key("precision_accuracy")
    guard let accuracy = choice.accuracy else { return writer.null() }
    writer.object { writer in
      writer.member("lowest_cosine", accuracy.lowestCosine)
      writer.member("mean_cosine", accuracy.meanCosine)
      writer.member("texts", accuracy.texts)
    }
  }

  private func model(_ texts: TextEncoder, to writer: inout JSONWriter) {
    let encoder = texts.encoder
    writer.member("name", texts.name)
    writer.member("fingerprint", encoder.fingerprint)
    writer.member("dim", encoder.dimension)
    writer.member("max_seq_length", encoder.maxSequenceLength)
    writer.member("pooling", Pooling.name(of: encoder.poolings))
    writer.member("normalize", encoder.normalizes)
    writer.member("similarity", orNull: encoder.similarity?.rawValue)
    writer.key("prompts")
    writer.object { writer in
      for (name, text) in encoder.prompts.byName.sorted(by: { $0.key < $1.key }) { writer.member(name, text) }
    }
    writer.member("default_prompt", texts.prompts.standard)
    // What `input_type` puts before texts. Where the model has no prompt of a role, which is null, that is nothing, and
    // not the default prompt. Collections do the same where a request does not say, if one of the two is a text;
    // otherwise the default prompt stands before their queries and texts.
    writer.key("input_types")
    writer.object { writer in
      for role in Prompts.Role.allCases {
        writer.member(role.rawValue, orNull: encoder.prompts.prompt(for: role))
      }
    }
  }

  private func reranker(_ encoder: CrossEncoder, to writer: inout JSONWriter) {
    writer.member("name", encoder.name)
    writer.member("fingerprint", encoder.fingerprint)
    writer.key("labels")
    writer.array { for label in encoder.labels { $0.string(label) } }
    writer.member("max_seq_length", encoder.maxSequenceLength)
    precision(encoder.precision, to: &writer)
  }

  /// What searches of the collection do and reach, where it has a graph.
  private func graph(of collection: VectorCollection, to writer: inout JSONWriter) {
    guard let graph = collection.snapshot.graph else { return }
    writer.key(collection.name)
    writer.object { writer in
      writer.member("nodes", graph.nodes)
      writer.member("mode", graph.ef == nil ? "exact" : "graph")
      if let ef = graph.ef { writer.member("ef", ef) }
      writer.member("recall_target", graph.target)
      writer.member("expected_recall", graph.expectedRecall)
      writer.key("measured")
      writer.object { writer in
        writer.member("rows", Int(graph.rows.rounded()))
        writer.member("queries", Int(graph.asked.rounded()))
        if let at = graph.measuredAt { writer.member("at", at) }
      }
    }
  }

  private func limits(to writer: inout JSONWriter) {
    let limits = configuration.limits
    for (name, value) in [
      ("max_body_bytes", limits.maxBodyBytes), ("max_inputs", limits.maxInputs),
      ("max_input_chars", limits.maxCharacters), ("max_dim", limits.maxDimension),
      ("max_k", limits.maxNeighbors), ("max_json_depth", limits.maxJSONDepth),
      ("max_head_bytes", limits.maxHeadBytes), ("max_fields", limits.maxFields),
    ] {
      writer.member(name, value)
    }
    writer.member("max_connections", configuration.maxConnections)
    writer.member("max_connections_per_client", configuration.maxConnectionsPerClient)
    writer.member("max_requests_per_client", configuration.maxRequestsPerClient)
    writer.member("max_requests_per_key", configuration.maxRequestsPerKey)
    writer.member("embedding_cache_mb", configuration.embeddingCacheBytes >> 20)
    if let longest = configuration.maxSequenceLength { writer.member("max_seq_length", longest) }
    if let most = configuration.maxMemoryInFlight { writer.member("max_memory_in_flight", most) }
  }

  private var dtype: String {
    switch encoder.precision.precision {
    case .f32: "float32"
    case .bf16: "bfloat16"
    case .int8: "int8"
    }
  }

  /// The fields of text-embeddings-inference's `/info`, which its clients read before their first call. `version` is above.
  private func likeTextEmbeddingsInference(to writer: inout JSONWriter) {
    writer.member("model_id", models.first.name)
    writer.member("model_sha", orNull: nil)
    writer.member("model_dtype", dtype)
    writer.member("served_model_name", models.first.name)
    writer.key("model_type")
    writer.object { writer in
      writer.key("embedding")
      writer.object { $0.member("pooling", Pooling.name(of: encoder.poolings)) }
    }
    writer.member("max_concurrent_requests", configuration.maxConnections)
    writer.member("max_input_length", encoder.maxSequenceLength)
    // An input that is longer than the budget is a batch of its own.
    writer.member("max_batch_tokens", max(encoder.batchTokens, encoder.maxSequenceLength))
    writer.member("max_batch_requests", orNull: nil)
    writer.member("max_client_batch_size", configuration.limits.maxInputs)
    // What `truncate` is unless a request says otherwise.
    writer.member("auto_truncate", true)
    writer.member("tokenization_workers", configuration.threads)
    writer.member("sha", orNull: nil)
    writer.member("docker_label", orNull: nil)
  }
}
