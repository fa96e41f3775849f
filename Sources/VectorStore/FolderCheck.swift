import VectorIndex

/// Looks a data folder through as the service would at its start, and changes nothing in it.
public enum FolderCheck {
  /// What was found of one collection.
  public struct Finding: Sendable {
    public let name: String
    public let count: Int
    public let version: Int
    public let metric: Metric
    public var origin = GraphOrigin.none
    public var graph = GraphReport()
    /// What is wrong; nil when it is sound.
    public var problem: String?
  }

  /// - Parameters:
  ///   - threads: how many build a graph.
  ///   - progress: gets a line now and then.
  ///   - body: is called for each collection.
  /// - Throws: ``OpenError`` naming the path: a folder that is in use, a newer or foreign file, damage beyond one collection.
  public static func run(
    data folder: String, threads: Int = 1, progress: @escaping @Sendable (String) -> Void = { _ in },
    _ body: (Finding) -> Void
  ) throws(OpenError) {
    var options = IndexOptions()
    options.threads = max(1, threads)
    try run(data: folder, index: options, progress: progress, body)
  }

  /// - Parameter readOnly: takes the folder for one that cannot be written.
  package static func run(
    data path: String, index options: IndexOptions, readOnly: Bool = false,
    progress: @escaping @Sendable (String) -> Void = { _ in },
    _ body: (Finding) -> Void
  ) throws(OpenError) {
    // A folder is not made, nor a lock in a folder of something else.
    guard DataFolder.exists(path) else { throw OpenError("\(DataFolder.database(in: path)) is not there") }
    let folder = try DataFolder(path, readOnly: readOnly)
    // Locked to the end.
    try withExtendedLifetime(folder) { () throws(OpenError) in
      let records = try SQLiteRecords.open(in: folder, writes: false)
      let stored: [StoredCollection]
      do throws(StoreError) { stored = try records.collections() } catch { throw OpenError("\(path): \(error)") }
      for row in stored {
        let file = GraphFile(in: path, collection: row.id, progress: progress)
        body(finding(row, records, options, file, progress))
      }
    }
  }

  private static func finding(
    _ row: StoredCollection, _ records: SQLiteRecords, _ options: IndexOptions, _ file: GraphFile,
    _ progress: (String) -> Void
  ) -> Finding {
    var finding = Finding(
      name: row.name, count: Int(row.count), version: Int(row.version), metric: row.metric)
    do throws(OpenError) {
      let (index, snapshot, origin) = try Loading.load(row, from: records, options, file, progress: progress)
      finding.origin = origin
      finding.graph = index.validate()
      finding.problem = problem(finding, isGraph: snapshot.graph != nil)
    } catch {
      finding.problem = error.description
    }
    return finding
  }

  private static func problem(_ finding: Finding, isGraph: Bool) -> String? {
    if case .damaged(let text) = finding.origin { return text }
    let graph = finding.graph
    guard !isGraph || graph.nodes == finding.count else { return "the graph has \(graph.nodes) nodes" }
    guard graph.isSound else {
      return
        "the graph has \(graph.unreachable) unreachable nodes, \(graph.dangling) dangling edges, \(graph.repeated) broken lists"
    }
    return nil
  }
}
