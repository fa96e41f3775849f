import Glibc

/// The clocks of the system.
public enum SystemClock {
  /// Nanoseconds of a clock that never goes back, counted from an unspecified time.
  public static var monotonic: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
  }

  /// Seconds since 1970, in UTC.
  public static var unixSeconds: Int { Int(truncatingIfNeeded: time(nil)) }

  /// Seconds as nanoseconds. Negative values and NaN become 0; values above 10⁹ s (about 32 years) become 10⁹ s.
  public static func nanoseconds(_ seconds: Double) -> UInt64 {
    seconds > 0 ? UInt64(min(seconds, 1e9) * 1e9) : 0
  }

  /// The current date and time in UTC.
  public static var timestamp: Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int(time.tv_sec), milliseconds: Int(time.tv_nsec) / 1_000_000)
  }
}

/// A date and time in UTC.
public struct Timestamp: Sendable {
  /// Since 1970.
  public let seconds: Int
  /// From 0 to 999.
  public let milliseconds: Int

  public init(seconds: Int, milliseconds: Int) {
    self.seconds = seconds
    self.milliseconds = milliseconds
  }

  /// The date and the time to the second, as RFC 3339 writes them but for the zone: `2030-01-31T12:00:00`.
  public var toTheSecond: String {
    var seconds = seconds
    var parts = tm()
    guard gmtime_r(&seconds, &parts) != nil else { return "" }
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S", &parts)
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
