import VectorStore

extension Fields {
  /// A condition on points' metadata.
  ///
  /// - Throws: ``Problem`` naming the part of the filter that is none.
  mutating func filter(_ key: String) throws(Problem) -> Filter? {
    guard let value = take(key) else { return nil }
    do throws(FilterError) {
      return try Filter(value, path: name(key))
    } catch {
      throw .invalid(error.path, error.reason)
    }
  }
}
