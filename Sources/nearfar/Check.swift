import VectorStore

/// `nearfar check`: says whether a data folder that no service has open is whole, and changes nothing in it.
enum Check {
  static let flags = ["data"]

  /// - Returns: the exit status: 0 when everything is whole, 1 when something is wrong or the folder is refused.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    guard let folder = options.string("data"), !folder.isEmpty, folder != ":memory:" else {
      throw UsageError(description: "--data must name the data folder")
    }
    let log = Log(json: false)
    var problems = 0
    do {
      try FolderCheck.run(data: folder, threads: UsableCores.count, progress: log.info) { finding in
        print(line(finding))
        if finding.problem != nil { problems += 1 }
      }
    } catch {
      log.plain("nearfar: \(error)")
      return 1
    }
    return problems == 0 ? 0 : 1
  }

  private static func line(_ finding: FolderCheck.Finding) -> String {
    """
    \(finding.name): \(finding.count) points, version \(finding.version), \(finding.metric.rawValue), \(graph(finding)): \
    \(finding.problem ?? "sound")
    """
  }

  private static func graph(_ finding: FolderCheck.Finding) -> String {
    let size = "graph of \(finding.graph.nodes) nodes and \(finding.graph.edges) edges"
    return switch finding.origin {
    case .none: "no graph"
    case .saved(let version, let added): "\(size) as saved at version \(version), \(added) added"
    case .built, .damaged: "\(size) built anew"
    }
  }
}
