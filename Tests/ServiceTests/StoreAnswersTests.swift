import HTTP1
import StoreSupport
import Testing
import VectorStore

/// Answers about collections: a slow commit does not block the work queues, and failures keep their kind.
@Suite struct StoreAnswersTests {
  @Test(arguments: RecordsKind.allCases)
  func otherRequestsAreAnsweredWhileACollectionIsMadeOrDeleted(_ kind: RecordsKind) throws {
    let records = ProxyRecords(try kind.records())
    let harness = try Harness(threads: 1, store: CollectionStore(records: records))
    func othersAreAnswered() throws {
      let tokens = try harness.post("/tokenize", #"{"inputs": ["a text"]}"#)
      #expect(tokens.status == 200)
      let listed = try harness.send(.get, "/collections/default/points")
      #expect(listed.status == 200 && listed.object["points"] as? [String] == [])
    }
    let making = try records.holdingCommits {
      let making = harness.start(.put, "/collections/c", #"{"dim": 3, "metric": "dot"}"#)
      try othersAreAnswered()
      #expect(!making.hasAnswer)
      return making
    }
    let made = Answer(try making.response())
    #expect(made.status == 201)
    #expect(made.object["name"] as? String == "c" && made.object["dim"] as? Int == 3)
    // Changing the setting of an existing collection waits for a commit, too.
    let changing = try records.holdingCommits {
      let changing = harness.start(.put, "/collections/c", #"{"dim": 3, "metric": "dot", "recall_target": 0.8}"#)
      try othersAreAnswered()
      #expect(!changing.hasAnswer)
      return changing
    }
    let changed = Answer(try changing.response())
    #expect(changed.status == 200 && changed.object["recall_target"] as? Double == 0.8)
    let deleting = try records.holdingCommits {
      let deleting = harness.start(.delete, "/collections/c")
      try othersAreAnswered()
      #expect(!deleting.hasAnswer)
      return deleting
    }
    #expect(try deleting.response().status == 204)
    #expect(try harness.send(.get, "/collections/c").status == 404)
  }

  @Test func whatFailsIsAnsweredAsBefore() throws {
    let harness = try Harness(threads: 1)
    #expect(try harness.send(.put, "/collections/c", #"{"dim": 3}"#).status == 201)
    #expect(try harness.send(.put, "/collections/c", #"{"dim": 3}"#).status == 200)
    let conflict = try harness.send(.put, "/collections/c", #"{"dim": 4}"#)
    #expect(conflict.status == 409)
    #expect(conflict.detail == "collection 'c' exists with dimension 3 and metric cosine")
    #expect(try harness.send(.delete, "/collections/c").status == 204)
    let gone = try harness.send(.delete, "/collections/c")
    #expect(gone.status == 404 && gone.detail == "there is no collection 'c'")
  }

  /// Each kind of failure in the store has its own status and text in the answer.
  @Test(arguments: [
    (StoreError.outOfMemory, 503, "there is not enough memory"),
    (.libraryFailed, 500, "the matrix library failed"),
    (.damaged("a row is not as it was written"), 500, "a row is not as it was written"),
    (.full, 507, "there is no room to store it; nothing has changed"),
    (.unavailable("the records cannot be reached: busy"), 503, "the records cannot be reached: busy"),
  ])
  func failuresOfTheStoreKeepTheirKind(_ error: StoreError, _ status: Int, _ detail: String) throws {
    let records = ProxyRecords(MemoryRecords())
    let harness = try Harness(threads: 1, store: CollectionStore(records: records))
    #expect(try harness.send(.put, "/collections/c", #"{"dim": 2}"#).status == 201)
    records.failCommits(with: error)
    for (method, target, body) in [
      (HTTPMethod.put, "/collections/d", #"{"dim": 2}"#), (.delete, "/collections/c", ""),
      (.put, "/collections/c", #"{"dim": 2, "recall_target": 0.9}"#),
      (.put, "/collections/c/points", #"{"points": [{"id": "a", "vector": [1, 2]}]}"#),
      (.post, "/collections/c/points/delete", #"{"ids": ["a"]}"#),
    ] {
      let answer = try harness.send(method, target, body)
      #expect(answer.status == status && answer.detail == detail, "\(method) \(target): \(answer.text)")
    }
    records.failCommits(with: nil)
    #expect(try harness.send(.delete, "/collections/c").status == 204)
  }
}
