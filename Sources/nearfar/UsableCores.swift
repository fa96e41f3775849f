import FoundationEssentials

/// Cores that this process may use: a container's share, not the machine's count.
enum UsableCores {
  /// The smaller of the cores that the scheduler grants and the control group's quota, rounded up.
  static var count: Int {
    let granted = max(1, ProcessInfo.processInfo.activeProcessorCount)
    let file = try? String(contentsOfFile: "/sys/fs/cgroup/cpu.max", encoding: .utf8)
    return min(granted, file.flatMap(quota) ?? granted)
  }

  /// The flag `--threads`, whose default is ``count``.
  static func threads(isVariable: Bool, _ meaning: String) -> Flag<Int> {
    let absence = Flag<Int>.Absence.defaults(to: min(count, 1024), shown: "the cores that the process may use")
    return Flag("threads", .integer(1...1024), absence, isVariable: isVariable, meaning)
  }

  /// Reads `cpu.max` of control groups version 2: "200000 100000" is two cores, "max 100000" is no limit.
  private static func quota(_ text: String) -> Int? {
    let fields = text.split { $0 == " " || $0 == "\n" }
    guard fields.count == 2, let quota = Int(fields[0]), let period = Int(fields[1]), quota > 0, period > 0 else {
      return nil
    }
    return max(1, quota / period + (quota % period == 0 ? 0 : 1))
  }
}
