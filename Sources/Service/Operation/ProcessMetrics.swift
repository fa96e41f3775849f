import Platform

/// The process metrics that every Prometheus client exports, under their usual names.
enum ProcessMetrics {
  /// Seconds since 1970 when the process first asked; asked for at the start.
  static let startTime = Int(time(nil))

  static func write(to text: inout MetricsText) {
    text.family("process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.")
    text.sample("process_start_time_seconds", [], Double(startTime))
    var usage = rusage()
    // RUSAGE_SELF, which the C libraries import under different types.
    guard getrusage(0, &usage) == 0 else { return }
    let cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime)
    text.family("process_cpu_seconds_total", "counter", "User and system CPU time.")
    text.sample("process_cpu_seconds_total", [], cpu)
    if let resident = residentBytes() {
      text.family("process_resident_memory_bytes", "gauge", "Resident memory.")
      text.sample("process_resident_memory_bytes", [], Double(resident))
    }
  }

  private static func seconds(_ time: timeval) -> Double {
    Double(time.tv_sec) + Double(time.tv_usec) / 1e6
  }

  /// The second number of `/proc/self/statm`, in pages; nil where there is no such file.
  private static func residentBytes() -> Int? {
    guard let file = fopen("/proc/self/statm", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return nil }
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      .split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
    return pages.multipliedReportingOverflow(by: Int(sysconf(Int32(_SC_PAGESIZE)))).partialValue
  }
}
