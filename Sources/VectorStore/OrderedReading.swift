/// Records that can be read in the order of their ids, one point after another, so that they can be compared with others that are
/// read at the same time.
package protocol OrderedReading: Records {
  /// Calls `body` with a function that gives the points of a collection one by one, in the order of the bytes of their ids, and
  /// nil after the last one.
  ///
  /// - Throws: ``OpenError`` naming what is damaged or cannot be read, or what `body` throws.
  func inIDOrder(
    _ collection: StoredCollection, _ body: (() throws(OpenError) -> Point?) throws(OpenError) -> Void
  ) throws(OpenError)
}
