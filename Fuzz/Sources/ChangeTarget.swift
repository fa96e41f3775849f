import PostgresRecords
import VectorIndex
import VectorStore

/// A batch of changes as a database has it. The input is the dimension, one byte, and the batch.
enum ChangeTarget {
  static func run(_ input: [UInt8]) {
    guard let first = input.first else { return }
    let dimension = 1 + Int(first) % 8
    let bytes = Array(input.dropFirst())
    guard let found = ChangePayload.decode(bytes, dimension: dimension) else { return }
    require(found.upserts.allSatisfy { $0.vector.count == dimension }, "a point has another dimension")
    require(12 * found.upserts.count + 4 * found.deletes.count <= bytes.count, "more is read than is there")
    require(
      ChangePayload.decode(Array(bytes.dropLast()), dimension: dimension) == nil, "a batch without its end is accepted")
    require(ChangePayload.decode(bytes + [0], dimension: dimension) == nil, "a batch with more behind it is accepted")
    // Ids and texts that are no UTF-8 have been repaired; after that nothing changes any more.
    let once = encoded(found)
    guard let again = ChangePayload.decode(once, dimension: dimension) else {
      finding("what was encoded is not decoded")
    }
    require(encoded(again) == once, "what was encoded is decoded as something else")
  }

  private static func encoded(_ change: (upserts: [Point], deletes: [String])) -> [UInt8] {
    ChangePayload.encode(upserts: change.upserts, deletes: change.deletes.map { Array($0.utf8) })
  }
}

/// Rows that a database sends by COPY. The input has a part for each message.
enum CopyTarget {
  static func run(_ input: [UInt8]) {
    let collection = StoredCollection(id: 1, name: "c", dimension: 2, metric: .dot)
    var reader = CopyReader()
    var parts = Parts(input)
    while !parts.isEmpty {
      let outcome = parts.next().withUnsafeBytes { bytes in
        Result { () throws(PostgresError) in try reader.point(bytes, collection) }
      }
      switch outcome {
      case .success(nil): continue
      case .success(let point?):
        require(!point.id.isEmpty && point.vector.count == 2, "a point is not as it was written")
      case .failure(let error):
        require(error.state == "XX001" && !error.message.isEmpty, "the error \(error) does not speak of damage")
        return
      }
    }
  }
}
