import Platform

/// The process metrics that every Prometheus client exports, under their usual names.
enum ProcessMetrics {
  /// Seconds since 1970 when the process first asked; asked for at the start.
  static let startTime = SystemClock.unixSeconds

  static func write(to text: inout MetricsText) {
    text.family("process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.")
    text.sample("process_start_time_seconds", [], Double(startTime))
    var usage = rusage()
    // 0 is RUSAGE_SELF, which Swift imports under another type.
    guard getrusage(0, &usage) == 0 else { return }
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime)
    text.family("process_cpu_seconds_total", "counter", "User and system CPU time.")
    text.sample("process_cpu_seconds_total", [], cpu)
    if let (virtual, resident) = memory() {
      text.family("process_virtual_memory_bytes", "gauge", "Virtual memory.")
      text.sample("process_virtual_memory_bytes", [], Double(virtual))
      text.family("process_resident_memory_bytes", "gauge", "Resident memory.")
      text.sample("process_resident_memory_bytes", [], Double(resident))
    }
    if let open = openDescriptors() {
      text.family("process_open_fds", "gauge", "Open file descriptors.")
      text.sample("process_open_fds", [], Double(open))
    }
    if let threads = Folder.names(in: "/proc/self/task") {
      text.family("process_threads", "gauge", "Threads of the operating system.")
      // Without "." and "..".
      text.sample("process_threads", [], Double(max(0, threads.count - 2)))
    }
    if let most = mostDescriptors() {
      text.family("process_max_fds", "gauge", "File descriptors that may be open.")
      text.sample("process_max_fds", [], Double(most))
    }
  }

  private static func seconds(_ time: timeval) -> Double {
    Double(time.tv_sec) + Double(time.tv_usec) / 1e6
  }

  /// The first two numbers of `/proc/self/statm`, which are in pages; nil where there is no such file.
  private static func memory() -> (virtual: UInt64, resident: UInt64)? {
    guard let file = fopen("/proc/self/statm", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return nil }
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      .split(separator: " ").compactMap { UInt64($0) }
    guard fields.count > 1, let page = UInt64(exactly: sysconf(Int32(_SC_PAGESIZE))) else { return nil }
    return (fields[0] &* page, fields[1] &* page)
  }

  /// The entries of `/proc/self/fd` without ".", ".." and the descriptor that reads them.
  private static func openDescriptors() -> Int? {
    Folder.names(in: "/proc/self/fd").map { max(0, $0.count - 3) }
  }

  private static func mostDescriptors() -> UInt64? {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
    return UInt64(limit.rlim_cur)
  }
}
