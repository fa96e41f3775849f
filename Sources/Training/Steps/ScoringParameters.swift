import Contrastive
import Encoder
import Platform

/// The parameters of the loss itself where they are trained: log τ, and the bias of `sigmoid`.
final class ScoringParameters {
  let trained: TrainedArray
  private let bias: Int?
  private let temperature: Int

  /// CLIP's limit of 100 for 1/τ (Radford et al. 2021, arXiv 2103.00020, section 2.5).
  static let leastTemperature = 0.01

  /// - Throws: ``EncodingFailure/outOfMemory``.
  init(_ options: StepOptions) throws(EncodingFailure) {
    var layout = ParameterLayout()
    temperature = layout.add("log_temperature", [1], .bias)
    bias = options.objective == .sigmoid ? layout.add("bias", [1], .bias) : nil
    trained = try TrainedArray("loss", layout)
    trained.values.values[temperature] = Float(log(Double(options.temperature)))
    if let bias { trained.values.values[bias] = options.bias }
    clamp()
  }

  /// Sets τ and the bias as they are now.
  func apply(to options: inout LossOptions) {
    options.temperature = Float(exp(Double(trained.values.values[temperature])))
    if let bias { options.bias = trained.values.values[bias] }
  }

  /// ∂/∂log τ = τ·∂/∂τ.
  func setGradients(_ gradients: LossGradients, temperature value: Float) {
    trained.gradients.values[temperature] = Float((gradients.temperature ?? 0) * Double(value))
    if let bias { trained.gradients.values[bias] = Float(gradients.bias ?? 0) }
  }

  /// Keeps τ at the limit or above.
  func clamp() {
    trained.values.values[temperature] = max(trained.values.values[temperature], Float(log(Self.leastTemperature)))
  }
}
