/// A contrastive objective, by its name in the interface.
public enum Objective: String, Sendable, CaseIterable {
  case infonce
  case symmetric
  case ntXent = "nt_xent"
  case dcl
  case supcon
  case sigmoid
  case simsiam
  case byol
  case moco

  /// What an objective may be given beside its queries and `normalize`, by its name in the interface.
  public enum Option: String, Sendable, CaseIterable {
    case keys
    case negatives
    case positives
    case labels
    case temperature
    case inBatchNegatives = "in_batch_negatives"
    case bias
    case queue
  }

  /// The options that change this objective's value; any other is a mistake of the caller.
  public var options: Set<Option> {
    switch self {
    case .infonce, .dcl: [.keys, .negatives, .positives, .temperature, .inBatchNegatives, .queue]
    case .moco: [.keys, .negatives, .positives, .temperature, .queue]
    case .symmetric, .ntXent: [.keys, .temperature]
    case .supcon: [.keys, .labels, .temperature]
    case .sigmoid: [.keys, .temperature, .bias]
    case .simsiam, .byol: [.keys]
    }
  }

  /// The options that it cannot do without.
  public var requiredOptions: Set<Option> {
    switch self {
    case .supcon: [.labels]
    case .moco: [.keys, .queue]
    default: [.keys]
    }
  }

  /// τ where the caller names none: MoCo's (He et al. 2020), and SigLIP's initial 1/10 (Zhai et al. 2023).
  public var defaultTemperature: Float { self == .sigmoid ? 0.1 : 0.07 }
}
