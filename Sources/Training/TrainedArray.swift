import Encoder

/// Parameters that the optimiser changes: those of the model or of its adapters, a predictor, the temperature.
package final class TrainedArray: Sendable {
  /// What checkpoints call it.
  package let name: String
  package let layout: ParameterLayout
  package let values: FloatArray
  package let gradients: FloatArray

  /// - Throws: ``EncodingFailure/outOfMemory``.
  package init(_ name: String, _ layout: ParameterLayout) throws(EncodingFailure) {
    self.name = name
    self.layout = layout
    values = try FloatArray(layout.count)
    gradients = try FloatArray(layout.count)
  }
}
