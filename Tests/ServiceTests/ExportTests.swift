import Foundation
import HTTP1
import Safetensors
import Service
import Synchronization
import Testing

/// Exports whose safetensors header is limited to a few thousand bytes.
@Suite struct ExportTests {
  private static let count = 300

  @Test func whatDoesNotFitGoesInParts() throws {
    let harness = try filled(longestExportHeader: 4000)
    let refused = try harness.send(.get, "/collections/c/export")
    #expect(refused.status == 413)
    #expect(refused.detail.contains("part=N") && refused.detail.contains("nearfar export"))
    var ids: [String] = []
    var target: String? = "/collections/c/export?part=1000000"
    var answers = 0
    while let next = target {
      let response = try harness.start(.get, next).response()
      let (part, headerBytes) = try Self.read(response)
      #expect(headerBytes <= 4000)
      ids += part
      answers += 1
      target = Self.next(response)
      // Each answer holds as many points as fit; only the last may have a short header.
      #expect(target == nil || headerBytes > 3000)
    }
    #expect(answers > 3)
    #expect(ids == (0..<Self.count).map(Self.id))
  }

  @Test func aPointThatNoHeaderHoldsIsNamed() throws {
    let harness = try filled(longestExportHeader: 700)
    let refused = try harness.send(.get, "/collections/c/export?part=5")
    #expect(refused.status == 413)
    #expect(refused.detail.contains("'\(Self.id(0))'"))
  }

  @Test func aVersionIsKeptForAWhile() throws {
    let time = Mutex<UInt64>(1)
    let harness = try filled(longestExportHeader: 4000, clock: { time.withLock { $0 } })
    // A response keeps its version alive, so the function returns only what it read from it.
    func taken(_ target: String) throws -> (status: Int, ids: [String], next: String?) {
      let response = try harness.start(.get, target).response()
      guard response.status == 200 else { return (response.status, [], nil) }
      return (200, try Self.read(response).ids, Self.next(response))
    }
    let next = try #require(try taken("/collections/c/export?part=10").next)
    let gone = try harness.post("/collections/c/points/delete", #"{"ids": ["\#(Self.id(10).quoted)"]}"#)
    #expect(gone.status == 200)
    time.withLock { $0 += 100_000_000_000 }
    #expect(try taken(next).ids.first == Self.id(10))
    // The thread that answered may keep the response, and so the version, for a moment.
    var status = 200
    for _ in 0..<500 where status == 200 {
      usleep(10_000)
      time.withLock { $0 += 121_000_000_000 }
      status = try taken(next).status
    }
    #expect(status == 409)
    // A link to the current version works, since that version need not be kept.
    let again = try harness.start(.get, "/collections/c/export?part=10").response()
    #expect(try harness.start(.get, try #require(Self.next(again))).response().status == 200)
  }

  /// Older versions are dropped first, but not one that is being sent.
  @Test func fewVersionsAreKept() throws {
    let harness = try filled(longestExportHeader: 4000)
    let sending = try harness.start(.get, "/collections/c/export?part=10").response()
    let oldest = try #require(Self.next(sending))
    var links: [String] = []
    for number in 0..<6 {
      let gone = try harness.post("/collections/c/points/delete", #"{"ids": ["\#(Self.id(200 + number).quoted)"]}"#)
      #expect(gone.status == 200, "\(gone.text)")
      let response = try harness.start(.get, "/collections/c/export?part=10").response()
      links.append(try #require(Self.next(response)))
    }
    #expect(try harness.start(.get, oldest).response().status == 200)
    let statuses = try links.reversed().map { try harness.start(.get, $0).response().status }
    #expect(statuses.first == 200)
    #expect(statuses.contains(409), "\(statuses)")
    withExtendedLifetime(sending) {}
  }

  private static func id(_ number: Int) -> String { "id \"\(1000 + number)\" ü" }

  private func filled(
    longestExportHeader: Int? = nil, clock: (@Sendable () -> UInt64)? = nil
  ) throws -> Harness {
    let harness = try Harness(clock: clock, longestExportHeader: longestExportHeader)
    #expect(try harness.send(.put, "/collections/c", #"{"dim": 3}"#).status == 201)
    let points = (0..<Self.count).map { number -> [String: Any] in
      var point: [String: Any] = ["id": Self.id(number), "vector": [1, number, 2]]
      point["metadata"] = ["n": "a \\ \"b\" \(number)"]
      if number % 2 == 0 { point["text"] = "text\n\"\(number)\"" }
      return point
    }
    let body = try JSONSerialization.data(withJSONObject: ["points": points])
    let stored = try harness.send(.put, "/collections/c/points", String(decoding: body, as: UTF8.self))
    #expect(stored.status == 200, "\(stored.text)")
    return harness
  }

  /// Checks an export, and returns its ids and the number of bytes of its header.
  private static func read(_ response: Response) throws -> (ids: [String], headerBytes: Int) {
    let stream = try #require(response.stream)
    var bytes: [UInt8] = []
    while case let piece = next(of: stream), !piece.isEmpty { bytes += piece }
    #expect(bytes.count == stream.count)
    let header = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let archive = try SafetensorsArchive(bytes)
    func list(_ name: String) throws -> [Any?] {
      let text = try #require(archive.metadata[name])
      return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Any])
    }
    let ids = try list("ids").compactMap { $0 as? String }
    let vectors = try #require(archive.tensor("vectors"))
    #expect(vectors.shape == [ids.count, 3])
    for name in ["metadata", "texts"] { #expect(try list(name).count == ids.count) }
    let numbers = try vectors.floats().enumerated().filter { $0.offset % 3 == 1 }.map { Int($0.element) }
    #expect(numbers.map(id) == ids)
    #expect(
      try list("metadata").compactMap { ($0 as? [String: String])?["n"] } == numbers.map { "a \\ \"b\" \($0)" })
    #expect(try list("texts").map { $0 as? String } == numbers.map { $0 % 2 == 0 ? "text\n\"\($0)\"" : nil })
    return (ids, header)
  }

  /// Returns the stream's next piece, and checks that another thread makes it: the sending thread must not wait for the
  /// disk.
  private static func next(of stream: BodyStream) -> [UInt8] {
    let sender = Mutex(ObjectIdentifier(Thread.current))
    let made = Mutex<[UInt8]>([])
    let isMade = DispatchSemaphore(value: 0)
    stream.next { piece in
      #expect(ObjectIdentifier(Thread.current) != sender.withLock { $0 })
      made.withLock { $0 = piece ?? [] }
      isMade.signal()
    }
    isMade.wait()
    return made.withLock { $0 }
  }

  private static func next(_ response: Response) -> String? {
    guard let link = response.fields["link"] else { return nil }
    #expect(link.hasPrefix("<?") && link.hasSuffix(">; rel=\"next\""))
    return "/collections/c/export" + link.dropFirst().prefix { $0 != ">" }
  }
}

extension String {
  /// The text with its quotes escaped, as in a JSON string.
  fileprivate var quoted: String { replacingOccurrences(of: "\"", with: "\\\"") }
}
