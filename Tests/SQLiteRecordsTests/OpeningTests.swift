import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorStore

@Suite struct OpeningTests {
  @Test func oneProcessAtATime() throws {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    let error = OpenError("the folder \(folder.path) is in use: another process holds \(folder.path)/lock")
    #expect(throws: error) { try folder.open() }
    store.close()
    try folder.open().close()
  }

  @Test func aNewerFormatIsRefused() throws {
    let folder = try filled()
    try change(folder) { $0.replaceSubrange(60..<64, with: [0, 0, 0, 4]) }
    let text =
      "\(folder.database) cannot be used: its data format is 4, written by a newer version of nearfar; this one reads 3"
    #expect(throws: OpenError(text)) { try folder.open() }
  }

  /// Folders in earlier formats can be opened with everything in them.
  @Test(arguments: [1, 2] as [UInt8])
  func anOlderFormatIsTaken(_ format: UInt8) throws {
    let folder = try filled()
    let before = try opened(folder).map { ($0.name, Model(points: $0.points, version: $0.version)) }
    try folder.make(format: Int(format))
    let reading = try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true)
    #expect(reading.all.map(\.name) == before.map(\.0))
    reading.close()
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.database))[60..<64].elementsEqual([0, 0, 0, format]))
    let after = try opened(folder).map { ($0.name, Model(points: $0.points, version: $0.version)) }
    #expect(after.map(\.1) == before.map(\.1))
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.database))[60..<64].elementsEqual([0, 0, 0, 3]))
  }

  @Test func anOlderFormatThatIsRefusedStaysThat() throws {
    let folder = try filled()
    try folder.make(format: 1)
    try folder.run("UPDATE points SET text = 'another' WHERE rowid = (SELECT max(rowid) FROM points)")
    let before = try folder.contents()
    #expect(throws: OpenError.self) { try folder.open() }
    #expect(try folder.contents() == before)
  }

  @Test func aForeignFileIsRefused() throws {
    let folder = try filled()
    try change(folder) { $0.replaceSubrange(68..<72, with: [1, 2, 3, 4]) }
    #expect(throws: OpenError("\(folder.database) cannot be used: it is a database of another program")) {
      try folder.open()
    }
    try Data("this is no database, only a text that is long enough to look at".utf8)
      .write(to: URL(fileURLWithPath: folder.database))
    #expect(throws: OpenError.self) { try folder.open() }
  }

  @Test func aFolderThatCannotBeIsRefusedByName() throws {
    let folder = try TemporaryFolder()
    try Data().write(to: URL(fileURLWithPath: folder.path + "/file"))
    for path in [folder.path + "/file", folder.path + "/no/such"] {
      do {
        _ = try CollectionStore(data: .folder(path))
        Issue.record("opened \(path)")
      } catch {
        #expect(error.description.contains(path))
      }
    }
  }

  @Test func cutFilesAreRefused() throws {
    let folder = try filled()
    let whole = try Data(contentsOf: URL(fileURLWithPath: folder.database))
    var random = Seeded(17)
    for length in [0, 1, 99, 100, 4096, 8192, whole.count - 8192, whole.count - 1]
      + (0..<20).map({ _ in Int.random(in: 0..<whole.count, using: &random) })
    {
      try whole.prefix(length).write(to: URL(fileURLWithPath: folder.database))
      do {
        _ = try folder.open()
        Issue.record("opened a file cut to \(length) of \(whole.count) bytes")
      } catch let error as OpenError {
        #expect(error.description.contains(folder.database))
      }
    }
  }

  /// After a bit is flipped, the file is refused by name or all of its content is right. Many flips must be refused.
  @Test func flippedBitsAreRefusedOrHarmless() throws {
    let folder = try filled()
    let whole = try Data(contentsOf: URL(fileURLWithPath: folder.database))
    let expected = Dictionary(
      uniqueKeysWithValues: try opened(folder).map { ($0.name, Model(points: $0.points, version: $0.version)) })
    var random = Seeded(23)
    var refused = 0
    let flips = 400
    for round in 0..<flips {
      // Every fourth flip is in the header of the first page, where most faults are possible.
      let offset = Int.random(in: 0..<(round % 4 == 0 ? 200 : whole.count), using: &random)
      var bytes = whole
      bytes[offset] ^= 1 << UInt8(random.next() % 8)
      for suffix in ["-wal", "-shm", "-journal"] {
        try? FileManager.default.removeItem(atPath: folder.database + suffix)
      }
      try bytes.write(to: URL(fileURLWithPath: folder.database))
      do {
        let found = try opened(folder)
        let states = Dictionary(
          uniqueKeysWithValues: found.map { ($0.name, Model(points: $0.points, version: $0.version)) })
        #expect(states == expected, "byte \(offset)")
      } catch let error as OpenError {
        #expect(error.description.contains(folder.database))
        refused += 1
      }
    }
    #expect(refused > flips / 4)
  }

  /// With a damaged log of a killed process, at most the last transaction is missing, or the file is refused by name.
  @Test func aDamagedLogIsRefusedOrHarmless() throws {
    let live = try TemporaryFolder()
    let store = try live.open()
    let collection = try store.create("c", dimension: 24).collection
    var random = Seeded(31)
    var states: [Model] = [Model()]
    for round in 0..<6 {
      var next = states[states.count - 1]
      let batch = (0..<40).map { random.point("p\(round * 20 + $0)", dimension: 24) }
      next.upsert(batch)
      _ = try collection.upsert(batch)
      states.append(next)
    }
    let files = try ["nearfar.sqlite", "nearfar.sqlite-wal", "lock"].map { name in
      (name, try Data(contentsOf: URL(fileURLWithPath: "\(live.path)/\(name)")))
    }
    store.close()
    let length = files[1].1.count
    var refused = 0
    for round in 0..<150 {
      let folder = try TemporaryFolder()
      for (name, bytes) in files {
        var bytes = bytes
        if name.hasSuffix("-wal"), round > 0 {
          let offset = round <= 32 ? round - 1 : Int.random(in: 0..<length, using: &random)
          bytes[offset] ^= 1 << UInt8(random.next() % 8)
        }
        try bytes.write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
      }
      do {
        let reopened = try folder.open()
        let found = try reopened.collection("c").snapshot
        #expect(found.version >= (round == 0 ? 6 : 5))
        #expect(states[found.version].matches(found))
        reopened.close()
      } catch let error as OpenError {
        #expect(error.description.contains(folder.database + "-wal"))
        refused += 1
      }
    }
    #expect(refused > 75)
  }

  private func opened(_ folder: TemporaryFolder) throws -> [(name: String, points: [String: Point], version: Int)] {
    let store = try folder.open()
    defer { store.close() }
    return store.all.map { collection in
      let snapshot = collection.snapshot
      return (
        collection.name, Dictionary(uniqueKeysWithValues: snapshot.all.map { ($0.id, $0) }), snapshot.version
      )
    }
  }

  /// Two collections in a closed folder.
  private func filled() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    var random = Seeded(9)
    for name in ["a", "b"] {
      let collection = try store.create(name, dimension: 24).collection
      _ = try collection.upsert((0..<300).map { random.point("p\($0)", dimension: 24) }, model: "m")
      _ = try collection.delete((0..<60).map { "p\($0 * 3)" })
      _ = try collection.upsert((0..<40).map { random.point("p\($0 * 5)", dimension: 24) })
    }
    store.close()
    return folder
  }

  private func change(_ folder: TemporaryFolder, _ body: (inout Data) -> Void) throws {
    let url = URL(fileURLWithPath: folder.database)
    var bytes = try Data(contentsOf: url)
    body(&bytes)
    try bytes.write(to: url)
  }
}
