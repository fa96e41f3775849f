import HTTP1
import Service
import Testing

@Suite("Trace context")
struct TraceContextTests {
  private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
  private static let parent = "00f067aa0ba902b7"

  @Test(
    "A valid field names the trace, the caller's span and whether it is sampled",
    arguments: [
      ("00", "01", "", true), ("00", "00", "", false), ("00", "03", "", true), ("00", "fe", "", false),
      ("01", "01", "", true), ("cc", "0b", "-what-comes-later", true), ("fe", "00", "-", false),
    ])
  func valid(version: String, flags: String, more: String, isSampled: Bool) throws {
    let context = try #require(TraceContext("\(version)-\(Self.trace)-\(Self.parent)-\(flags)\(more)"))
    #expect(context.traceID == Self.trace)
    #expect(context.parentID == Self.parent)
    #expect(context.isSampled == isSampled)
    #expect(context.spanID.utf8.count == 16)
    #expect(context.spanID != Self.parent)
    #expect(context.field == "00-\(Self.trace)-\(context.spanID)-\(isSampled ? "01" : "00")")
  }

  @Test(
    "Any other field is ignored",
    arguments: [
      "", "00", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-", "00-\(trace)-\(parent)-1",
      "00-\(trace)-\(parent)-01-", "00-\(trace)-\(parent)-01x", "00-\(trace)-\(parent)-011",
      "ff-\(trace)-\(parent)-01", "01-\(trace)-\(parent)-01x", "0-\(trace)-\(parent)-01", "0x-\(trace)-\(parent)-01",
      "00_\(trace)-\(parent)-01", "00-\(trace.uppercased())-\(parent)-01", "00-\(trace)-00F067AA0BA902B7-01",
      "00-\(trace)-\(parent)-0A", "00-00000000000000000000000000000000-\(parent)-01",
      "00-\(trace)-0000000000000000-01", "00-\(trace)\(parent)-01", " 00-\(trace)-\(parent)-01",
      "00-\(trace)-\(parent)-01, 00-\(trace)-\(parent)-01", "00-4bf92f3577b34da6a3ce929d0e0e473é-\(parent)-01",
    ])
  func invalid(value: String) {
    #expect(TraceContext(value) == nil)
  }

  @Test("The answer has the trace of its request, and none without one")
  func answers() throws {
    let harness = try Harness()
    for (method, path, status) in [(HTTPMethod.get, "/livez", 200), (.post, "/embed", 400), (.get, "/nowhere", 404)] {
      let field = ("traceparent", "00-\(Self.trace)-\(Self.parent)-01")
      let answer = try harness.send(method, path, "{", fields: [field, ("tracestate", "a=b")])
      #expect(answer.status == status)
      let given = try #require(answer.response.fields["traceparent"])
      #expect(given.hasPrefix("00-\(Self.trace)-") && given.hasSuffix("-01") && !given.contains(Self.parent))
      #expect(answer.response.fields["tracestate"] == nil)
      #expect(try harness.send(method, path, "{").response.fields["traceparent"] == nil)
    }
  }
}
