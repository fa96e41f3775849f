import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

@Suite("nearfar check")
struct FolderCheckTests {
  private static var options: IndexOptions {
    var options = IndexOptions()
    options.graphThreshold = 300
    return options
  }

  private func check(_ folder: TemporaryFolder, readOnly: Bool = false) throws -> [CollectionFinding] {
    var findings: [CollectionFinding] = []
    try FolderCheck.run(data: folder.path, index: Self.options, readOnly: readOnly) { findings.append($0) }
    return findings
  }

  private func fill(_ folder: TemporaryFolder) throws -> CollectionStore {
    let store = try CollectionStore(data: .folder(folder.path), index: Self.options, vfs: nil)
    var random = Seeded(5)
    let large = try store.create("large", dimension: 16, metric: .euclidean).collection
    _ = try large.upsert((0..<400).map { random.point("p\($0)", dimension: 16) })
    _ = try store.create("small", dimension: 4).collection.upsert([random.point("x")])
    return store
  }

  @Test func soundFoldersAreNotChanged() throws {
    let folder = try TemporaryFolder()
    try fill(folder).close()
    let store = try CollectionStore(data: .folder(folder.path), index: Self.options, vfs: nil)
    var random = Seeded(6)
    _ = try store.collection("large").upsert((390..<410).map { random.point("p\($0)", dimension: 16) })
    // The copy is as a kill would leave it: with a log, and with a graph that lacks the last batch.
    let killed = try folder.copy()
    store.close()
    let before = try killed.contents()
    #expect(before["nearfar.sqlite-wal"] != nil)
    let findings = try check(killed)
    #expect(findings.map(\.name) == ["large", "small"])
    #expect(findings.allSatisfy { $0.problem == nil })
    #expect(findings.map(\.count) == [410, 1] && findings.map(\.version) == [2, 1])
    #expect(findings.map(\.metric) == [.euclidean, .cosine])
    #expect(findings.map(\.origin) == [.saved(version: 1, added: 20), .none])
    #expect(findings[0].graph.nodes == 410 && findings[0].graph.edges > 410)
    #expect(try killed.contents() == before)
    try killed.open().close()
    // A service that was stopped leaves no log, and neither does the check.
    let stopped = try folder.contents()
    #expect(try check(folder).allSatisfy { $0.problem == nil })
    #expect(try check(folder, readOnly: true).map(\.origin) == check(folder).map(\.origin))
    #expect(try folder.contents() == stopped)
  }

  @Test(arguments: [1, 2])
  func anOlderFormatStaysThat(_ format: Int) throws {
    let folder = try TemporaryFolder()
    try fill(folder).close()
    try folder.make(format: format)
    let before = try folder.contents()
    #expect(try check(folder).allSatisfy { $0.problem == nil })
    #expect(try folder.contents() == before)
  }

  @Test func aDamagedGraphIsNamedAndLeft() throws {
    let folder = try TemporaryFolder()
    try fill(folder).close()
    let url = URL(fileURLWithPath: folder.path + "/graph-1.safetensors")
    var bytes = try Data(contentsOf: url)
    bytes[bytes.count - 5] ^= 1
    try bytes.write(to: url)
    let findings = try check(folder)
    #expect(findings[0].problem == OpenError("\(url.path) is damaged (checksum)", cause: .damaged))
    #expect(findings[0].graph.isSound && findings[0].graph.nodes == 400 && findings[1].problem == nil)
    #expect(try Data(contentsOf: url) == bytes)
    try FileManager.default.removeItem(at: url)
    #expect(try check(folder).map(\.origin) == [.built, .none])
    #expect(!FileManager.default.fileExists(atPath: url.path))
  }

  @Test func oneDamagedCollectionDoesNotHideTheOthers() throws {
    let folder = try TemporaryFolder()
    try fill(folder).close()
    try folder.run("UPDATE points SET text = 'another' WHERE collection = 1 AND id = 'p7'")
    let findings = try check(folder)
    #expect(
      findings[0].problem
        == OpenError(
          "\(folder.database) is damaged: collection 'large', point 'p7' is not as it was written", cause: .damaged))
    #expect(findings[1].problem == nil)
  }

  @Test func whatCannotBeCheckedIsRefusedByName() throws {
    let folder = try TemporaryFolder()
    let missing = folder.path + "/none"
    #expect(throws: OpenError("\(missing)/nearfar.sqlite is not there")) { try FolderCheck.run(data: missing) { _ in } }
    #expect(!FileManager.default.fileExists(atPath: missing))
    #expect(throws: OpenError("\(folder.database) is not there")) { try check(folder) }
    #expect(try folder.contents().isEmpty)
    let store = try fill(folder)
    let error = OpenError("the folder \(folder.path) is in use: another process holds \(folder.path)/lock")
    #expect(throws: error) { try check(folder) }
    store.close()
    try folder.run("PRAGMA user_version = 99")
    #expect(throws: OpenError.self) { try check(folder) }
  }
}
