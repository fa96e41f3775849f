import Platform

/// The operations on files of which checkpoints are made, each of which may be the last one before the process is killed.
package struct FileOperations: Sendable {
  /// Called with a description before each operation; when it returns false, the work stops there, and nothing is cleaned up, as
  /// if the process were killed. For tests.
  package var mayGoOn: (@Sendable (String) -> Bool)?

  package init(mayGoOn: (@Sendable (String) -> Bool)? = nil) { self.mayGoOn = mayGoOn }

  func announce(_ operation: String) throws(CheckpointError) {
    if let mayGoOn, !mayGoOn(operation) { throw .stopped(before: operation) }
  }

  /// Makes a folder; one that is there already will do.
  func makeFolder(_ path: String) throws(CheckpointError) {
    try announce("make folder \(path)")
    if mkdir(path, 0o777) == 0 || isFolder(path) { return }
    throw CheckpointError(path, errno == EEXIST ? "is not a folder" : "cannot be made: \(systemMessage())")
  }

  /// Makes a folder and those above it.
  func makeFolders(_ path: String) throws(CheckpointError) {
    if isFolder(path) { return }
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex { try makeFolders(String(path[..<slash])) }
    try makeFolder(path)
  }

  /// Writes a new file and waits until it is on the disk.
  ///
  /// - Returns: the SHA-256 of the content.
  @discardableResult func write(
    _ path: String, _ content: (inout FileOutput) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> [UInt8] {
    try announce("create \(path)")
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw CheckpointError(path, "cannot be created: \(systemMessage())") }
    defer { systemClose(descriptor) }
    var output = try FileOutput(path, descriptor, self)
    try content(&output)
    try announce("flush \(path)")
    guard fsync(descriptor) == 0 else { throw CheckpointError(path, "cannot be flushed: \(systemMessage())") }
    return try output.digest()
  }

  @discardableResult func write(_ path: String, _ bytes: [UInt8]) throws(CheckpointError) -> [UInt8] {
    try write(path) { output throws(CheckpointError) in try output.write(bytes) }
  }

  /// Waits until the names in a folder are on the disk.
  func flushFolder(_ path: String) throws(CheckpointError) {
    try announce("flush \(path)")
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CheckpointError(path, "cannot be opened: \(systemMessage())") }
    defer { systemClose(descriptor) }
    // Some file systems cannot flush folders and say EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw CheckpointError(path, "cannot be flushed: \(systemMessage())")
    }
  }

  func rename(_ path: String, to target: String) throws(CheckpointError) {
    try announce("rename \(path) to \(target)")
    guard Platform.rename(path, target) == 0 else {
      throw CheckpointError(target, "cannot take the place of \(path): \(systemMessage())")
    }
  }

  /// Removes a file, or a folder with everything in it; one that is not there is no error.
  func remove(_ path: String) throws(CheckpointError) {
    try announce("remove \(path)")
    if unlink(path) == 0 || errno == ENOENT { return }
    guard isFolder(path) else { throw CheckpointError(path, "cannot be removed: \(systemMessage())") }
    for name in Folder.names(in: path) ?? [] where name != "." && name != ".." { try remove("\(path)/\(name)") }
    guard rmdir(path) == 0 else { throw CheckpointError(path, "cannot be removed: \(systemMessage())") }
  }

  /// Removes what a failed attempt has left; what cannot be removed now is removed by the next attempt.
  func cleanUp(_ path: String, behind error: CheckpointError) {
    if !error.isStop { try? remove(path) }
  }

  func isFolder(_ path: String) -> Bool { kind(of: path) == S_IFDIR }

  func isFile(_ path: String) -> Bool { kind(of: path) == S_IFREG }

  private func kind(of path: String) -> mode_t? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }
}
