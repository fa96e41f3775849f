import CSQLite
import Platform

/// A copy of a data folder's records, taken while a service may be writing them.
public enum Backup {
  /// Copies the records of `folder` as they stand at one moment into the new file `output`, which a new data folder can have as
  /// its `nearfar.sqlite`. Takes no lock that a running service would notice.
  ///
  /// - Throws: ``OpenError`` naming the path at fault; `output` is not made then.
  public static func run(data folder: String, output: String) throws(OpenError) {
    let source = DataFolder.database(in: folder)
    guard access(source, F_OK) == 0 else { throw OpenError("\(source) is not there") }
    guard access(output, F_OK) != 0 else { throw OpenError("\(output) is there already") }
    let partial = "\(output).partial"
    unlink(partial)
    let mark = CommitMark(in: folder)
    // Before the copy: what a running service marks meanwhile is in it or not.
    let noted = mark.read()
    let copied: Int64
    do throws(SQLiteError) {
      let from = try Database(path: source, access: .writing)
      // The log of a killed service is for its next start.
      if !LogCheck.isEmpty("\(source)-wal") { try from.keepLog(true) }
      guard try from.value("PRAGMA application_id") == "\(Schema.applicationID)" else {
        throw SQLiteError(code: 0, message: "it is a database of another program")
      }
      let to = try Database(path: partial)
      try copy(from, to)
      // One file, without a log beside it.
      _ = try to.value("PRAGMA journal_mode = DELETE")
      let damage = try to.value("PRAGMA integrity_check(1)") ?? "no answer"
      guard damage == "ok" else { throw SQLiteError(code: SQLITE_CORRUPT, message: "it is damaged: \(damage)") }
      copied = try RowStatements(to, RecordBounds()).readMark()
    } catch {
      unlink(partial)
      throw OpenError("\(source) cannot be copied to \(output): \(error.message)")
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

  private static func copy(_ from: Database, _ to: Database) throws(SQLiteError) {
    guard let backup = sqlite3_backup_init(to.handle, "main", from.handle, "main") else {
      throw to.error(sqlite3_errcode(to.handle))
    }
    // All pages in one step: a read of one moment, beside which the log lets writers go on.
    var code = sqlite3_backup_step(backup, -1)
    for _ in 0..<100 where [SQLITE_BUSY, SQLITE_LOCKED].contains(code & 0xFF) {
      sqlite3_sleep(100)
      code = sqlite3_backup_step(backup, -1)
    }
    let finished = sqlite3_backup_finish(backup)
    guard code == SQLITE_DONE else { throw to.error(finished == SQLITE_OK ? code : finished) }
  }
}
