import PostgresRecords
import StoreSupport
import TestSupport
import Testing
import VectorStore

/// The form of a batch in the table of changes.
@Suite struct ChangePayloadTests {
  private func decoded(
    _ upserts: [Point], _ deletes: [String], dimension: Int
  ) -> (upserts: [Point], deletes: [String])? {
    let bytes = ChangePayload.encode(upserts: upserts, deletes: deletes.map { Array($0.utf8) })
    return ChangePayload.decode(bytes, dimension: dimension)
  }

  @Test func whatIsEncodedIsDecoded() throws {
    let points = [
      Point(id: "a", vector: [1, -0.0], text: "", metadata: nil),
      Point(id: "zero\0byte", vector: [.leastNonzeroMagnitude, .greatestFiniteMagnitude], text: nil, metadata: []),
      Point(id: "猫🐈", vector: [3, 4], text: "a\0b", metadata: Array(#"{"a":"\u0000"}"#.utf8)),
      Point(id: String(repeating: "x", count: 512), vector: [0, 1], text: "é", metadata: Array("{}".utf8)),
    ]
    let found = try #require(decoded(points, ["a", "", "b\0"], dimension: 2))
    #expect(found.upserts == points)
    #expect(found.upserts[0].vector[1].sign == .minus)
    // None is not the same as empty.
    #expect(found.upserts[0].text == "" && found.upserts[0].metadata == nil)
    #expect(found.upserts[1].text == nil && found.upserts[1].metadata == [])
    #expect(found.deletes == ["a", "", "b\0"])
  }

  @Test func anEmptyBatch() throws {
    let found = try #require(decoded([], [], dimension: 7))
    #expect(found.upserts.isEmpty && found.deletes.isEmpty)
    #expect(ChangePayload.encode(upserts: [], deletes: []) == [1, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func manyDeletions() throws {
    let ids = (0..<50_000).map { "point \($0)" }
    let found = try #require(decoded([], ids, dimension: 3))
    #expect(found.upserts.isEmpty && found.deletes == ids)
  }

  @Test func aPointOfAnotherDimensionIsRefused() {
    let points = [Point(id: "a", vector: [1, 2], text: "t", metadata: nil)]
    for dimension in [0, 1, 3, 1000] { #expect(decoded(points, [], dimension: dimension) == nil) }
  }

  private static let sample = ChangePayload.encode(
    upserts: [
      Point(id: "first", vector: [1, 2, 3], text: "some text", metadata: Array(#"{"n":1}"#.utf8)),
      Point(id: "second", vector: [4, 5, 6], text: nil, metadata: nil),
    ], deletes: [Array("gone".utf8), Array("lost".utf8)])

  @Test func everyTruncationIsRefused() {
    let whole = Self.sample
    #expect(ChangePayload.decode(whole, dimension: 3) != nil)
    for length in 0..<whole.count { #expect(ChangePayload.decode(Array(whole[..<length]), dimension: 3) == nil) }
    #expect(ChangePayload.decode(whole + [0], dimension: 3) == nil)
  }

  /// Whatever a byte becomes, the payload is refused or says something else; the digest that stands with it tells.
  @Test func everyOtherByteIsRefusedOrAnotherValue() {
    let whole = Self.sample
    var accepted = 0
    for place in whole.indices {
      for value in UInt8.min...UInt8.max where value != whole[place] {
        var bytes = whole
        bytes[place] = value
        guard let found = ChangePayload.decode(bytes, dimension: 3) else { continue }
        accepted += 1
        #expect(found.upserts.count == 2 && found.deletes.count == 2)
        #expect(found.upserts.allSatisfy { $0.vector.count == 3 })
        let again = ChangePayload.encode(upserts: found.upserts, deletes: found.deletes.map { Array($0.utf8) })
        #expect(again != whole)
      }
    }
    // Those of ids, texts, metadata and values: 5 + 6 + 4 + 4 + 9 + 7 + 24 bytes, and the lengths of none.
    #expect(accepted >= 59 * 255)
  }

  @Test(arguments: [1, 5, 14, 27]) func hugeLengthsAreRefused(place: Int) {
    for value: UInt32 in [.max, .max - 1, 1 << 31, 1 << 30, 1 << 24] {
      var bytes = Self.sample
      withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(place..<place + 4, with: $0) }
      #expect(ChangePayload.decode(bytes, dimension: 3) == nil)
      #expect(ChangePayload.decode(bytes, dimension: 1 << 31) == nil)
    }
  }
}
