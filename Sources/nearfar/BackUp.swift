import SQLiteRecords

/// `nearfar backup`: copies the records of a data folder, also while a service writes them.
enum BackUp {
  static let flags = ["data", "output"]

  /// - Returns: the exit status: 0 when the copy is there and whole, 1 when there is none.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    guard let folder = options.string("data"), !folder.isEmpty, folder != ":memory:" else {
      throw UsageError(description: "--data must name the data folder")
    }
    guard let output = options.string("output"), !output.isEmpty else {
      throw UsageError(description: "--output is required")
    }
    do {
      try RecordsBackup.run(data: folder, output: output)
      return 0
    } catch {
      Log(json: false).plain("nearfar: \(error)")
      return 1
    }
  }
}
