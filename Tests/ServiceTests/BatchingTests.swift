import Foundation
import HTTP1
import Testing

/// Requests that are in the encoder's batches together.
@Suite(.serialized) struct BatchingTests {
  static let harness = Result { try Harness() }

  private static func texts(_ texts: [String]) -> String {
    let data = (try? JSONSerialization.data(withJSONObject: ["inputs": texts])) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  @Test func rowsAreTheSameBytesAloneAndTogether() throws {
    let harness = try Self.harness.get()
    let texts = (0..<60).map { "Sentence number \($0) " + String(repeating: "word ", count: $0) }
    let together = try harness.post("/embed", Self.texts(texts))
    #expect(together.status == 200)
    #expect(together.rows.count == 60)
    let alone = try texts.map { try harness.post("/embed", Self.texts([$0])) }
    for (index, answer) in alone.enumerated() { #expect(answer.rows == [together.rows[index]]) }
  }

  /// Requests take turns, so that a short one does not wait for a long one that arrived earlier.
  @Test func aShortRequestOvertakesALongOne() throws {
    let harness = try Self.harness.get()
    let paragraph = String(repeating: "a fairly long text that fills its sequence ", count: 40)
    let long = harness.start(.post, "/embed", Self.texts((0..<60).map { "\($0) \(paragraph)" }))
    // The pause lets the long request start first.
    Thread.sleep(forTimeInterval: 0.05)
    let short = harness.start(.post, "/embed", Self.texts(["short"]))
    #expect(Answer(try short.response()).status == 200)
    #expect(!long.hasAnswer)
    #expect(Answer(try long.response()).rows.count == 60)
  }

  @Test func requestsOfOnePassAnswerEach() throws {
    let harness = try Self.harness.get()
    let inboxes = (0..<40).map { number in
      harness.start(.post, "/embed", Self.texts(["text \(number)"]), endsPass: false)
    }
    harness.service.endOfPass()
    let rows = try inboxes.map { Answer(try $0.response()).rows }
    for (number, row) in rows.enumerated() {
      #expect(row == (try harness.post("/embed", Self.texts(["text \(number)"]))).rows)
    }
  }

  @Test func workForAClientThatLeftIsDropped() throws {
    let harness = try Self.harness.get()
    let paragraph = String(repeating: "nobody waits for this any more ", count: 60)
    let before = try Self.encodedTexts(harness)
    let left = harness.start(.post, "/embed", Self.texts((0..<400).map { "\($0) \(paragraph)" }))
    Thread.sleep(forTimeInterval: 0.05)
    left.abandon()
    #expect(try left.response().status == 503)
    #expect(try Self.encodedTexts(harness) - before < 400)
  }

  private static func encodedTexts(_ harness: Harness) throws -> Double {
    let page = try harness.send(.get, "/metrics").text
    let line = page.split(separator: "\n").first { $0.hasPrefix("nearfar_encode_texts_total ") }
    return line.flatMap { Double($0.split(separator: " ")[1]) } ?? -1
  }
}
