import Encoder
import Platform

/// The checkpoints of a training run: folders that are whole or absent, whatever ends the process.
///
/// A checkpoint is written into a folder aside, flushed to the disk, and renamed; only then are older ones removed. So there is
/// always one to go on from once there was one. The newest two are kept, because a disk can damage what was written; and the
/// best by the evaluation, separately.
package final class RunFolder {
  private enum Kind: String {
    case step
    case best

    /// How many checkpoints are kept.
    var kept: Int { self == .step ? 2 : 1 }
  }

  package let path: String
  private let operations: FileOperations
  private let lock: Int32

  private static let replaced = ".replaced-"
  private var partial: String { "\(path)/.partial" }
  private var removed: String { "\(path)/.removed" }

  /// Opens the folder, which is made where it is missing, and locks it, so that no two runs write into it.
  ///
  /// - Throws: ``CheckpointError`` where it cannot be made, or another process has it.
  package init(_ path: String, _ operations: FileOperations = FileOperations()) throws(CheckpointError) {
    self.path = path
    self.operations = operations
    try operations.makeFolders(path)
    lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard lock >= 0 else { throw CheckpointError("\(path)/lock", "cannot be opened: \(systemMessage())") }
    switch FileLock.take(lock) {
    case .taken: break
    case .held: throw CheckpointError(path, "another process is training here")
    case .failed(let code): throw CheckpointError("\(path)/lock", "cannot be locked: \(systemMessage(code))")
    }
    try removeLeftovers()
  }

  deinit { systemClose(lock) }

  /// Writes a checkpoint of the run; afterwards, older ones are removed, and so are those of later steps, which a run that went
  /// on from an earlier one has left behind.
  ///
  /// - Throws: ``CheckpointError`` where it cannot be written; those before it are still there.
  package func save(
    _ state: RunState, _ arrays: [(name: String, array: FloatArray)]
  ) throws(CheckpointError) { try write(.step, state, arrays) }

  /// Writes the best state so far in place of the one before.
  ///
  /// - Throws: as ``save(_:_:)``.
  package func saveBest(
    _ state: RunState, _ arrays: [(name: String, array: FloatArray)]
  ) throws(CheckpointError) { try write(.best, state, arrays) }

  /// The newest checkpoint that is whole; nil where there was never one.
  ///
  /// - Parameter refused: called for each newer one that is damaged.
  /// - Throws: ``CheckpointError`` of the newest one, where all are damaged.
  package func newest(refused: (CheckpointError) -> Void = { _ in }) throws(CheckpointError) -> SavedRun? {
    try whole(.step, refused)
  }

  /// The best state; nil where there is none.
  ///
  /// - Throws: ``CheckpointError`` where it is damaged.
  package func best() throws(CheckpointError) -> SavedRun? { try whole(.best) { _ in } }

  /// Removes the folder with all checkpoints, when the model is written and they are not needed any more.
  package func removeAll() throws(CheckpointError) { try operations.remove(path) }

  private func whole(_ kind: Kind, _ refused: (CheckpointError) -> Void) throws(CheckpointError) -> SavedRun? {
    var first: CheckpointError?
    for step in steps(kind).reversed() {
      do throws(CheckpointError) {
        return try SavedRun(folder(kind, step), operations)
      } catch {
        first = first ?? error
        refused(error)
      }
    }
    if let first { throw first }
    return nil
  }

  private func write(
    _ kind: Kind, _ state: RunState, _ arrays: [(name: String, array: FloatArray)]
  ) throws(CheckpointError) {
    do throws(CheckpointError) {
      try operations.remove(partial)
      try operations.makeFolder(partial)
      let stateSum = try operations.write("\(partial)/\(SavedRun.stateFile)", try state.json())
      let arraysSum = try operations.write(
        "\(partial)/\(SavedRun.arraysFile)", arrays.map { OutputTensor($0.name, [$0.array.count], $0.array) },
        metadata: [:])
      try operations.write(
        "\(partial)/\(SavedRun.sumsFile)",
        SavedRun.line(stateSum, SavedRun.stateFile) + SavedRun.line(arraysSum, SavedRun.arraysFile))
      try operations.flushFolder(partial)
    } catch {
      operations.cleanUp(partial, behind: error)
      throw error
    }
    try install(as: "\(kind.rawValue)-\(state.step)")
    let later = steps(kind).filter { $0 > state.step }
    let earlier = steps(kind).filter { $0 < state.step }.dropLast(kind.kept - 1)
    for step in later + earlier { try discard(folder(kind, step)) }
  }

  /// Gives the folder aside its name. One of this name may be there, of a run that went on from an earlier checkpoint: it is
  /// kept under another name until the new one is in its place, and the next opening gives it back its name where that did not
  /// happen.
  private func install(as name: String) throws(CheckpointError) {
    let (target, old) = ("\(path)/\(name)", "\(path)/\(Self.replaced)\(name)")
    let isReplacing = operations.isFolder(target)
    if isReplacing { try operations.rename(target, to: old) }
    try operations.rename(partial, to: target)
    try operations.flushFolder(path)
    if isReplacing { try operations.remove(old) }
  }

  /// Removes a checkpoint so that it is whole or absent all the while.
  private func discard(_ folder: String) throws(CheckpointError) {
    try operations.remove(removed)
    try operations.rename(folder, to: removed)
    try operations.remove(removed)
  }

  private func removeLeftovers() throws(CheckpointError) {
    try operations.remove(partial)
    try operations.remove(removed)
    for old in (Folder.names(in: path) ?? []).sorted() where old.hasPrefix(Self.replaced) {
      let target = "\(path)/\(old.dropFirst(Self.replaced.count))"
      if operations.isFolder(target) {
        try operations.remove("\(path)/\(old)")
      } else {
        try operations.rename("\(path)/\(old)", to: target)
      }
    }
  }

  private func folder(_ kind: Kind, _ step: Int) -> String { "\(path)/\(kind.rawValue)-\(step)" }

  /// The steps of which there are checkpoints, in ascending order.
  private func steps(_ kind: Kind) -> [Int] {
    (Folder.names(in: path) ?? []).compactMap { name in
      guard name.hasPrefix("\(kind.rawValue)-"), let step = Int(name.dropFirst(kind.rawValue.count + 1)),
        step >= 0, name == "\(kind.rawValue)-\(step)"
      else { return nil }
      return step
    }.sorted()
  }
}
