/// Why a command could not do what it was asked for; it ends with exit status 1.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

extension CommandError {
  /// Runs a command's work; what it throws is printed.
  ///
  /// - Returns: the exit status.
  static func status(_ work: () throws(CommandError) -> Void) -> Int32 {
    do throws(CommandError) {
      try work()
      return 0
    } catch {
      Log(json: false).plain("nearfar: \(error)")
      return 1
    }
  }
}
