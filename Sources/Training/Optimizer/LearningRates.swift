import Encoder
import Platform

/// How fast the parameters of each depth learn.
///
/// Layers near the input hold what pretraining found about the language and are changed less (layer-wise learning rate decay,
/// Howard and Ruder 2018, arXiv 1801.06146, "discriminative fine-tuning"), or not at all.
package struct LearningRates: Sendable, Equatable {
  /// The factor between the rate of a depth and that of the next deeper one, above 0 and at most 1.
  package var layerDecay: Double
  /// Parameters of a smaller depth stay as they are.
  package var firstTrainedDepth: Int

  package init(layerDecay: Double = 1, firstTrainedDepth: Int = 0) {
    self.layerDecay = layerDecay
    self.firstTrainedDepth = firstTrainedDepth
  }

  /// What the learning rate is multiplied by for a tensor: 0 for one that stays as it is, and otherwise
  /// ``layerDecay`` to the power of the distance to the deepest tensor of the same layout.
  ///
  /// Where all tensors of a layout have the depth 0, as those of a predictor or of a temperature, there are no layers, and the
  /// factor is 1.
  package func factor(of entry: ParameterLayout.Entry, in layout: ParameterLayout) -> Double {
    let deepest = layout.depth
    guard deepest > 0 else { return 1 }
    guard entry.depth >= firstTrainedDepth else { return 0 }
    return pow(layerDecay, Double(deepest - entry.depth))
  }
}
