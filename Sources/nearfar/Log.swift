import Platform
import Service

/// Lines on standard error. Standard output is kept for what a command was asked to print.
struct Log: Sendable {
  private let form: LogText.Form
  /// Writes the lines; nil where they are written at once.
  private let writer: LogWriter?

  init(_ form: LogText.Form = .text, _ writer: LogWriter? = nil) {
    self.form = form
    self.writer = writer
  }

  func info(_ message: String) { write("info", message) }
  func warning(_ message: String) { write("warning", message) }
  func error(_ message: String) { write("error", message) }

  /// A line without time and level, for a person at a terminal.
  func plain(_ message: String) { emit(Array("\(message)\n".utf8)) }

  private func write(_ level: StaticString, _ message: String) {
    if let writer { return writer.write(level, message) }
    var text = LogText(form)
    text.begin(SystemClock.timestamp, level: level, message)
    text.end()
    emit(text.take())
  }

  private func emit(_ line: [UInt8]) {
    // One call per line, so that lines of two threads do not mix. A line that cannot be written is dropped.
    _ = line.withUnsafeBytes { systemWrite(STDERR_FILENO, $0) }
  }
}

/// The progress of a long command on standard error: a bar on a terminal, otherwise a line every few seconds.
struct ProgressLine {
  private let verb: String
  private let noun: String
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let began = SystemClock.monotonic
  private var shown: UInt64
  /// The share that an earlier run has done.
  private let first: Double
  private var hasBar = false

  /// - Parameters:
  ///   - verb: `indexed`.
  ///   - noun: what is counted.
  ///   - done: the share that an earlier run has done, from 0 to 1.
  init(_ verb: String, of noun: String = "point", done: Double = 0) {
    self.verb = verb
    self.noun = noun
    first = done
    shown = SystemClock.monotonic
  }

  /// - Parameters:
  ///   - points: the number that this run has stored.
  ///   - tokens: theirs, where they are counted.
  ///   - done: the share that is done, from 0 to 1; nil when the whole is unknown.
  mutating func show(points: Int, tokens: Int? = nil, done: Double?) {
    let now = SystemClock.monotonic
    guard now &- shown >= (isTerminal ? 100_000_000 : 5_000_000_000) else { return }
    shown = now
    let seconds = elapsed(now)
    var text = "\(verb) \(counted(points, noun)), \(Self.rate(points, seconds))/s"
    if let tokens { text += ", \(Self.rate(tokens, seconds)) tokens/s" }
    if let done, done > first, done <= 1 {
      let left = seconds * (1 - done) / (done - first)
      text = "\(Self.bar(done)) \(Int(done * 100)) %  \(text), \(Self.clock(left)) left"
    }
    emit(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
    hasBar = isTerminal
  }

  /// Reports the whole run.
  ///
  /// - Parameter more: follows on the same line.
  mutating func finish(points: Int, _ more: String = "") {
    let seconds = elapsed(SystemClock.monotonic)
    clear()
    emit("\(verb) \(counted(points, noun)) in \(Self.clock(seconds)), \(Self.rate(points, seconds))/s\(more)\n")
  }

  /// Writes a message on a line of its own.
  mutating func say(_ message: String) {
    clear()
    emit("nearfar: \(message)\n")
  }

  /// Removes the bar, so that something else can be written.
  mutating func clear() {
    if hasBar { emit("\r\u{1B}[K") }
    hasBar = false
  }

  private func elapsed(_ now: UInt64) -> Double { max(Double(now &- began) / 1e9, 1e-3) }

  private func emit(_ text: String) { try? SystemFile.standardError.write(Array(text.utf8)[...]) }

  static func bar(_ done: Double) -> String {
    let filled = max(0, min(24, Int(done * 24)))
    return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: 24 - filled) + "]"
  }

  private static func rate(_ points: Int, _ seconds: Double) -> String { rate(Double(points), seconds) }

  static func rate(_ points: Double, _ seconds: Double) -> String {
    let rate = points / max(seconds, 1e-9)
    return rate >= 10 ? String(Int(rate)) : String((rate * 10).rounded() / 10)
  }

  /// `1:02:03`, or `2:03` below an hour.
  static func clock(_ seconds: Double) -> String {
    let whole = Int(min(max(seconds, 0), 1e8))
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
    return whole >= 3600
      ? "\(whole / 3600):\(two(whole / 60 % 60)):\(two(whole % 60))" : "\(whole / 60):\(two(whole % 60))"
  }
}
