import CPQ
import VectorStore

/// How a collection is read as a whole.
extension PostgresRecords {
  package func load(
    _ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError) {
    try load(collection, { _ throws(OpenError) in }, body)
  }

  /// Reads the collection's row and its points in one snapshot of the database, the points by COPY.
  package func load(
    _ collection: StoredCollection, _ begin: (StoredCollection) throws(OpenError) -> Void,
    _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError) {
    let what = "collection '\(collection.name)' in \(location) cannot be loaded"
    let outcome: Result<Void, OpenError>
    do throws(PostgresError) {
      outcome = try loading.with(patiently: true) { connection throws(PostgresError) -> Result<Void, OpenError> in
        do throws(LoadFailure) {
          return .success(try Self.load(collection, connection, begin, body))
        } catch {
          // Otherwise the next reader of the connection would see what this one has seen.
          if !connection.isLost { _ = try? connection.run("ROLLBACK") }
          switch error {
          case .database(let error): throw error
          case .other(let error): return .failure(error)
          }
        }
      }
    } catch {
      throw error.asOpenError(what)
    }
    try outcome.get()
  }

  private enum LoadFailure: Error {
    case database(PostgresError)
    /// The reader's, or about what was read; the connection is in the middle of a COPY.
    case other(OpenError)
  }

  private static func load(
    _ collection: StoredCollection, _ connection: PostgresConnection,
    _ begin: (StoredCollection) throws(OpenError) -> Void, _ body: (Point) throws(OpenError) -> Void
  ) throws(LoadFailure) {
    do throws(PostgresError) {
      try connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
      // COPY takes no parameters; a setting of the transaction takes the number in.
      try connection.run(
        "SELECT set_config('nearfar.collection', $1, true)", [.text(String(collection.id))])
    } catch { throw .database(error) }
    let row: PostgresCollection?
    do throws(PostgresError) { row = try CollectionTable.one(collection.id, connection) } catch {
      throw .database(error)
    }
    guard let row else {
      throw .other(
        OpenError("collection '\(collection.name)' has been dropped", StoreError.unknownCollection(collection.name)))
    }
    do throws(OpenError) { try begin(row.stored) } catch {
      connection.abandon()
      throw .other(error)
    }
    var rows = CopyReader()
    var read = 0
    do throws(PostgresError) {
      try connection.run(
        """
        COPY (SELECT id, vector, text, metadata, version, checksum FROM nearfar.points
        WHERE collection = current_setting('nearfar.collection')::bigint ORDER BY id)
        TO STDOUT (FORMAT binary)
        """, seconds: 600)
    } catch { throw .database(error) }
    var refusal: OpenError?
    do throws(PostgresError) {
      try connection.copyOut(seconds: 60) { bytes throws(PostgresError) in
        guard refusal == nil, let point = try rows.point(bytes, row.stored) else { return }
        do throws(OpenError) {
          try body(point)
          read += 1
        } catch {
          refusal = error
        }
      }
      if refusal == nil { try connection.run("COMMIT") }
    } catch { throw .database(error) }
    if let refusal {
      connection.abandon()
      throw .other(refusal)
    }
    guard read == row.stored.count else {
      throw .database(
        .damage("collection '\(row.stored.name)' has \(read) points where its row says \(row.stored.count)"))
    }
  }
}

/// Rows of COPY in the binary format (PostgreSQL's documentation of COPY): a header, then tuples of a count of fields and the
/// fields behind their lengths, and a count of -1 at the end.
private struct CopyReader {
  private var hasHeader = false

  /// - Parameter bytes: one message, which libpq gives whole: a tuple, the first one behind the header.
  /// - Returns: nil where the message holds no tuple.
  /// - Throws: for a row that is not as it was written.
  mutating func point(
    _ bytes: UnsafeRawBufferPointer, _ collection: StoredCollection
  ) throws(PostgresError) -> Point? {
    var fields = CopyFields(bytes)
    if !hasHeader {
      // The signature has 11 bytes; flags and the length of an extension follow.
      guard fields.skip(15), let extra = fields.integer32(), extra >= 0, fields.skip(Int(extra)) else {
        throw .damage("COPY began in another format")
      }
      hasHeader = true
      if fields.isAtEnd { return nil }
    }
    guard let count = fields.integer16() else { throw .damage("COPY sent half a row") }
    if count == -1 { return nil }
    guard count == 6, let id = fields.field(), let id, let vector = fields.field(), let vector,
      let text = fields.field(), let metadata = fields.field(), let version = fields.field(), let version,
      let checksum = fields.field(), let checksum
    else { throw .damage("a row of nearfar.points is not as it was written") }
    let name = String(decoding: id, as: UTF8.self)
    guard !id.isEmpty, vector.count == 4 * collection.dimension else {
      throw .damage("point '\(name)' of collection '\(collection.name)' is not as it was written")
    }
    let values = [Float](unsafeUninitializedCapacity: collection.dimension) { out, written in
      UnsafeMutableRawBufferPointer(out).copyMemory(from: vector)
      written = collection.dimension
    }
    let point = Point(
      id: name, vector: values, text: text.map { String(decoding: $0, as: UTF8.self) },
      metadata: metadata.map { Array($0) })
    let stored = PointTable.checksum(
      point, collection: collection.id, version: Int(CopyFields.integer64(version)))
    guard stored == CopyFields.integer64(checksum), values.allSatisfy(\.isFinite) else {
      throw .damage("point '\(name)' of collection '\(collection.name)' is not as it was written")
    }
    return point
  }
}

/// Reads from the front; every length is checked against what is left.
// SAFETY: slices of the caller's buffer, used while it is valid.
private struct CopyFields {
  private let bytes: UnsafeRawBufferPointer
  private var place = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { place == bytes.count }

  mutating func skip(_ count: Int) -> Bool {
    guard count <= bytes.count - place else { return false }
    place += count
    return true
  }

  mutating func integer16() -> Int16? {
    guard skip(2) else { return nil }
    return Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: place - 2, as: Int16.self))
  }

  mutating func integer32() -> Int32? {
    guard skip(4) else { return nil }
    return Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: place - 4, as: Int32.self))
  }

  /// nil when there is no field, and nil within when it is NULL.
  mutating func field() -> UnsafeRawBufferPointer?? {
    guard let length = integer32() else { return nil }
    guard length >= 0 else { return .some(nil) }
    guard skip(Int(length)) else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[place - Int(length)..<place])
  }

  /// A bigint; 0 when it is none.
  static func integer64(_ bytes: UnsafeRawBufferPointer) -> Int64 {
    bytes.count == 8 ? Int64(bigEndian: bytes.loadUnaligned(as: Int64.self)) : 0
  }
}
