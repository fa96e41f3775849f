import Platform

/// Lines on standard error: standard output carries answers only.
struct Log: Sendable {
  let json: Bool

  func info(_ message: String) { write("info", message) }
  func error(_ message: String) { write("error", message) }

  /// A line without time and level: what a person typed a command for.
  func plain(_ message: String) { emit(message) }

  private func write(_ level: String, _ message: String) {
    emit(
      json
        ? #"{"time":"\#(SystemClock.timestamp)","level":"\#(level)","message":"\#(Self.escaped(message))"}"#
        : "\(SystemClock.timestamp) \(level) \(message)")
  }

  private func emit(_ text: String) {
    var line = text + "\n"
    // One call a line, so that lines of two threads do not mix. A log that cannot be written stops nothing.
    _ = line.withUTF8 { systemWrite(STDERR_FILENO, UnsafeRawBufferPointer($0)) }
  }

  private static func escaped(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case _ where scalar.value < 0x20: out += " "
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}
