/// Bounds on what the records keep and on what one transaction does beside its changes; smaller in tests.
package struct RecordBounds: Sendable {
  /// Deletions of a collection that are remembered; as many as it has points, where those are more.
  package var tombstones: Int64 = 100_000
  /// Rows of a dropped collection that one transaction deletes.
  package var sweptRows = 1000
  /// Values that these rows' vectors have together, at most: 4 MB.
  package var sweptValues = 1 << 20

  package init() {}
}
