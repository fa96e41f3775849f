import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorStore

/// Files that are consistent, but older than commits that were answered.
@Suite struct LostCommitTests {
  private func isRefused(_ folder: TemporaryFolder, _ text: String) throws {
    let before = try folder.contents()
    // The folder is refused in read-only mode as well.
    for readOnly in [true, false] {
      do {
        try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: readOnly).close()
        Issue.record("opened")
      } catch {
        #expect(error.description.contains(folder.database) && error.description.contains(text), "\(error)")
      }
    }
    // The files are unchanged, so that putting the missing file back restores everything.
    #expect(try folder.contents() == before)
  }

  /// A copy of the folder as a killed service would leave it.
  ///
  /// - Parameter noted: whether to wait until the commits are noted in the file `mark`.
  private func killed(noted: Bool = true) throws -> (folder: TemporaryFolder, points: [Point]) {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    let collection = try store.create("c", dimension: 4).collection
    var random = Seeded(3)
    for batch in 0..<5 { _ = try collection.upsert((0..<20).map { random.point("p\(batch * 10 + $0)") }) }
    let mark = URL(fileURLWithPath: folder.path + "/mark")
    for _ in 0..<100 where noted && !FileManager.default.fileExists(atPath: mark.path) {
      Thread.sleep(forTimeInterval: 0.1)
    }
    let copy = try folder.copy()
    let points = collection.snapshot.all
    store.close()
    return (copy, points)
  }

  @Test func aLogThatIsGoneOrCutIsMissed() throws {
    let (folder, points) = try killed()
    let log = URL(fileURLWithPath: folder.database + "-wal")
    let whole = try Data(contentsOf: log)
    try FileManager.default.removeItem(at: log)
    try isRefused(folder, "the last commits are missing")
    for length in [0, 20, 32, 32 + 8216, whole.count / 2, whole.count - 8216] {
      try whole.prefix(length).write(to: log)
      try isRefused(folder, "the last commits are missing")
    }
    try whole.write(to: log)
    let store = try folder.open()
    #expect(try store.collection("c").snapshot.all == points)
    store.close()
  }

  /// Whichever byte of a frame is damaged, the folder is refused or at most its last transaction is lost, even when the
  /// file `mark` is missing.
  @Test func aBrokenFrameHidesNoMoreThanTheLastCommit() throws {
    let (folder, _) = try killed(noted: false)
    let log = URL(fileURLWithPath: folder.database + "-wal")
    let files = try folder.contents().filter { $0.key != "mark" }
    let whole = try Data(contentsOf: log)
    var refused = 0
    for frame in stride(from: 32, to: whole.count, by: 24 + 8192) {
      // These are bytes of the page number, the database size after a commit (two), the salts (two), the checksums
      // (two) and the page itself.
      for offset in [3, 7, 8, 15, 16, 23, 24, 5000] {
        let copy = try TemporaryFolder()
        for (name, bytes) in files { try bytes.write(to: URL(fileURLWithPath: "\(copy.path)/\(name)")) }
        var bytes = whole
        bytes[frame + offset] ^= 0x10
        try bytes.write(to: URL(fileURLWithPath: copy.database + "-wal"))
        do {
          let store = try copy.open()
          #expect(try store.collection("c").snapshot.version >= 4, "byte \(offset) of the frame at \(frame)")
          store.close()
        } catch let error as OpenError {
          #expect(error.description.contains(copy.database))
          refused += 1
        }
      }
    }
    #expect(refused > 50)
  }

  @Test func anEmptyDatabaseDoesNotTakeItsLogAlong() throws {
    let (folder, points) = try killed()
    let url = URL(fileURLWithPath: folder.database)
    let whole = try Data(contentsOf: url)
    try Data().write(to: url)
    try isRefused(folder, "it is empty, though there is a log of it")
    try whole.write(to: url)
    let store = try folder.open()
    #expect(try store.collection("c").snapshot.all == points)
    store.close()
  }

  @Test func anOlderCopyIsTakenOnceItIsMeant() throws {
    let folder = try TemporaryFolder()
    let copies = try TemporaryFolder()
    var random = Seeded(4)
    let first = try folder.open()
    _ = try first.create("c", dimension: 4).collection.upsert([random.point("a")])
    let expected = try first.collection("c").snapshot.all
    try RecordsBackup.run(data: folder.path, output: copies.database)
    first.close()
    let second = try folder.open()
    _ = try second.collection("c").upsert([random.point("b")])
    second.close()
    try FileManager.default.removeItem(atPath: folder.database)
    try FileManager.default.copyItem(atPath: copies.database, toPath: folder.database)
    #expect(throws: OpenError.self) { try RecordsBackup.run(data: folder.path, output: copies.path + "/other") }
    try isRefused(folder, "if so, remove \(folder.path)/mark")
    try FileManager.default.removeItem(atPath: folder.path + "/mark")
    let store = try folder.open()
    #expect(try store.collection("c").snapshot.all == expected)
    store.close()
  }

  @Test func aMarkThatIsNotWholeSaysNothing() throws {
    let (folder, points) = try killed()
    for content in ["", "99", "00000000000000000099 0000000000000000\n", String(repeating: "9", count: 4000)] {
      try Data(content.utf8).write(to: URL(fileURLWithPath: folder.path + "/mark"))
      let store = try folder.open()
      #expect(try store.collection("c").snapshot.all == points)
      store.close()
    }
  }

  @Test func aReaderMarksNothing() throws {
    let (folder, points) = try killed()
    let before = try folder.contents()
    let store = try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true)
    #expect(try store.collection("c").snapshot.all == points)
    #expect(throws: StoreError.readOnly) { try store.collection("c").delete(["p1"]) }
    store.close()
    #expect(try folder.contents() == before)
  }

  @Test func pointsWithoutTheirCollectionAreDamage() throws {
    for statement in ["DELETE FROM collections", "UPDATE points SET collection = 7 WHERE id = 'p1'"] {
      let (folder, _) = try killed()
      try folder.open().close()
      try folder.run(statement)
      try isRefused(folder, "which is missing")
    }
  }
}
