import SimilarityCore

extension Kernels {
  /// Every variant that this processor can run.
  public static let runnable = names.compactMap { Kernels(named: $0) }
}
