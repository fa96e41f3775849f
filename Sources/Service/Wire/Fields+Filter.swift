import VectorStore

extension Fields {
  /// A condition on points' metadata.
  mutating func filter(_ key: String) throws(Problem) -> Filter? {
    try refuse(key, "filters are not served by this version")
    return nil
  }
}
