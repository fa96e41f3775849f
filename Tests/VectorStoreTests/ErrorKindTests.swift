import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Damage, missing memory and a failure of the matrix library are distinguished, from the index to a check's result.
@Suite struct ErrorKindTests {
  @Test(arguments: [
    (IndexError.outOfMemory, StoreError.outOfMemory, OpenError.Cause.outOfMemory),
    (.libraryFailed, .libraryFailed, .libraryFailed),
    (.full, .full, .unusable),
    (.rowsUnavailable("/x: reason"), .unavailable("rows cannot be kept on disk: /x: reason"), .unusable),
    (.zeroVector(row: 3), .zeroVector(row: 3), .unusable),
    (.dimension(row: 1, expected: 2, found: 3), .dimension(row: 1, expected: 2, found: 3), .unusable),
  ])
  func errorsOfTheIndexKeepTheirKind(_ index: IndexError, _ store: StoreError, _ cause: OpenError.Cause) {
    #expect(StoreError(index) == store)
    let open = OpenError("it", StoreError(index))
    #expect(open == OpenError("it: \(store)", cause: cause))
  }

  @Test func damageKeepsItsKind() {
    #expect(OpenError("it", StoreError.damaged("a row")) == OpenError("it: a row", cause: .damaged))
    #expect(OpenError("it", StoreError.unavailable("busy")) == OpenError("it: busy", cause: .unusable))
  }

  @Test func theTextsSayWhatHappened() {
    #expect("\(StoreError.outOfMemory)" == "there is not enough memory")
    #expect("\(StoreError.libraryFailed)" == "the matrix library failed")
    #expect("\(StoreError.damaged("a row is not as it was written"))" == "a row is not as it was written")
  }

  /// When the index has no memory for the points, the records are still sound.
  @Test(arguments: RecordsKind.allCases) func aCollectionThatDoesNotFitIntoMemory(_ kind: RecordsKind) throws {
    let place = try filled(kind)
    let error = OpenError("collection 'c' cannot be loaded: there is not enough memory", cause: .outOfMemory)
    #expect(throws: error) {
      try CollectionStore(records: ProxyRecords(place.records(), claimedCount: 1 << 40))
    }
    let findings = try check(ProxyRecords(place.records(), claimedCount: 1 << 40))
    #expect(findings.map(\.problem) == [error])
    // The records are unchanged.
    #expect(try check(place.records()).map(\.problem) == [nil])
  }

  @Test(
    arguments: RecordsKind.allCases, [OpenError.Cause.unusable, .damaged, .outOfMemory, .libraryFailed])
  func aCheckSaysWhyACollectionCannotBeLoaded(_ kind: RecordsKind, _ cause: OpenError.Cause) throws {
    let place = try filled(kind)
    let error = OpenError("the reason", cause: cause)
    let findings = try check(ProxyRecords(place.records(), loadFailure: error))
    #expect(findings.map(\.name) == ["c"] && findings.map(\.count) == [2])
    #expect(findings.map(\.problem) == [error])
    #expect(throws: error) { try CollectionStore(records: ProxyRecords(place.records(), loadFailure: error)) }
  }

  private func filled(_ kind: RecordsKind) throws -> RecordsPlace {
    let place = try RecordsPlace(kind)
    let store = try place.open()
    let collection = try store.create("c", dimension: 2).collection
    _ = try collection.upsert([Point(id: "a", vector: [1, 2]), Point(id: "b", vector: [2, 1])])
    store.close()
    return place
  }

  private func check(_ records: any Records) throws -> [CollectionFinding] {
    defer { records.close() }
    var findings: [CollectionFinding] = []
    try CollectionCheck.run(records, index: IndexOptions()) { findings.append($0) }
    return findings
  }
}
