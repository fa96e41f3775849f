import CSQLite
import Platform
import VectorStore

/// A copy of a data folder's records, taken while a service may be writing them.
public enum RecordsBackup {
  /// Copies the records of `folder`, as they are at one moment, into the new file `output`, which can be the `nearfar.sqlite`
  /// of a new data folder. Takes no lock that a running service would notice.
  ///
  /// - Throws: ``OpenError`` naming the path at fault; `output` is then not made.
  public static func run(data folder: String, output: String) throws(OpenError) {
    let source = DataFolder.database(in: folder)
    guard access(source, F_OK) == 0 else { throw OpenError("\(source) is not there") }
    guard access(output, F_OK) != 0 else { throw OpenError("\(output) is there already") }
    let partial = "\(output).partial"
    unlink(partial)
    let mark = CommitMark(in: folder)
    // Read before the copy, which may or may not have what a running service commits meanwhile.
    let noted = mark.read()
    let copied: Int64
    do throws(SQLiteError) {
      let from = try Connection(path: source, access: .writing)
      // The log of a killed service is left for its next start.
      if !LogCheck.isEmpty("\(source)-wal") { try from.keepLog(true) }
      guard try from.value("PRAGMA application_id") == "\(Schema.applicationID)" else {
        throw SQLiteError.unusable("it is a database of another program")
      }
      let to = try Connection(path: partial)
      try copy(from, to)
      // The copy is to be one file, without a log beside it.
      _ = try to.value("PRAGMA journal_mode = DELETE")
      try Schema.checkStructure(to)
      copied = try CollectionRows(to).readCommitNumber()
    } catch {
      unlink(partial)
      throw error.asOpenError("\(source) cannot be copied to \(output)")
    }
    do throws(OpenError) {
      try mark.check(copied, against: noted, in: source)
    } catch {
      unlink(partial)
      throw error
    }
    guard rename(partial, output) == 0 else {
      let reason = systemMessage()
      unlink(partial)
      throw OpenError("\(output) cannot be made: \(reason)")
    }
  }

  private static func copy(_ from: Connection, _ to: Connection) throws(SQLiteError) {
    guard let backup = sqlite3_backup_init(to.handle, "main", from.handle, "main") else {
      throw to.error(sqlite3_errcode(to.handle))
    }
    // All pages in one step, which reads one moment; the write-ahead log lets writers go on meanwhile.
    var code = sqlite3_backup_step(backup, -1)
    for _ in 0..<100 where [SQLITE_BUSY, SQLITE_LOCKED].contains(code & 0xFF) {
      sqlite3_sleep(100)
      code = sqlite3_backup_step(backup, -1)
    }
    let finished = sqlite3_backup_finish(backup)
    guard code == SQLITE_DONE else { throw to.error(finished == SQLITE_OK ? code : finished) }
  }
}
