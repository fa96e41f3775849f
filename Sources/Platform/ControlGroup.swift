import CLinux
import Glibc

/// What the system lets this process have by its control group, version 2, and by the groups above that, whose limits hold as well:
/// a container's memory, a service's share of the cores.
public struct ControlGroup: Sendable {
  /// The least of `memory.max` and `memory.high`, in bytes; nil for no limit.
  public let memory: Int?
  /// The least of the quotas of `cpu.max`, in cores; nil for no limit.
  public let cores: Double?

  /// - Parameter root: where the system's files are; another folder in tests.
  public init(root: String = "") {
    var (memory, cores): (Int?, Double?)
    for folder in Self.folders(root) {
      for name in ["memory.max", "memory.high"] {
        guard let limit = Self.words("\(folder)/\(name)").first.flatMap({ Int($0) }), limit > 0 else { continue }
        memory = min(memory ?? limit, limit)
      }
      let quota = Self.words("\(folder)/cpu.max").compactMap { Double($0) }
      if quota.count == 2, quota[0] > 0, quota[1] > 0 { cores = min(cores ?? .infinity, quota[0] / quota[1]) }
    }
    (self.memory, self.cores) = (memory, cores)
  }

  /// The folders of the process's group and of those above it. Within a container the group's path is `/`, or one that is not there.
  private static func folders(_ root: String) -> [String] {
    let top = "\(root)/sys/fs/cgroup"
    let lines = text("\(root)/proc/self/cgroup").split(separator: "\n")
    guard let path = lines.first(where: { $0.hasPrefix("0::/") })?.dropFirst(3) else { return [top] }
    var folders = [top]
    for part in path.split(separator: "/") where part != ".." { folders.append("\(folders.last ?? top)/\(part)") }
    return folders
  }

  private static func words(_ file: String) -> [Substring] { text(file).split { $0 == " " || $0 == "\n" } }

  private static func text(_ file: String) -> String {
    (try? WholeFile.read(file)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

/// The memory of the machine.
public enum MachineMemory {
  /// In bytes; nil when the system does not say.
  public static var total: Int? {
    let (pages, size) = (sysconf(Int32(_SC_PHYS_PAGES)), sysconf(Int32(_SC_PAGESIZE)))
    let (bytes, overflow) = pages.multipliedReportingOverflow(by: size)
    return pages > 0 && size > 0 && !overflow ? bytes : nil
  }
}

/// The cores that the scheduler may run this process on, which a cpuset or `taskset` decides.
public enum GrantedCores {
  /// nil when the system does not say.
  public static var count: Int? {
    let count = Int(clinux_granted_cores())
    return count > 0 ? count : nil
  }
}
