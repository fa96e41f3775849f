import Platform

/// Prevents this process from allocating more than a few MiB from now on. Only for exit tests, which have a process of
/// their own.
public func forbidGrowth() {
  guard let file = fopen("/proc/self/statm", "r") else { exit(3) }
  var line = [CChar](repeating: 0, count: 256)
  fgets(&line, Int32(line.count), file)
  fclose(file)
  let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  guard let pages = text.split(separator: " ").first.flatMap({ UInt($0) }) else { exit(3) }
  let bytes = pages * UInt(getpagesize()) + 16 << 20
  var limit = rlimit(rlim_cur: bytes, rlim_max: bytes)
  guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { exit(3) }
}
