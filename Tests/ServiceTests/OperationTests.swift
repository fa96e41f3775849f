import HTTP1
import Service
import Testing

@Suite struct OperationTests {
  @Test func readinessEndsWithTheDrain() throws {
    let harness = try Harness()
    #expect(try harness.send(.get, "/readyz").status == 200)
    #expect(try harness.send(.get, "/health").status == 200)
    harness.service.beginDraining()
    let draining = try harness.send(.get, "/readyz")
    #expect(draining.status == 503)
    #expect(draining.response.fields["retry-after"] == "1")
    #expect(try harness.send(.get, "/livez").status == 200)
    let late = try harness.post("/embed", "{\"inputs\": \"too late\"}")
    #expect(late.status == 503)
    #expect(late.response.fields["retry-after"] == "1")
  }

  @Test func metricsCountWhatWasAnswered() throws {
    let harness = try Harness()
    for _ in 0..<3 { _ = try harness.post("/embed", "{\"inputs\": [\"a\", \"b\"]}") }
    _ = try harness.post("/embed", "{")
    _ = try harness.send(.get, "/nowhere/\"quoted\"")
    harness.service.observe { $0.sample("from_the_transport", [("a", "x\"y\\z")], 1.5) }
    let lines = try harness.send(.get, "/metrics").text.split(separator: "\n")
    for line in [
      "nearfar_http_requests_total{route=\"/embed\",method=\"POST\",status=\"200\"} 3",
      "nearfar_http_requests_total{route=\"/embed\",method=\"POST\",status=\"400\"} 1",
      "nearfar_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"404\"} 1",
      "nearfar_http_request_duration_seconds_count{route=\"/embed\"} 4",
      "nearfar_http_request_duration_seconds_bucket{route=\"/embed\",le=\"+Inf\"} 4",
      "nearfar_encode_texts_total 6", "nearfar_collection_points{collection=\"default\"} 0",
      "from_the_transport{a=\"x\\\"y\\\\z\"} 1.5",
    ] { #expect(lines.contains(Substring(line)), "\(line)") }
  }

  @Test func infoTellsWhatRuns() throws {
    var limits = Limits()
    limits.maxInputs = 77
    let info = try Harness(limits: limits, threads: 3).send(.get, "/info").object
    #expect(info["version"] as? String == Version.current)
    #expect(info["threads"] as? Int == 3)
    #expect((info["limits"] as? [String: Any])?["max_inputs"] as? Int == 77)
    #expect((info["model"] as? [String: Any])?["dim"] as? Int == 384)
    #expect((info["cpu"] as? [String: Any])?["kernels"] as? String != nil)
  }
}
