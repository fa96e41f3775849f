import Platform
import Service

/// How far a long command is, on standard error: a bar where that is a terminal, else a line every few seconds.
struct ProgressLine {
  private let verb: String
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let began = SystemClock.monotonic
  private var shown: UInt64
  /// The share that was done before the command began.
  private let first: Double
  private var hasBar = false

  /// - Parameters:
  ///   - verb: `indexed`.
  ///   - done: the share that is done already.
  init(_ verb: String, done: Double = 0) {
    self.verb = verb
    first = done
    shown = SystemClock.monotonic
  }

  /// - Parameters:
  ///   - points: done by this command.
  ///   - done: from 0 to 1; nil when nobody knows how much there is.
  mutating func show(points: Int, done: Double?) {
    let now = SystemClock.monotonic
    guard now &- shown >= (isTerminal ? 100_000_000 : 5_000_000_000) else { return }
    shown = now
    let seconds = elapsed(now)
    var text = "\(verb) \(points) points, \(Self.rate(points, seconds))/s"
    if let done, done > first, done <= 1 {
      let left = seconds * (1 - done) / (done - first)
      text = "\(Self.bar(done)) \(Int(done * 100)) %  \(text), \(Self.clock(left)) left"
    }
    emit(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
    hasBar = isTerminal
  }

  /// Says what was done.
  mutating func finish(points: Int, _ more: String = "") {
    let seconds = elapsed(SystemClock.monotonic)
    clear()
    emit("\(verb) \(points) points in \(Self.clock(seconds)), \(Self.rate(points, seconds))/s\(more)\n")
  }

  /// A message of its own line.
  mutating func say(_ message: String) {
    clear()
    emit("nearfar: \(message)\n")
  }

  /// Takes the bar away, so that something else can be written.
  mutating func clear() {
    if hasBar { emit("\r\u{1B}[K") }
    hasBar = false
  }

  private func elapsed(_ now: UInt64) -> Double { max(Double(now &- began) / 1e9, 1e-3) }

  private func emit(_ text: String) { try? SystemFile.standardError.write(Array(text.utf8)[...]) }

  private static func bar(_ done: Double) -> String {
    let filled = max(0, min(24, Int(done * 24)))
    return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: 24 - filled) + "]"
  }

  private static func rate(_ points: Int, _ seconds: Double) -> String {
    let rate = Double(points) / seconds
    return rate >= 10 ? String(Int(rate)) : String((rate * 10).rounded() / 10)
  }

  /// 1:02:03, or 2:03.
  private static func clock(_ seconds: Double) -> String {
    let whole = Int(min(max(seconds, 0), 1e8))
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
    return whole >= 3600
      ? "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" : "\(whole / 60):\(two(whole % 60))"
  }
}
