/// Whether a search goes over the graph, and with how large a pool.
struct SearchPlan {
  /// Fewer matches than this are streamed: a walk would pass more vectors that do not match.
  private static let mostStreamed = 20_000
  private static let largestPool = 4096

  /// nil for the exact search.
  let ef: Int?

  init(_ options: SearchOptions, live: Int, allowed: Int, graph: GraphState?) {
    guard let graph, allowed > 0 else {
      ef = nil
      return
    }
    // Of what a walk finds, this part counts: the rest is dead or does not match.
    let share = Double(allowed) / Double(max(allowed, graph.size))
    var asked: Int?
    switch options.mode {
    case .exact:
      ef = nil
      return
    case .graph(let wanted): asked = wanted
    case .automatic:
      guard allowed == live || allowed >= Self.mostStreamed else {
        ef = nil
        return
      }
    }
    // The pool was measured for ten neighbours.
    let pool = Double(asked ?? max(graph.ef, graph.ef * options.k / 10)) / share
    guard options.mode != .automatic || pool <= Double(Self.largestPool) else {
      ef = nil
      return
    }
    ef = max(1, Int(min(pool, Double(max(Self.largestPool, 2 * options.k)))))
  }
}
