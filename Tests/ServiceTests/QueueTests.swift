import Foundation
import HTTP1
import Service
import Synchronization
import Testing

/// Queues of negatives, and requests that must not be carried out twice.
@Suite struct QueueTests {
  /// Each test has its own service, because queues are part of a service's state.
  private func harness(capacity: Int = 4, dimension: Int = 2) throws -> Harness {
    let harness = try Harness()
    let made = try harness.send(.put, "/queues/q", "{\"capacity\": \(capacity), \"dim\": \(dimension)}")
    #expect(made.status == 201)
    return harness
  }

  private func moco(_ rows: [[Double]], queue: String = "\"q\"", _ more: String = "") -> String {
    "{\"objective\": \"moco\", \"queries\": \(rows), \"keys\": \(rows), \"temperature\": 1, \"queue\": \(queue)\(more)}"
  }

  private func appended(_ harness: Harness) throws -> Int {
    try harness.send(.get, "/queues/q").object["appended"] as? Int ?? -1
  }

  @Test func lifeOfAQueue() throws {
    let harness = try harness()
    #expect(try harness.send(.put, "/queues/q", "{\"capacity\": 4, \"dim\": 2}").status == 200)
    #expect(try harness.send(.put, "/queues/q", "{\"capacity\": 4, \"dim\": 3}").status == 409)
    for (body, param) in [
      ("{\"capacity\": 0, \"dim\": 2}", "capacity"), ("{\"capacity\": 1000001, \"dim\": 2}", "capacity"),
      ("{\"capacity\": 1, \"dim\": 8193}", "dim"), ("{\"dim\": 1}", "capacity"), ("{\"capacity\": 1}", "dim"),
      ("{\"capacity\": 1000000, \"dim\": 8192}", "capacity"),
    ] {
      let answer = try harness.send(.put, "/queues/r", body)
      #expect(answer.status == 422)
      #expect(answer.param == param)
    }
    let names = try harness.send(.get, "/queues").object["queues"] as? [[String: Any]]
    #expect(names?.compactMap { $0["name"] as? String } == ["q"])
    #expect(try harness.send(.delete, "/queues/q").status == 204)
    #expect(try harness.send(.get, "/queues/q").status == 404)
    #expect(try harness.post("/loss", moco([[1, 0]])).status == 404)
  }

  @Test func firstInFirstOut() throws {
    let harness = try harness()
    var held: [[Double]] = []
    let batches: [[[Double]]] = [
      [[1, 0]], [[0, 1], [0.6, 0.8]], [[0.8, 0.6], [-1, 0]],
      (0..<6).map { [cos(Double($0)), sin(Double($0))] }, [[0, -1]],
    ]
    for batch in batches {
      let sums = batch.map { query in
        M_E + held.reduce(0) { $0 + exp(query[0] * $1[0] + query[1] * $1[1]) }
      }
      let expected = sums.map { log($0) - 1 }.reduce(0, +) / Double(batch.count)
      let answer = try harness.post("/loss", moco(batch))
      let loss = try #require(answer.object["loss"] as? Double)
      #expect(abs(loss - expected) < 1e-5)
      #expect(answer.object["candidates"] as? Int == 1 + held.count)
      held = (held + batch).suffix(4)
      #expect(try harness.send(.get, "/queues/q").object["count"] as? Int == held.count)
    }
  }

  @Test func whatFailsOrOnlyReadsAppendsNothing() throws {
    let harness = try harness()
    #expect(try harness.post("/loss", moco([[0, 0]])).status == 422)
    let wide = try harness.post("/loss", moco([[1, 0, 0]]))
    #expect(wide.status == 422)
    #expect(wide.param == "queue")
    let reading = moco([[1, 0]], queue: "{\"name\": \"q\", \"update\": false}")
    #expect(try harness.post("/loss", reading).object["loss"] as? Double == 0)
    let unknown = try harness.post("/loss", moco([[1, 0]], queue: "{\"name\": \"q\", \"append\": 1}"))
    #expect(unknown.param == "queue.append")
    #expect(try appended(harness) == 0)
  }

  /// Texts are embedded before their request waits for the queue, so that requests cannot deadlock.
  @Test func manyAtOnceSeeWholeBatches() throws {
    let harness = try harness(capacity: 1000, dimension: 384)
    let texts = "[\"a cat\", \"a dog\", \"a bird\"]"
    let vectors = try harness.post("/embed", "{\"inputs\": \(texts)}").text
    let inboxes = (0..<40).map { number in
      let rows = number.isMultiple(of: 2) ? texts : vectors
      return harness.start(
        .post, "/loss", "{\"queries\": \(rows), \"keys\": \(rows), \"queue\": \"q\"}", endsPass: number % 5 == 4)
    }
    let seen = try inboxes.map { try #require(Answer(try $0.response()).object["candidates"] as? Int) }
    #expect(seen.sorted() == (0..<40).map { 3 + 3 * $0 })
    #expect(try appended(harness) == 120)
    let page = try harness.send(.get, "/metrics").text
    #expect(page.contains("nearfar_queue_rows{queue=\"q\"} 120\n"))
    #expect(page.contains("nearfar_queue_appended_total{queue=\"q\"} 120\n"))
  }

  @Test func aRepeatedKeyGetsTheFirstAnswer() throws {
    let clock = Clock()
    let harness = try Harness(clock: { clock.now })
    _ = try harness.send(.put, "/queues/q", "{\"capacity\": 40, \"dim\": 2}")
    _ = try harness.post("/loss", moco([[0, 1]]))
    let key = [("Idempotency-Key", "step-1")]
    let first = try harness.send(.post, "/loss", moco([[1, 0]]), fields: key)
    #expect(first.status == 200)
    clock.advance(seconds: 599)
    let again = try harness.send(.post, "/loss", moco([[1, 0]]), fields: key)
    #expect(again.text == first.text)
    #expect(try appended(harness) == 2)
    let other = try harness.send(.post, "/loss", moco([[1, 1]]), fields: key)
    #expect(other.status == 422)
    #expect(other.param == "Idempotency-Key")
    let binary = try harness.send(
      .post, "/loss", moco([[1, 0]]), fields: key + [("Accept", "application/x-safetensors")])
    #expect(binary.param == "Idempotency-Key")
    clock.advance(seconds: 2)
    let late = try harness.send(.post, "/loss", moco([[1, 0]]), fields: key)
    #expect(late.text != first.text)
    #expect(try appended(harness) == 3)
    for bad in ["", "a b", String(repeating: "x", count: 256)] {
      let answer = try harness.send(.post, "/loss", moco([[1, 0]]), fields: [("Idempotency-Key", bad)])
      #expect(answer.param == "Idempotency-Key")
    }
  }

  @Test func repetitionsWaitForTheFirst() throws {
    let harness = try harness(capacity: 1000)
    let body = moco((0..<300).map { [cos(Double($0)), sin(Double($0))] })
    let inboxes = (0..<12).map { number in
      harness.start(.post, "/loss", body, fields: [("Idempotency-Key", "same")], endsPass: number == 11)
    }
    #expect(Set(try inboxes.map { Answer(try $0.response()).text }).count == 1)
    #expect(try appended(harness) == 300)
  }

  /// A request whose client left is dropped, and a repetition of it is carried out.
  @Test func aFirstThatWasDroppedIsRunAgain() throws {
    let harness = try harness(capacity: 1000, dimension: 384)
    let long = String(repeating: "a fairly long text that fills its sequence ", count: 40)
    let texts = (0..<40).map { "\($0) \(long)" }
    let body = "{\"queries\": \(texts), \"keys\": \(texts), \"queue\": \"q\"}"
    let key = [("Idempotency-Key", "left")]
    let first = harness.start(.post, "/loss", body, fields: key)
    // The requests are handled by different work queues: without the pause, the second may claim the key first.
    Thread.sleep(forTimeInterval: 0.02)
    let second = harness.start(.post, "/loss", body, fields: key)
    Thread.sleep(forTimeInterval: 0.03)
    first.abandon()
    #expect(try first.response().status == 503)
    #expect(try second.response().status == 200)
    #expect(try appended(harness) == 40)
  }

  /// Stored answers have 64 MiB at most; the oldest is dropped for a new one.
  @Test func answersAreBounded() throws {
    let harness = try harness(capacity: 100)
    let small = [("Idempotency-Key", "small")]
    _ = try harness.send(.post, "/loss", moco([[1, 0]]), fields: small)
    _ = try harness.send(.post, "/loss", moco([[1, 0]]), fields: small)
    #expect(try appended(harness) == 1)
    // Each answer holds 2 · 900 · 1,024 gradient values, about 24 MiB of JSON.
    let rows = (0..<900).map { row in
      (0..<1024).map { "\((row &* 31 &+ $0 &* 17) % 97 + 1)" }.joined(separator: ",")
    }
    let matrix = "[" + rows.map { "[\($0)]" }.joined(separator: ",") + "]"
    let large = "{\"queries\": \(matrix), \"keys\": \(matrix), \"return\": [\"gradients\"]}"
    for number in 0..<3 {
      let answer = try harness.send(.post, "/loss", large, fields: [("Idempotency-Key", "large-\(number)")])
      #expect(answer.status == 200)
      #expect((16 << 20...32 << 20).contains(answer.response.body.count))
    }
    _ = try harness.send(.post, "/loss", moco([[1, 0]]), fields: small)
    #expect(try appended(harness) == 2)
  }
}

/// A clock that a test advances.
final class Clock: Sendable {
  private let time = Mutex<UInt64>(1)
  var now: UInt64 { time.withLock { $0 } }
  func advance(seconds: UInt64) { time.withLock { $0 += seconds * 1_000_000_000 } }
}
