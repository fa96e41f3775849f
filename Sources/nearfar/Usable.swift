import Platform

/// What this process may use: a container's share, not the machine's.
enum Usable {
  static let group = ControlGroup()

  /// The smaller of the cores that the scheduler grants, which a cpuset decides, and the control group's quota, rounded up.
  static var cores: Int {
    // Where the scheduler does not say, there is one at least.
    let granted = GrantedCores.count ?? 1
    guard let quota = group.cores else { return granted }
    return min(granted, max(1, Int(min(quota.rounded(.up), 1e6))))
  }

  /// Bytes of memory: the control group's limit, or the machine's. Where the system says neither, 1 GiB is assumed.
  static var memory: Int { min(group.memory ?? .max, MachineMemory.total ?? 1 << 30) }

  /// The flag `--threads`, whose default is ``cores``.
  static func threads(isVariable: Bool, _ meaning: String) -> Flag<Int> {
    let absence = Flag<Int>.Absence.defaults(to: min(cores, 1024), shown: "the cores that the process may use")
    return Flag("threads", .integer(1...1024), absence, isVariable: isVariable, meaning)
  }
}
