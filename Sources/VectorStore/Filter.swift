/// A condition on points' metadata.
public struct Filter: Sendable {
}
