import SQLiteRecords

/// `nearfar backup`: copies the records of a data folder, also while a service writes them.
enum BackupCommand: Command {
  static let name = "backup"
  static let summary = "copy a data folder's records to a new file, also while a service writes them"
  static let details = """
    Copies the records of a data folder as they stand at one moment, also while a service writes them, and checks the \
    copy. To restore it, put the file into an empty folder under the name nearfar.sqlite and start a service on that \
    folder.
    """
  static let flags: [any CommandFlag] = [data, output]

  private static let data = Flag("data", .dataFolder, .required, "The data folder.")
  private static let output = Flag("output", .text("FILE"), .required, "The copy; it must not be there yet.")

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let folder = try arguments.value(data)
    let output = try arguments.value(output)
    do {
      try RecordsBackup.run(data: folder, output: output)
      return 0
    } catch {
      Log().plain("nearfar: \(error)")
      return 1
    }
  }
}
