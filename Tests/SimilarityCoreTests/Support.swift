import SimilarityCore
import Testing

extension Kernels {
  /// Every variant that this processor can run.
  static let runnable = names.compactMap { Kernels(named: $0) }
}

extension Kernels: CustomTestStringConvertible {
  public var testDescription: String { name }
}
