import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorStore

@Suite struct BackupTests {
  @Test func aBackupIsTheMomentItWasTaken() throws {
    let folder = try TemporaryFolder()
    let other = try TemporaryFolder()
    let store = try folder.open()
    let collection = try store.create("c", dimension: 4).collection
    var random = Seeded(3)
    _ = try collection.upsert((0..<500).map { random.point("p\($0)") })
    let expected = collection.snapshot.all
    try RecordsBackup.run(data: folder.path, output: other.database)
    _ = try collection.upsert([random.point("later")])
    let restored = try other.open()
    #expect(try restored.collection("c").snapshot.all == expected)
    restored.close()
    store.close()
    #expect(throws: OpenError("\(other.database) is there already")) {
      try RecordsBackup.run(data: folder.path, output: other.database)
    }
  }
}
