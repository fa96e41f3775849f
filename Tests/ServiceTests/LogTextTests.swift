import Platform
import Service
import Testing

@Suite("Lines of the log")
struct LogTextTests {
  private func line(_ form: LogText.Form, _ message: String, _ members: (inout LogText) -> Void) -> String {
    var text = LogText(form)
    text.begin(Timestamp(seconds: 1_769_860_800, milliseconds: 7), level: "info", message)
    members(&text)
    text.end()
    return String(decoding: text.take(), as: UTF8.self)
  }

  @Test("A line in JSON and in text")
  func forms() {
    func members(_ text: inout LogText) {
      text.member("a", "b c")
      text.member("empty", "")
      text.member("absent", nil)
      text.member("number", -1_234)
      text.member("small", 305)
      text.member("time_ms", milliseconds: 12_034_567)
    }
    #expect(
      line(.json, "hello", members)
        == "{\"time\":\"2026-01-31T12:00:00.007Z\",\"level\":\"info\",\"message\":\"hello\","
        + "\"a\":\"b c\",\"number\":-1234,\"small\":305,\"time_ms\":12.035}\n")
    #expect(
      line(.text, "hello", members)
        == "2026-01-31T12:00:00.007Z info hello a=\"b c\" number=-1234 small=305 time_ms=12.035\n")
  }

  @Test("No value ends its line or its quotes, or reaches a terminal as a control sequence")
  func escapes() {
    let hostile = "a\"b\\c\nd\re\u{1B}[31m\u{9B}f\u{2028}g\u{202E}h\u{7F}\té"
    let escaped = #"a\"b\\c\nd\re\u001b[31m\u009bf\u2028g\u202eh\u007f\té"#
    #expect(line(.text, "m") { $0.member("x", hostile) }.hasSuffix(" m x=\"\(escaped)\"\n"))
    #expect(line(.json, "m") { $0.member("x", hostile) }.hasSuffix(",\"x\":\"\(escaped)\"}\n"))
    #expect(line(.json, hostile) { _ in }.contains("\"message\":\"\(escaped)\""))
    #expect(line(.text, "a \"b\" \\ \n c") { _ in }.hasSuffix(" info a \"b\" \\ \\n c\n"))
    #expect(line(.text, "m") { $0.member("x", "a=b") }.hasSuffix(" x=\"a=b\"\n"))
  }

  @Test(
    "Times are rounded to microseconds", arguments: [(0, "0.000"), (499, "0.000"), (500, "0.001"), (999_500, "1.000")])
  func times(nanoseconds: UInt64, expected: String) {
    #expect(line(.text, "m") { $0.member("t", milliseconds: nanoseconds) }.hasSuffix(" t=\(expected)\n"))
  }

  @Test("The longest time has a place")
  func longest() {
    #expect(line(.text, "m") { $0.member("t", milliseconds: .max) }.hasSuffix(" t=18446744073709.552\n"))
    #expect(line(.text, "m") { $0.member("n", Int.min) }.hasSuffix(" n=-9223372036854775808\n"))
  }

  @Test(
    "The flag's values",
    arguments: [
      ("all", AccessLog.Selection.all), ("errors", .errors), ("sampled:1", .sampled(every: 1)),
      ("sampled:0100", .sampled(every: 100)),
    ])
  func selections(text: String, selection: AccessLog.Selection) {
    #expect(AccessLog.Selection(text) == selection)
  }

  @Test(
    "Other values",
    arguments: [
      "", "off", "All", "sampled", "sampled:", "sampled:0", "sampled:+1", "sampled:1:2", "sampled:99999999999",
    ])
  func otherSelections(text: String) {
    #expect(AccessLog.Selection(text) == nil)
  }
}
