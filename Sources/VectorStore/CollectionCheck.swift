import VectorIndex

/// Loads every collection of some records as a start would, and changes nothing.
package enum CollectionCheck {
  /// - Parameters:
  ///   - records: opened, and not told to begin writing.
  ///   - body: called with what was found, for each collection.
  /// - Throws: ``OpenError`` when not even the list of collections can be read.
  package static func run(
    _ records: any Records, index options: IndexOptions,
    progress: @escaping @Sendable (String) -> Void = { _ in },
    _ body: (CollectionFinding) -> Void
  ) throws(OpenError) {
    let stored: [StoredCollection]
    do throws(StoreError) {
      stored = try records.collections()
    } catch {
      throw OpenError("\(records.location): the collections cannot be read", error)
    }
    for row in stored {
      let file = records.location.folder.map { GraphFile(in: $0, collection: row.id, progress: progress) }
      body(finding(row, records, options, file, progress))
    }
  }

  private static func finding(
    _ row: StoredCollection, _ records: any Records, _ options: IndexOptions, _ file: GraphFile?,
    _ progress: (String) -> Void
  ) -> CollectionFinding {
    var finding = CollectionFinding(name: row.name, count: row.count, version: row.version, metric: row.metric)
    do throws(OpenError) {
      let (index, snapshot, origin) = try Loading.load(row, from: records, options, file, progress: progress)
      finding.origin = origin
      finding.graph = index.validate()
      finding.problem = graphProblem(finding, hasGraph: snapshot.graph != nil)
    } catch {
      finding.problem = error
    }
    return finding
  }

  private static func graphProblem(_ finding: CollectionFinding, hasGraph: Bool) -> OpenError? {
    if case .damaged(let text) = finding.origin { return OpenError(text, cause: .damaged) }
    let graph = finding.graph
    guard !hasGraph || graph.nodes == finding.count else {
      return OpenError("the graph has \(graph.nodes) nodes", cause: .damaged)
    }
    guard graph.isSound else {
      return OpenError(
        "the graph has \(graph.unreachable) unreachable nodes, \(graph.dangling) dangling edges, \(graph.repeated) broken lists",
        cause: .damaged)
    }
    return nil
  }
}

/// What a check found out about one collection.
public struct CollectionFinding: Sendable {
  public let name: String
  public let count: Int
  public let version: Int
  public let metric: Metric
  public internal(set) var origin = GraphOrigin.none
  public internal(set) var graph = GraphReport()
  /// What is wrong, or why the collection could not be checked (``OpenError/cause`` tells which); nil when it is sound.
  public internal(set) var problem: OpenError?
}
