import Platform

/// The process's resident memory in bytes, as Linux counts it; 0 where there is no /proc.
enum ResidentMemory {
  /// Forgets the peak so far, and gives what is resident now.
  static func resetPeak() -> Int {
    if let file = fopen("/proc/self/clear_refs", "w") {
      fputs("5", file)
      fclose(file)
    }
    return status("VmRSS:")
  }

  static func peak() -> Int { status("VmHWM:") }

  private static func status(_ field: String) -> Int {
    guard let file = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix(field) else { continue }
      let digits = text.drop { !$0.isNumber }.prefix { $0.isNumber }
      return (Int(digits) ?? 0) * 1024
    }
    return 0
  }
}
