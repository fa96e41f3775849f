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
    harness.service.observe { text in
      text.family("from_the_transport", "gauge", "A test.")
      text.sample("from_the_transport", [("a", "x\"y\\z")], 1.5)
      text.family("nearfar_timeouts_total", "counter", "Already open.")
      text.sample("nearfar_timeouts_total", [("kind", "of_the_transport")], 2)
    }
    let duration = "http_server_request_duration_seconds"
    let embed = "http_request_method=\"POST\",http_route=\"/embed\""
    let lines = try harness.send(.get, "/metrics").text.split(separator: "\n")
    for line in [
      "\(duration)_count{\(embed),http_response_status_code=\"200\"} 3",
      "\(duration)_bucket{\(embed),http_response_status_code=\"200\",le=\"+Inf\"} 3",
      "\(duration)_count{\(embed),http_response_status_code=\"400\"} 1",
      "\(duration)_count{http_request_method=\"GET\",http_response_status_code=\"404\"} 1",
      "\(duration)_count{http_request_method=\"GET\",http_route=\"/info\",http_response_status_code=\"200\"} 0",
      "http_server_request_body_size_bytes_sum{\(embed)} 67", "http_server_request_body_size_bytes_count{\(embed)} 4",
      "http_server_request_body_size_bytes_bucket{\(embed),le=\"1024\"} 4",
      "http_server_response_body_size_bytes_count{\(embed)} 4",
      "http_server_active_requests{http_request_method=\"POST\"} 0",
      "http_server_active_requests{http_request_method=\"GET\"} 1",
      "nearfar_requests_rejected_total{reason=\"too_large\"} 0",
      "nearfar_lane_waiting_requests{lane=\"short\"} 0", "nearfar_lane_wait_seconds_count{lane=\"short\"} 5",
      "nearfar_encode_batch_tokens_sum 18",
      "nearfar_timeouts_total{kind=\"request\"} 0", "nearfar_timeouts_total{kind=\"of_the_transport\"} 2",
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
