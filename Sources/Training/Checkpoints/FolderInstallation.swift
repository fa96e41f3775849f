import Platform

/// A model's folder that is being written: as a whole it appears or it does not.
///
/// The folder may hold other things already, such as the checkpoints of the run. Therefore everything is written into a folder
/// within it, flushed, and then moved file by file; what makes the folder a model, its `config.json` or else its `modules.json`,
/// comes last, and one of an earlier model is removed first. At every moment the folder is the new model, or is not a model.
package struct FolderInstallation: ~Copyable {
  private static let markers = ["config.json", "modules.json"]

  private let path: String
  private let operations: FileOperations
  /// The paths of the files within the folder, in the order in which they were written.
  private var files: [String] = []
  private var folders: [String] = []

  private var partial: String { "\(path)/.partial-model" }

  private init(_ path: String, _ operations: FileOperations) {
    (self.path, self.operations) = (path, operations)
  }

  /// Writes a model to the folder `path`, which is made where it is missing.
  ///
  /// - Parameter content: writes all files.
  /// - Throws: ``CheckpointError`` where a file cannot be written; the folder is as it was then, unless moving failed.
  package static func write(
    _ path: String, _ operations: FileOperations = FileOperations(),
    _ content: (inout FolderInstallation) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var installation = FolderInstallation(path, operations)
    try operations.makeFolders(path)
    do throws(CheckpointError) {
      try operations.remove(installation.partial)
      try operations.makeFolder(installation.partial)
      try content(&installation)
      for folder in installation.folders { try operations.flushFolder("\(installation.partial)/\(folder)") }
      try operations.flushFolder(installation.partial)
    } catch {
      operations.cleanUp(installation.partial, behind: error)
      throw error
    }
    try installation.move()
    try operations.remove(installation.partial)
  }

  /// Writes a file.
  ///
  /// - Parameter name: its path within the folder, in a folder of it at most.
  package mutating func write(_ name: String, _ bytes: [UInt8]) throws(CheckpointError) {
    try operations.write(try place(name), bytes)
  }

  /// Writes a safetensors file, with the metadata that transformers asks for.
  package mutating func write(_ name: String, _ tensors: [OutputTensor]) throws(CheckpointError) {
    try operations.write(try place(name), tensors, metadata: ["format": "pt"])
  }

  /// Copies a file from elsewhere.
  package mutating func copy(_ source: String, as name: String) throws(CheckpointError) {
    try operations.copy(source, to: try place(name))
  }

  /// Whether a file of this name was written.
  package func has(_ name: String) -> Bool { files.contains(name) }

  private mutating func place(_ name: String) throws(CheckpointError) -> String {
    if let slash = name.lastIndex(of: "/") {
      let folder = String(name[..<slash])
      if !folders.contains(folder) {
        try operations.makeFolders("\(partial)/\(folder)")
        folders.append(folder)
      }
    }
    files.append(name)
    return "\(partial)/\(name)"
  }

  private func move() throws(CheckpointError) {
    guard let marker = Self.markers.first(where: files.contains) else {
      throw CheckpointError(path, "there is neither config.json nor modules.json in the new model")
    }
    let old = Self.markers.filter { operations.isFile("\(path)/\($0)") }
    for name in old { try operations.remove("\(path)/\(name)") }
    if !old.isEmpty { try operations.flushFolder(path) }
    for folder in folders { try operations.makeFolders("\(path)/\(folder)") }
    for name in files where name != marker { try operations.rename("\(partial)/\(name)", to: "\(path)/\(name)") }
    for folder in folders { try operations.flushFolder("\(path)/\(folder)") }
    try operations.flushFolder(path)
    try operations.rename("\(partial)/\(marker)", to: "\(path)/\(marker)")
    try operations.flushFolder(path)
  }
}
