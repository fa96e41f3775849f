import JSON
import Synchronization

/// New metadata for one stored point; its vector and its text stay.
public struct MetadataChange: Sendable {
  /// What becomes of the metadata that the point has.
  public enum Mode: String, Sendable, CaseIterable {
    /// Members are set one by one, and a null removes its member.
    case merge
    /// The whole metadata is replaced.
    case replace
  }

  public let id: String
  /// A JSON object as text; nil for none.
  public let metadata: [UInt8]?

  public init(id: String, metadata: [UInt8]?) {
    self.id = id
    self.metadata = metadata
  }

  /// The metadata of a point that has `old`.
  package func applied(to old: [UInt8]?, _ mode: Mode) throws(StoreError) -> [UInt8]? {
    guard mode == .merge, let metadata else { return mode == .merge ? old : metadata }
    let before = try Self.members(old ?? Array("{}".utf8))
    let changes = try Self.members(metadata)
    let changed = Dictionary(changes, uniquingKeysWith: { $1 })
    let known = Set(before.map(\.key))
    var writer = JSONWriter()
    writer.beginObject()
    for (key, value) in before.map({ ($0.key, changed[$0.key] ?? $0.value) })
      + changes.filter({ !known.contains($0.key) })
    where !value.isNull || changed[key] == nil {
      writer.key(key)
      writer.copy(value)
    }
    writer.endObject()
    return writer.bytes
  }

  /// Nesting that is read: more than any limit on bodies lets through.
  private static let maxDepth = 1024

  private static func members(_ text: [UInt8]) throws(StoreError) -> [(key: String, value: JSONValue)] {
    do throws(JSONParseError) {
      if let members = try JSONDocument(text, maxDepth: maxDepth).root.members { return members }
    } catch let error where error.isOutOfMemory {
      throw .outOfMemory
    } catch {}
    throw .damaged("stored metadata is not a JSON object")
  }
}

extension VectorCollection {
  /// The outcome of ``change(_:_:completion:)``.
  public struct MetadataOutcome: Sendable {
    /// The version that has the changes.
    public let version: Int
    /// The number of points that were changed.
    public let updated: Int
    /// The ids that no point has, in the order of the changes.
    public let missing: [String]
  }

  /// Changes the metadata of points; all of those that exist, in one batch. `completion` is called as in
  /// ``upsert(_:model:completion:)``.
  public func change(
    _ changes: [MetadataChange], _ mode: MetadataChange.Mode, key: ChangeKey? = nil,
    completion: @escaping @Sendable (Result<MetadataOutcome, StoreError>) -> Void
  ) {
    if let row = IDBytes.firstRepeated(changes.count, id: { changes[$0].id }) {
      return completion(.failure(.duplicateID(row: row)))
    }
    let id = id
    let missing = Mutex<[String]>([])
    submit(
      .derived { snapshot throws(StoreError) in
        var points: [Point] = []
        var unknown: [String] = []
        for change in changes {
          guard let point = snapshot.point(change.id) else {
            unknown.append(change.id)
            continue
          }
          let metadata = try change.applied(to: point.metadata, mode)
          points.append(Point(id: point.id, vector: point.vector, text: point.text, metadata: metadata))
        }
        missing.withLock { $0 = unknown }
        // A batch without points changes nothing, whatever it is called.
        return points.isEmpty
          ? .delete(collection: id, ids: []) : .upsert(collection: id, points: points, model: nil)
      }, key
    ) { result in
      completion(
        result.map { MetadataOutcome(version: $0.version, updated: $0.deleted, missing: missing.withLock { $0 }) })
    }
  }
}
