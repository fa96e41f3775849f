import SimilarityCore
import Testing

extension Kernels: CustomTestStringConvertible {
  public var testDescription: String { name }
}
