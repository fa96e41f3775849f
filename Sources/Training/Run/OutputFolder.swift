import Platform

/// What is in the folder that a training is to write to.
enum OutputFolder {
  case empty
  /// A training that has not ended.
  case interrupted
  /// A training that has ended.
  case finished
  /// Something else, which must not be written over.
  case foreign

  init(_ path: String) throws(RunError) {
    guard let names = Folder.names(in: path) else {
      guard errno == ENOENT else { throw RunError("--output \(path): \(systemMessage())") }
      self = .empty
      return
    }
    let found = Set(names).subtracting([".", ".."])
    if found.isEmpty {
      self = .empty
    } else if found.contains(RunCheckpoints.name) {
      self = .interrupted
    } else if found.contains(MetricsFile.name), found.contains("modules.json") {
      self = .finished
    } else {
      self = .foreign
    }
  }

  /// - Returns: false where there is nothing to do.
  /// - Throws: ``RunError`` where the folder must not be written to.
  static func check(_ path: String, resumes: Bool) throws(RunError) -> Bool {
    switch (try OutputFolder(path), resumes) {
    case (.empty, _), (.interrupted, true): return true
    case (.finished, true): return false
    case (.interrupted, false):
      throw RunError("--output \(path) has a training that was interrupted: --resume goes on with it")
    case (.finished, false):
      throw RunError("--output \(path) has a model that was trained before; choose another folder")
    case (.foreign, _):
      throw RunError("--output \(path) has files that are not of a training; choose an empty folder or a new one")
    }
  }
}
