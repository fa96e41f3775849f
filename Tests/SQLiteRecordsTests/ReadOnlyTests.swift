import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Folders that are opened with `readOnly`. Permissions are not used, because the tests may run as root, which ignores
/// them.
@Suite struct ReadOnlyTests {
  @Test func whatIsThereIsServedAndNothingChanges() throws {
    let folder = try filled()
    let before = try contents(folder)
    let progress = Lines()
    let store = try open(folder, progress)
    let other = try open(folder)
    #expect(store.isReadOnly)
    #expect(progress.text.contains("the folder \(folder.path) cannot be written"))
    let collection = try store.collection("c")
    #expect(expected().matches(collection.snapshot))
    #expect(expected().matches(try other.collection("c").snapshot))
    #expect(throws: StoreError.readOnly) { try collection.upsert([Point(id: "new", vector: [1, 2, 3, 4])]) }
    #expect(throws: StoreError.readOnly) { try collection.delete(["p7"]) }
    #expect(throws: StoreError.readOnly) { try store.create("d", dimension: 2) }
    #expect(throws: StoreError.readOnly) { try store.delete("c") }
    #expect(try !store.create("c", dimension: 4).created)
    #expect(expected().matches(collection.snapshot))
    #expect(try collection.changes(after: 1, limit: 1000).through == 2)
    store.close()
    other.close()
    #expect(try contents(folder) == before)
    let writing = try folder.open()
    #expect(try writing.collection("c").upsert([Point(id: "new", vector: [1, 2, 3, 4])]) == 3)
    writing.close()
  }

  @Test func readersAndAWriterKeepEachOtherOut() throws {
    let folder = try filled()
    let error = OpenError("the folder \(folder.path) is in use: another process holds \(folder.path)/lock")
    let writing = try folder.open()
    #expect(throws: error) { try open(folder) }
    writing.close()
    let reading = try open(folder)
    #expect(throws: error) { try folder.open() }
    reading.close()
    try folder.open().close()
    // A folder that was copied may lack the lock file.
    try FileManager.default.removeItem(atPath: folder.path + "/lock")
    try open(folder).close()
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/lock"))
  }

  @Test func aGraphIsReadAndNeverWritten() throws {
    let folder = try TemporaryFolder()
    var options = IndexOptions()
    options.graphThreshold = 100
    let store = try CollectionStore(data: .folder(folder.path), index: options, vfs: nil)
    var random = Seeded(3)
    _ = try store.create("c", dimension: 4).collection.upsert((0..<300).map { random.point("p\($0)") })
    store.close()
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    let graph = try #require(names.first { $0.hasPrefix("graph-") })
    for isThere in [true, false] {
      if !isThere { try FileManager.default.removeItem(atPath: "\(folder.path)/\(graph)") }
      let before = try contents(folder)
      let progress = Lines()
      let reading = try CollectionStore(
        data: .folder(folder.path), index: options, vfs: nil, readOnly: true, progress: progress.add)
      #expect(progress.text.contains("read the graph") == isThere)
      #expect(try reading.collection("c").snapshot.graph?.nodes == 300)
      reading.close()
      #expect(try contents(folder) == before)
    }
  }

  /// The log of a killed process is read when its index exists; a copy without the index is refused.
  @Test func aLogIsReadOrRefusedByName() throws {
    let live = try filled()
    let store = try live.open()
    _ = try store.collection("c").upsert([Point(id: "late", vector: [4, 3, 2, 1])])
    for hasIndex in [true, false] {
      let folder = try TemporaryFolder()
      for name in ["nearfar.sqlite", "nearfar.sqlite-wal", "lock"] + (hasIndex ? ["nearfar.sqlite-shm"] : []) {
        try FileManager.default.copyItem(atPath: "\(live.path)/\(name)", toPath: "\(folder.path)/\(name)")
      }
      // The link prevents SQLite from making the index of the log, like a file system that cannot be written.
      if !hasIndex {
        try FileManager.default.createSymbolicLink(
          atPath: folder.database + "-shm", withDestinationPath: "/nowhere")
      }
      do {
        let reading = try open(folder)
        #expect(hasIndex)
        #expect(try reading.collection("c").snapshot.point("late")?.vector == [4, 3, 2, 1])
        reading.close()
      } catch let error as OpenError {
        #expect(!hasIndex, "\(error)")
        #expect(error.description.contains(folder.database + "-wal"))
        #expect(error.description.contains("start once with the folder writable"))
      }
    }
    store.close()
  }

  @Test func withoutRecordsThereIsNothingToServe() throws {
    let folder = try TemporaryFolder()
    do {
      try open(folder).close()
      Issue.record("opened an empty folder")
    } catch let error as OpenError {
      #expect(error.description.contains(folder.path))
    }
  }

  @Test func namesThatAURIWouldReadOtherwise() throws {
    let outer = try TemporaryFolder()
    let path = outer.path + "/a?b=1#c %41"
    let store = try CollectionStore(data: .folder(path))
    _ = try store.create("c", dimension: 1).collection.upsert([Point(id: "x", vector: [1])])
    store.close()
    let reading = try CollectionStore(data: .folder(path), vfs: nil, readOnly: true)
    #expect(try reading.collection("c").snapshot.count == 1)
    reading.close()
  }

  private func open(_ folder: TemporaryFolder, _ progress: Lines = Lines()) throws -> CollectionStore {
    try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true, progress: progress.add)
  }

  private func expected() -> Model {
    var random = Seeded(11)
    var model = Model()
    model.upsert((0..<50).map { random.point("p\($0)") })
    model.delete(["p3", "p4"])
    return model
  }

  private func filled() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    let collection = try store.create("c", dimension: 4).collection
    var random = Seeded(11)
    _ = try collection.upsert((0..<50).map { random.point("p\($0)") })
    _ = try collection.delete(["p3", "p4"])
    store.close()
    return folder
  }

  private func contents(_ folder: TemporaryFolder) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)"))
    }
    return files
  }
}
