import Contrastive

/// What a training step computes.
package struct StepOptions: Sendable {
  package var objective: Objective
  /// τ > 0; the first value where ``learnsTemperature``.
  package var temperature: Float
  /// τ is trained as well, as log τ, and kept at 0.01 or above (Radford et al. 2021, arXiv 2103.00020, section 2.5). The bias
  /// of `sigmoid` is then trained too.
  package var learnsTemperature = false
  /// The bias of `sigmoid`.
  package var bias: Float = -10
  /// How much of itself the slowly following copy of the model keeps at each step (`moco`, `byol`).
  package var momentum: Float
  /// The most keys of earlier batches (`moco`).
  package var queue = 4096
  /// The width of the predictor (`simsiam`, `byol`); nil for a quarter of the vectors' with `simsiam` (Chen & He 2020, arXiv
  /// 2011.10566, appendix B) and twice theirs with `byol`.
  package var predictorWidth: Int?
  /// The rank of adapters, which are trained in place of the model; nil for none.
  package var adapterRank: Int?
  /// α of the adapters; nil for twice the rank.
  package var adapterAlpha: Float?
  /// Parameters of a smaller depth are not trained.
  package var firstDepth = 0
  /// With a teacher: the weight of the loss against its vectors, from 0 to 1. That of the objective has the rest, and is not
  /// computed where nothing is left.
  package var teacherWeight: Float = 1
  /// τ of the loss against a teacher's vectors.
  package var teacherTemperature: Float = 0.1
  /// The most tokens whose activations are kept at the same time. It changes no result.
  package var chunkTokens = 8_192
  package var usesDropout = true
  package var seed: UInt64 = 42

  /// - Parameters:
  ///   - temperature: nil for the objective's default.
  ///   - momentum: nil for that of the papers: 0.996 for `byol` (Grill et al. 2020), else 0.999 (He et al. 2020).
  package init(_ objective: Objective, temperature: Float? = nil, momentum: Float? = nil) {
    self.objective = objective
    self.temperature = temperature ?? objective.defaultTemperature
    self.momentum = momentum ?? (objective == .byol ? 0.996 : 0.999)
  }

  /// Whether vectors are drawn to others without negatives, by a predictor.
  var isRegression: Bool { objective == .simsiam || objective == .byol }
  /// Whether a copy of the model follows it slowly.
  var hasFollower: Bool { objective == .moco || objective == .byol }
}

/// The loss of one batch, whose gradients are in the trained arrays.
package struct StepResult: Sendable {
  package var loss: Double
  /// The share of queries whose positive is the most similar candidate; nil for objectives without candidates, and `supcon`.
  package var accuracy: Double?
  /// τ of this step; nil for objectives that have none.
  package var temperature: Float?
  /// Texts and their tokens that went through the model for the loss. A text that a second network embeds too counts once.
  package var texts: Int
  package var tokens: Int
}

/// Why a model cannot be trained as the options say.
package enum StepError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The option, by its name in ``StepOptions``, and what is wrong.
  case option(String, String)

  package var description: String {
    switch self {
    case .option(let name, let reason): "\(name): \(reason)"
    }
  }
}
