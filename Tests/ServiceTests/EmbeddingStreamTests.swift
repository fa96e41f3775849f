import Dispatch
import Foundation
import HTTP1
import Service
import Synchronization
import TestSupport
import Testing

@Suite("Many texts in one request")
struct EmbeddingStreamTests {
  private static let harness = Result { try Harness() }

  private static func body(_ texts: [String], _ more: String = "") -> String {
    "{\"inputs\": [" + texts.map { "\"\($0)\"" }.joined(separator: ", ") + "]\(more)}"
  }

  /// The stream's next piece; nil when it cannot be made.
  private func next(of stream: BodyStream) -> [UInt8]? {
    let made = Mutex<[UInt8]?>(nil)
    let isMade = DispatchSemaphore(value: 0)
    stream.next { piece in
      made.withLock { $0 = piece }
      isMade.signal()
    }
    #expect(isMade.wait(timeout: .now() + 60) == .success)
    return made.withLock { $0 }
  }

  private func whole(_ response: Response) throws -> [UInt8] {
    let stream = try #require(response.stream)
    var bytes: [UInt8] = []
    while stream.count.map({ bytes.count < $0 }) ?? true {
      let piece = try #require(next(of: stream))
      guard !piece.isEmpty else { break }
      bytes += piece
    }
    return bytes
  }

  private static func texts(_ count: Int) -> [String] { (0..<count).map { "number \($0 % 700) of them" } }

  @Test("The vectors are those of small requests, in every format", arguments: [1024, 1025, 1280, 2000])
  func sameVectors(_ count: Int) throws {
    let harness = try Self.harness.get()
    let texts = Self.texts(count)
    var expected: [String] = []
    for start in stride(from: 0, to: count, by: 500) {
      let part = Array(texts[start..<min(start + 500, count)])
      expected.append(
        String(try harness.post("/embed", Self.body(part, ", \"dimensions\": 5")).text.dropFirst().dropLast()))
    }
    let json = try harness.start(.post, "/embed", Self.body(texts, ", \"dimensions\": 5")).response()
    guard count > 1024 else {
      #expect(json.stream == nil)
      return
    }
    #expect(json.status == 200 && json.byteCount == nil && json.fields["Content-Type"] == "application/json")
    let written = String(decoding: try whole(json), as: UTF8.self)
    #expect(written == "[" + expected.joined(separator: ",") + "]")

    let file = try harness.start(
      .post, "/embed", Self.body(texts, ", \"dimensions\": 5"), fields: [("Accept", "application/x-safetensors")]
    ).response()
    let bytes = try whole(file)
    #expect(file.byteCount == bytes.count)
    let header = bytes.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    let values = Data(bytes.dropFirst(8 + header)).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    let rows = try #require(JSONSerialization.jsonObject(with: Data(written.utf8)) as? [[Double]])
    #expect(values == rows.joined().map { Float($0) } && rows.count == count)
  }

  @Test("What is wrong with a text is said before the answer begins")
  func errors() throws {
    let harness = try Self.harness.get()
    var texts = Self.texts(1500)
    texts[1400] = String(repeating: "long ", count: 400)
    let answer = try harness.post("/embed", Self.body(texts, ", \"truncate\": false"))
    #expect(answer.status == 422 && answer.param == "inputs[1400]")
    let ids = "[" + [String](repeating: "[101, 102]", count: 1200).joined(separator: ",") + ", [40000]]"
    #expect(try harness.post("/embed", "{\"inputs\": \(ids)}").param == "inputs[1200][0]")
  }

  @Test("A client that does not read holds the work up, and one that goes away ends it")
  func heldUp() throws {
    let harness = try Harness()
    let inbox = harness.start(.post, "/embed", Self.body((0..<4000).map { "text number \($0)" }))
    let stream = try #require(try inbox.response().stream)
    #expect(next(of: stream)?.isEmpty == false)
    func encoded() throws -> Int {
      let line = try harness.send(.get, "/metrics").text.split(separator: "\n")
        .first { $0.hasPrefix("nearfar_encode_texts_total ") }
      return try #require(line.flatMap { Int($0.split(separator: " ")[1]) })
    }
    // One piece was taken, and three are made ahead.
    var seen = -1
    for _ in 0..<300 where try encoded() < 1024 { Thread.sleep(forTimeInterval: 0.1) }
    Thread.sleep(forTimeInterval: 0.3)
    seen = try encoded()
    #expect(seen == 1024)
    inbox.abandon()
    // What is made is still delivered, and the rest is not made.
    for _ in 0..<3 { #expect(next(of: stream)?.isEmpty != true) }
    #expect(next(of: stream) == nil)
    #expect(try encoded() < 2000)
  }
}
