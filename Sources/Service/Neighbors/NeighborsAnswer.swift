import JSON
import VectorStore

/// The answer of `POST /neighbors`.
struct NeighborsAnswer {
  let request: NeighborsRequest
  let collection: String
  let version: Int
  /// Points of the collection.
  let count: Int
  let found: NeighborResult

  func write(to writer: inout JSONWriter) {
    let kept = found.neighbors.map(kept)
    let reasons = zip(kept, found.neighbors).map { shortReason(kept: $0.count, found: $1.count) }
    writer.object { writer in
      writer.member("collection", collection)
      writer.member("version", version)
      writer.member("mode", found.usedGraph ? "graph" : "exact")
      if let ef = found.ef { writer.member("ef", ef) }
      if let recall = found.expectedRecall { writer.member("expected_recall", recall) }
      writer.key("results")
      writer.array { writer in
        for neighbors in kept {
          writer.array { for neighbor in neighbors { write(neighbor, to: &$0) } }
        }
      }
      guard reasons.contains(where: { $0 != nil }) else { return }
      writer.key("short_reasons")
      writer.array { for reason in reasons { $0.string(orNull: reason) } }
    }
  }

  private func write(_ neighbor: Neighbor, to writer: inout JSONWriter) {
    writer.object { writer in
      writer.member("id", neighbor.id)
      writer.member("score", neighbor.score)
      writer.content(
        of: neighbor.point(withVector: request.includesVector), vector: request.includesVector,
        text: request.includesText, metadata: request.includesMetadata)
    }
  }

  /// Best first, so that what the threshold leaves is a prefix.
  private func kept(_ neighbors: [Neighbor]) -> ArraySlice<Neighbor> {
    guard let least = request.scoreThreshold else { return neighbors[...] }
    return neighbors.prefix { $0.score >= least }
  }

  /// Why a query got fewer than k; nil when it did not.
  private func shortReason(kept: Int, found: Int) -> String? {
    guard kept < request.k else { return nil }
    if kept < found { return "score_threshold left out the others: \(kept) points reach it" }
    let beside = if case .ids = request.query { " beside the query itself" } else { "" }
    if request.filter != nil, self.found.matching < count {
      return "the filter matches \(self.found.matching) of the \(count) points; \(found) can be found\(beside)"
    }
    guard found >= min(request.k, count - (beside.isEmpty ? 0 : 1)) else {
      return "the graph search found \(found) points; a larger ef or exact finds more"
    }
    return "the collection holds \(found) points\(beside)"
  }
}
