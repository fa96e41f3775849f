import Foundation
import HTTP1
import Testing

/// What `/loss` accepts and refuses, in JSON and in safetensors.
@Suite struct LossTests {
  static let harness = Result { try Harness() }

  static let binary = "application/x-safetensors"
  static let batch = [
    Tensor("queries", [2, 2], [1, 0, 0, 1]), Tensor("keys", [2, 2], [1, 0.5, 0.5, 1]),
  ]

  private func post(
    _ tensors: [Tensor], _ metadata: [String: String] = [:], accept: String? = nil
  ) throws -> Answer {
    var fields = [("Content-Type", Self.binary)]
    if let accept { fields.append(("Accept", accept)) }
    return Answer(
      try Self.harness.get().start(.post, "/loss", bytes: Tensor.file(tensors, metadata), fields: fields).response())
  }

  /// An option that the objective does not use is refused, unless it has its documented default.
  @Test(
    arguments: [
      ("\"objective\": \"symmetric\", \"negatives\": [[1, 2]]", 422, "negatives"),
      ("\"objective\": \"nt_xent\", \"positives\": [0, 1]", 422, "positives"),
      ("\"objective\": \"sigmoid\", \"labels\": [0, 1]", 422, "labels"),
      ("\"objective\": \"simsiam\", \"temperature\": 0.1", 422, "temperature"),
      ("\"objective\": \"simsiam\", \"temperature\": 0.07", 200, nil),
      ("\"objective\": \"byol\", \"bias\": -9", 422, "bias"),
      ("\"objective\": \"byol\", \"bias\": -10.0, \"in_batch_negatives\": true", 200, nil),
      ("\"objective\": \"supcon\"", 422, "labels"),
      ("\"objective\": \"supcon\", \"labels\": [0, 0.5]", 422, "labels[1]"),
      ("\"objective\": \"supcon\", \"labels\": [0, 0], \"queue\": \"q\"", 422, "queue"),
      ("\"objective\": \"moco\"", 422, "queue"),
      ("\"objective\": \"moco\", \"queue\": \"q\", \"in_batch_negatives\": true", 422, "in_batch_negatives"),
      ("\"queue\": \"nowhere\"", 404, "queue"),
      ("\"return\": [\"gradient\"]", 422, "return"),
    ] as [(String, Int, String?)])
  func options(_ option: String, _ status: Int, _ param: String?) throws {
    let body = "{\"queries\": [[1,0],[0,1]], \"keys\": [[1,0],[0,1]], \(option)}"
    let answer = try Self.harness.get().post("/loss", body)
    #expect(answer.status == status)
    #expect(answer.param == param)
  }

  @Test func rowsOfAGroupAreNamedByTheirPlace() throws {
    let body = """
      {"queries": [[1,0],[0,1]], "keys": [[1,0],[0,1]], "negatives": [[[1,2],[2,1],[1,1]],[[1,2],[0,0],[1,1]]]}
      """
    #expect(try Self.harness.get().post("/loss", body).param == "negatives[1][1]")
  }

  @Test func safetensorsSayWhatJSONSays() throws {
    let json = try Self.harness.get().post(
      "/loss",
      """
      {"queries": [[1,0],[0,1]], "keys": [[1,0.5],[0.5,1]], "temperature": 0.5,
       "return": ["per_row", "gradients", "diagnostics"]}
      """)
    let metadata = ["temperature": "0.5", "return": "[\"per_row\", \"gradients\", \"diagnostics\"]", "format": "np"]
    // The formats of the request and the answer are independent.
    #expect(try post(Self.batch, metadata).text == json.text)
    let answer = try post(Self.batch, metadata, accept: Self.binary)
    #expect(answer.response.fields["content-type"] == Self.binary)
    let (tensors, said) = try #require(Tensor.read(answer.response.body))
    let loss = try #require(json.object["loss"] as? Double)
    #expect(tensors["loss"] == Tensor("loss", [], [Float(loss)]))
    let gradients = try #require(json.object["gradients"] as? [String: Any])
    let rows = try #require(gradients["queries"] as? [[Double]])
    #expect(tensors["gradients.queries"]?.values == rows.joined().map { Float($0) })
    #expect(tensors["gradients.queries"]?.shape == [2, 2])
    #expect(tensors["gradients.temperature"]?.shape == [])
    #expect(said["objective"] == "infonce")
    #expect(said["rows"] == "2")
    let diagnostics = try JSONSerialization.jsonObject(with: Data((said["diagnostics"] ?? "").utf8)) as? NSDictionary
    #expect(diagnostics == json.object["diagnostics"] as? NSDictionary)
  }

  @Test func pairedNegativesKeepTheirShape() throws {
    let negatives = Tensor("negatives", [2, 3, 2], [1, 2, 2, 1, 1, 1, 1, 2, 3, 1, 1, 1])
    let answer = try post(Self.batch + [negatives], ["return": "[\"gradients\"]"], accept: Self.binary)
    let (tensors, _) = try #require(Tensor.read(answer.response.body))
    #expect(tensors["gradients.negatives"]?.shape == [2, 3, 2])
  }

  @Test func theFormatOfTheAnswerFollowsAccept() throws {
    for (accept, type) in [
      ("*/*", "application/json"), ("application/*", "application/json"), (Self.binary, Self.binary),
      ("application/json, application/x-safetensors", "application/json"),
      ("application/json;q=0.5, application/x-safetensors", Self.binary),
      ("*/*, application/json;q=0", Self.binary),
      ("application/json, application/x-safetensors;q=0.9", "application/json"),
    ] {
      #expect(try post(Self.batch, accept: accept).response.fields["content-type"] == type, "\(accept)")
    }
    #expect(try post(Self.batch, accept: "text/html").status == 406)
  }

  @Test func faultyTensorsAreNamed() throws {
    let nan = Tensor("queries", [2, 2], [1, 0, .nan, 1])
    #expect(try post([nan, Self.batch[1]]).param == "queries[1]")
    let infinite = Tensor("keys", [2, 2], [.infinity, 0, 1, 1])
    #expect(try post([Self.batch[0], infinite]).param == "keys[0]")
    #expect(try post(Self.batch + [Tensor("weights", [1], [1])]).param == "weights")
    #expect(try post(Self.batch, ["tau": "1"]).param == "tau")
    #expect(try post(Self.batch, ["temperature": "warm"]).param == "temperature")
    #expect(try post([Self.batch[0]]).param == "keys")
    #expect(try post([Self.batch[0], Tensor("keys", [4], [1, 2, 3, 4])]).param == "keys")
    #expect(try post(Self.batch + [Tensor("positives", [2], [0, 1])]).param == "positives")
    #expect(try post([Self.batch[0], Tensor("keys", [0, 2], [])]).param == "keys")
    let cut = Array(Tensor.file(Self.batch, [:]).dropLast())
    let answer = Answer(
      try Self.harness.get().start(.post, "/loss", bytes: cut, fields: [("Content-Type", Self.binary)]).response())
    #expect(answer.status == 400)
  }

  @Test func routesTellWhatTheyTake() throws {
    let harness = try Self.harness.get()
    let text = [("Content-Type", "text/plain")]
    let loss = try harness.send(.post, "/loss", "x", fields: text)
    #expect(loss.status == 415)
    #expect(loss.response.fields["accept-post"] == "application/json, application/x-safetensors")
    let embed = try harness.send(.post, "/embed", "x", fields: [("Content-Type", Self.binary)])
    #expect(embed.status == 415)
    #expect(embed.response.fields["accept-post"] == "application/json")
    let rows = try harness.send(.post, "/embed", "{\"inputs\": [\"a\", \"b\"]}", fields: [("Accept", Self.binary)])
    let (tensors, _) = try #require(Tensor.read(rows.response.body))
    #expect(tensors["embeddings"]?.shape == [2, 384])
  }
}
