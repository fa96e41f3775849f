import HTTP1
import Service
import Testing

/// A wrong request is answered with a status and the parameter at fault, and the service continues.
@Suite struct ErrorTests {
  static let harness = Result { () throws -> Harness in
    var limits = Limits()
    limits.maxInputs = 8
    limits.maxCharacters = 40
    limits.maxDimension = 6
    return try Harness(limits: limits)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let path: String
    let body: String
    let status: Int
    let param: String?
    var testDescription: String { "\(path) \(body.prefix(70))" }

    init(_ path: String, _ body: String, _ status: Int, _ param: String? = nil) {
      self.path = path
      self.body = body
      self.status = status
      self.param = param
    }
  }

  static let cases = [
    Case("/embed", "{", 400), Case("/embed", "", 400), Case("/embed", "{\"inputs\": \"a\", \"inputs\": \"b\"}", 400),
    Case("/embed", "[]", 422), Case("/embed", "{}", 422, "inputs"), Case("/embed", "{\"inputs\": []}", 422, "inputs"),
    Case("/embed", "{\"inputs\": 3}", 422, "inputs"), Case("/embed", "{\"inputs\": [\"a\", 3]}", 422, "inputs[1]"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"nomalize\": true}", 422, "nomalize"),
    Case("/embed", "{\"inputs\": \"a\", \"normalize\": 1}", 422, "normalize"),
    Case("/embed", "{\"inputs\": \"a\", \"dimensions\": 0}", 422, "dimensions"),
    Case("/embed", "{\"inputs\": \"a\", \"dimensions\": 1e400}", 400),
    Case("/embed", "{\"inputs\": \"a\", \"encoding_format\": \"hex\"}", 422, "encoding_format"),
    Case("/embed", "{\"inputs\": \"a\", \"prompt_name\": \"none\"}", 422, "prompt_name"),
    Case("/embed", "{\"inputs\": [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]}", 413, "inputs"),
    Case("/embed", "{\"inputs\": [\"a\", \"\(String(repeating: "b", count: 41))\"]}", 413, "inputs[1]"),
    Case("/similarity", "{\"inputs\": {\"sentences\": [\"a\"]}}", 422, "inputs.source_sentence"),
    Case("/similarity", "{\"inputs\": {\"source_sentence\": \"a\", \"sentences\": []}}", 422, "inputs.sentences"),
    Case("/similarity", "{\"inputs\": \"a\"}", 422, "inputs"),
    Case("/loss", "{\"queries\": [[1,2]]}", 422, "keys"),
    Case("/loss", "{\"queries\": [[1,2],[3]], \"keys\": [[1,2],[3,4]]}", 422, "queries[1]"),
    Case("/loss", "{\"queries\": [[1,2],[0,0]], \"keys\": [[1,2],[3,4]]}", 422, "queries[1]"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1e39,2]]}", 422, "keys[0]"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[null,2]]}", 422, "keys[0]"),
    Case("/loss", "{\"queries\": [1,2], \"keys\": [[1,2]]}", 422, "queries[0]"),
    Case("/loss", "{\"queries\": [[]], \"keys\": [[]]}", 422, "queries[0]"),
    Case("/loss", "{\"queries\": [[1,2,3,4,5,6,7]], \"keys\": [[1,2,3,4,5,6,7]]}", 422, "queries"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2],[3,4]]}", 422, "positives"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2],[3,4]], \"positives\": [2]}", 422, "positives[0]"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"negatives\": [[1,2,3]]}", 422, "negatives"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"temperature\": 0}", 422, "temperature"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"temperature\": -1}", 422, "temperature"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"labels\": [1]}", 422, "labels"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"queue\": \"q\"}", 404, "queue"),
    Case("/loss", "{\"queries\": [[1,2]], \"keys\": [[1,2]], \"return\": [\"gradient\"]}", 422, "return"),
    Case("/loss", "{\"objective\": \"dcl\", \"queries\": [[1,2]], \"keys\": [[1,2]]}", 422, "negatives"),
    Case("/loss", "{\"objective\": \"mse\", \"queries\": [[1,2]], \"keys\": [[1,2]]}", 422, "objective"),
    Case("/neighbors", "{\"collection\": \"nowhere\", \"inputs\": \"a\"}", 404, "collection"),
    Case("/neighbors", "{}", 422, "inputs"),
    Case("/neighbors", "{\"inputs\": \"a\", \"ids\": [\"b\"]}", 422, "ids"),
    Case("/neighbors", "{\"inputs\": \"a\", \"k\": 0}", 422, "k"),
    Case("/neighbors", "{\"inputs\": \"a\", \"filter\": {\"a\": {\"b\": 1}}}", 422, "filter.a.b"),
    Case("/neighbors", "{\"vectors\": [[1,2]]}", 422, "vectors[0]"),
    Case("/neighbors", "{\"ids\": [\"nobody\"]}", 404, "ids[0]"),
    Case("/nowhere", "{}", 404),
  ]

  @Test(arguments: cases) func getsItsStatusAndCause(_ test: Case) throws {
    let harness = try Self.harness.get()
    let answer = Answer(
      try harness.start(.post, test.path, test.body, fields: [("Content-Type", "application/json")]).response())
    #expect(answer.status == test.status)
    #expect(answer.param == test.param)
    #expect(!answer.detail.isEmpty)
    #expect(answer.response.fields["content-type"] == "application/problem+json")
    #expect(try harness.send(.get, "/livez").status == 200)
  }

  @Test func openAIRoutesUseItsShape() throws {
    let harness = try Self.harness.get()
    for body in ["{", "{\"input\": []}", "{\"input\": [1, -1]}", "{\"input\": [[1], \"a\"]}", "{\"input\": {}}"] {
      let answer = try harness.post("/v1/embeddings", body)
      #expect(answer.status == 400)
      let error = answer.object["error"] as? [String: Any]
      #expect(error?["type"] as? String == "invalid_request_error")
      #expect((error?["message"] as? String)?.isEmpty == false)
    }
    #expect(try harness.send(.get, "/v1/models/unknown").status == 404)
  }

  @Test func methodsAndTypes() throws {
    let harness = try Self.harness.get()
    let wrongMethod = try harness.send(.get, "/embed")
    #expect(wrongMethod.status == 405)
    #expect(wrongMethod.response.fields["allow"] == "POST, OPTIONS")
    #expect(try harness.send(.other("FROB"), "/embed").status == 501)
    let options = try harness.send(.options, "/livez")
    #expect(options.status == 204)
    #expect(options.response.fields["allow"] == "GET, HEAD, OPTIONS")
    let wrongType = try harness.send(.post, "/embed", "a", fields: [("Content-Type", "text/plain")])
    #expect(wrongType.status == 415)
    #expect(wrongType.response.fields["accept-post"] == "application/json")
    let json = [("Content-Type", "Application/JSON ; charset=utf-8")]
    #expect(try harness.send(.post, "/embed", "{\"inputs\": \"a\"}", fields: json).status == 200)
    for (accept, status) in [
      ("text/html", 406), ("application/json;q=0", 406), ("text/html, */*;q=0.1", 200), ("application/*", 200),
    ] {
      let fields = [("Accept", accept)]
      #expect(try harness.send(.post, "/embed", "{\"inputs\": \"a\"}", fields: fields).status == status)
    }
    for (coding, status) in [("br", 415), ("deflate", 415), ("gzip, gzip", 415), ("gzip", 400), ("x-gzip", 400)] {
      let fields = [("Content-Type", "application/json"), ("Content-Encoding", coding)]
      #expect(try harness.send(.post, "/embed", "{}", fields: fields).status == status)
    }
  }

  @Test func everyAnswerHasAnIDAndATiming() throws {
    let harness = try Self.harness.get()
    let given = try harness.send(.get, "/livez", fields: [("X-Request-Id", "abc.DEF-1_2")])
    #expect(given.response.fields["x-request-id"] == "abc.DEF-1_2")
    for bad in ["", "a b", String(repeating: "x", count: 129), "ü"] {
      let id = try harness.send(.get, "/nowhere", fields: [("X-Request-Id", bad)]).response.fields["x-request-id"]
      #expect(id != bad)
      #expect(id?.count == 16)
    }
    let timing = try harness.post("/embed", "{\"inputs\": \"a\"}").response.fields["server-timing"] ?? ""
    let stages = timing.split(separator: ", ").map { $0.split(separator: ";dur=") }
    #expect(stages.map { String($0[0]) } == ["queue", "tokenize", "encode", "total"])
    for stage in stages { #expect(stage[1].split(separator: ".").last?.count == 3) }
  }

  @Test func failuresOfTheWireHaveBodies() throws {
    let harness = try Self.harness.get()
    let failure = RequestFailure(status: 413, reason: "the body is longer than 134217728 bytes")
    let response = harness.service.failureResponse(failure, head: nil, from: .unknown)
    #expect(response.status == 413)
    #expect(Answer(response).detail == "the body is longer than 134217728 bytes")
    #expect(response.fields["x-request-id"] != nil)
    let busy = harness.service.failureResponse(RequestFailure(status: 503, reason: "busy"), head: nil, from: .unknown)
    #expect(busy.fields["retry-after"] == "1")
  }
}
