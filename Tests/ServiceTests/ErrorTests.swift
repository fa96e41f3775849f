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

  /// Ollama's clients show the member `error`, Cohere's the member `message`; both name the field.
  @Test(arguments: [
    ("/api/embed", "{\"input\": [1]}", "error", "Invalid 'input[0]'"),
    ("/api/embed", "{\"input\": {}}", "error", "Invalid 'input'"),
    ("/api/embed", "{\"input\": \"a\", \"dimensions\": 385}", "error", "Invalid 'dimensions'"),
    ("/api/embed", "{\"input\": \"a\", \"dimensions\": -1}", "error", "Invalid 'dimensions'"),
    ("/api/embed", "{\"input\": \"a\", \"truncate\": 1}", "error", "Invalid 'truncate'"),
    ("/api/embed", "{", "error", "not valid JSON"),
    ("/api/embeddings", "{\"prompt\": [\"a\"]}", "error", "Invalid 'prompt'"),
    ("/api/embeddings", "{\"input\": \"a\"}", "error", "/v1/embeddings"),
    ("/api/show", "{}", "error", "Invalid 'model'"),
    ("/api/show", "[]", "error", "JSON object"),
    ("/v2/embed", "{}", "message", "Invalid 'texts'"),
    ("/v2/embed", "{\"texts\": \"a\"}", "message", "Invalid 'texts'"),
    ("/v2/embed", "{\"texts\": [\"a\", 1]}", "message", "Invalid 'texts[1]'"),
    ("/v2/embed", "{\"texts\": [\"a\"], \"inputs\": []}", "message", "Invalid 'inputs'"),
    ("/v2/embed", "{\"inputs\": [1]}", "message", "Invalid 'inputs[0]'"),
    ("/v2/embed", "{\"inputs\": [{\"content\": [1]}]}", "message", "Invalid 'inputs[0].content[0]'"),
    ("/v2/embed", "{\"texts\": [\"a\"], \"embedding_types\": \"float\"}", "message", "Invalid 'embedding_types'"),
    (
      "/v2/embed", "{\"texts\": [\"a\"], \"embedding_types\": [\"int8\"]}", "message",
      "float, base64, binary and ubinary"
    ),
    ("/v2/embed", "{\"texts\": [\"a\"], \"max_tokens\": 0}", "message", "Invalid 'max_tokens'"),
    ("/v1/embed", "{\"texts\": []}", "message", "Invalid 'texts'"),
    ("/v1/embed", "{\"texts\": [\"a\"], \"images\": [\"b\"]}", "message", "Invalid 'images'"),
  ])
  func otherRoutesUseTheirShapes(path: String, body: String, member: String, named: String) throws {
    let answer = try Self.harness.get().post(path, body)
    #expect(answer.status == 400)
    #expect(Array(answer.object.keys) == [member])
    #expect((answer.object[member] as? String)?.contains(named) == true, "\(answer.text)")
  }

  @Test(arguments: [
    ("/api/chat", "error", "/api/embed"), ("/v1/api/embed", "error", "no path"), ("/v2/chat", "message", "/v2/embed"),
    ("/v1/v2/embed", "message", "no path"), ("/collections/api/nothing", "detail", "there is no route"),
  ])
  func unknownPathsUseTheShapeOfWhoeverAsks(path: String, member: String, named: String) throws {
    let answer = try Self.harness.get().post(path, "{}")
    #expect(answer.status == 404)
    #expect((answer.object[member] as? String)?.contains(named) == true, "\(answer.text)")
  }

  @Test(arguments: [
    ("/v1/embeddings", "{\"input\": [[101, 7592, 102], [7592]]}", "input[1]"),
    ("/v1/embeddings", "{\"input\": [7592]}", "input"), ("/embeddings", "{\"input\": [[102, 101]]}", "input[0]"),
    ("/v1/embeddings", "{\"input\": [[30522]]}", "input[0][0]"),
  ])
  func tokenIdsOfAnotherModelAreRefusedWithTheCure(path: String, body: String, param: String) throws {
    let answer = try Self.harness.get().post(path, body)
    #expect(answer.status == 400)
    let error = answer.object["error"] as? [String: Any]
    #expect(error?["param"] as? String == param)
    #expect((error?["message"] as? String)?.contains("check_embedding_ctx_length=False") == true)
  }

  @Test func bodiesForOllamaNeedNoContentType() throws {
    let harness = try Self.harness.get()
    for type in ["application/x-www-form-urlencoded", "text/plain"] {
      let fields = [("Content-Type", type)]
      #expect(try harness.send(.post, "/api/embed", "{\"input\": \"a\"}", fields: fields).status == 200)
      #expect(try harness.send(.post, "/v2/embed", "{\"texts\": [\"a\"]}", fields: fields).status == 415)
    }
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
