import SQLiteRecords
import VectorStore

/// `nearfar check`: says whether a data folder that no service has open is whole, and changes nothing in it.
enum CheckCommand: Command {
  static let name = "check"
  static let summary = "say whether a data folder that no service has open is whole"
  static let details = """
    Reads a data folder that no service has open, as a start would, and changes nothing in it. One line per collection \
    goes to standard output.

    The exit status is 0 when everything is whole, 1 when something is damaged or the folder cannot be used, 3 when \
    there was not enough memory for the check, and 4 when the matrix library failed. After 3 and 4 nothing is known to \
    be damaged.
    """
  static let flags: [any CommandFlag] = [data]

  private static let data = Flag("data", .dataFolder, .required, "The data folder.")

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let folder = try arguments.value(data)
    let log = Log()
    var problems: [OpenError] = []
    do {
      try FolderCheck.run(data: folder, threads: Usable.cores, progress: log.info) { finding in
        print(line(finding))
        if let problem = finding.problem { problems.append(problem) }
      }
    } catch {
      log.plain("nearfar: \(error)")
      return error.cause.exitStatus
    }
    // Damage goes before what could not be checked.
    return problems.map(\.cause.exitStatus).min() ?? 0
  }

  private static func line(_ finding: CollectionFinding) -> String {
    let points = finding.count == 1 ? "1 point" : "\(finding.count) points"
    return """
      \(finding.name): \(points), version \(finding.version), \(finding.metric.rawValue), \(graph(finding)): \
      \(verdict(finding))
      """
  }

  private static func verdict(_ finding: CollectionFinding) -> String {
    guard let problem = finding.problem else { return "sound" }
    return switch problem.cause {
    case .unusable, .damaged, .gone: problem.description
    case .outOfMemory, .libraryFailed: "not checked: \(problem)"
    }
  }

  private static func graph(_ finding: CollectionFinding) -> String {
    let size = "graph of \(finding.graph.nodes) nodes and \(finding.graph.edges) edges"
    return switch finding.origin {
    case .none: "no graph"
    case .saved(let version, let added): "\(size) as saved at version \(version), \(added) added"
    case .built, .damaged: "\(size) built anew"
    }
  }
}

extension OpenError.Cause {
  /// How `nearfar check` ends.
  fileprivate var exitStatus: Int32 {
    switch self {
    case .unusable, .damaged, .gone: 1
    case .outOfMemory: 3
    case .libraryFailed: 4
    }
  }
}
