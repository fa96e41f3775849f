import SimilarityCore

/// The precision that an encoder was asked for.
public enum WantedPrecision: String, Sendable, CaseIterable {
  /// bf16 where the processor multiplies it and the model stands it, else f32.
  case auto
  case f32
  case bf16
  case int8
}

/// The precision that an encoder runs in, and what it costs in accuracy.
public struct PrecisionChoice: Sendable, Equatable, CustomStringConvertible {
  /// How near vectors come to those of f32, measured on the loaded model.
  public struct Accuracy: Sendable, Equatable {
    public let lowestCosine: Double
    public let meanCosine: Double
    /// The number of texts.
    public let texts: Int

    /// The lowest cosine that ``WantedPrecision/auto`` accepts.
    static let asked = 0.9999
  }

  public let precision: Precision
  /// Why, as a clause.
  public let reason: String
  /// nil for f32.
  public let accuracy: Accuracy?

  public var description: String {
    let choice = "\(precision.rawValue), \(reason)"
    guard let accuracy else { return choice }
    return "\(choice); lowest cosine to f32 on \(accuracy.texts) texts: \(Self.rounded(accuracy.lowestCosine))"
  }

  /// Six digits, towards zero, so that a cosine below 1 is not shown as 1.
  private static func rounded(_ cosine: Double) -> Double { (cosine * 1e6).rounded(.towardZero) / 1e6 }

  /// f32, because it was asked for.
  static let f32 = PrecisionChoice(precision: .f32, reason: "as asked for", accuracy: nil)

  /// The texts that accuracy is measured on: short and long, prose, figures and code, in several scripts.
  static let texts = [
    "cat",
    "How do I reset my password?",
    "a small domesticated carnivorous mammal with soft fur, a short snout, and retractile claws",
    "The quarterly report shows revenue of $4,213.87 million, up 12.5 % from 3,745.22 in 2023.",
    "東京は日本の首都であり、世界で最も人口の多い都市圏の一つである。",
    "for (size_t i = 0; i < count; i++) sum += a[i] * b[i];  // O(n)",
    "Ich möchte gern wissen, ob das Geschäft am Samstag geöffnet ist.",
    """
    The committee met on Tuesday to discuss the proposal. Several members said that the costs had been \
    underestimated, others that the benefits would take years to appear. After a long debate the vote was postponed, \
    and a working group was asked to collect figures from comparable projects in neighbouring towns. Its report is \
    expected before the end of the summer, when the budget for the coming year has to be settled.
    """,
  ]

  /// Loads an architecture in the precision that was asked for.
  ///
  /// - Parameters:
  ///   - sequences: the tokens of ``texts``.
  ///   - load: loads the model in a precision. What it returned before has been released by then, so that only one
  ///     copy of the weights is in memory.
  ///   - encode: the vectors of `sequences`, as the model gives them.
  /// - Throws: what `load` throws.
  static func load(
    _ wanted: WantedPrecision, _ kernels: Kernels,
    _ load: (Precision) throws(EncoderError) -> any Architecture,
    encode: (any Architecture) throws(EncoderError) -> Matrix
  ) throws(EncoderError) -> (any Architecture, PrecisionChoice) {
    let precision: Precision
    let reason: String
    switch wanted {
    case .f32: return (try load(.f32), .f32)
    case .bf16: (precision, reason) = (.bf16, "as asked for")
    case .int8: (precision, reason) = (.int8, "as asked for")
    case .auto:
      guard kernels.multipliesBF16 else {
        let reason = "because this processor has no products of bf16"
        return (try load(.f32), PrecisionChoice(precision: .f32, reason: reason, accuracy: nil))
      }
      (precision, reason) = (.bf16, "because this processor has products of bf16")
    }
    let expected = try encode(try load(.f32))
    let architecture = try load(precision)
    let accuracy = Accuracy(of: try encode(architecture), expected)
    guard wanted != .auto || accuracy.lowestCosine >= Accuracy.asked else {
      let reason = "because bf16 reaches a cosine of only \(rounded(accuracy.lowestCosine)) with this model"
      return (try load(.f32), PrecisionChoice(precision: .f32, reason: reason, accuracy: nil))
    }
    return (architecture, PrecisionChoice(precision: precision, reason: reason, accuracy: accuracy))
  }
}

extension PrecisionChoice.Accuracy {
  /// Compares rows with those of f32. A row without a direction counts as a cosine of 0.
  init(of rows: Matrix, _ expected: Matrix) {
    let cosines = (0..<rows.rows).map { index -> Double in
      var (product, square, other) = (0.0, 0.0, 0.0)
      for (a, b) in zip(rows.row(index), expected.row(index)) {
        product += Double(a) * Double(b)
        square += Double(a) * Double(a)
        other += Double(b) * Double(b)
      }
      let length = (square * other).squareRoot()
      return length > 0 ? product / length : 0
    }
    texts = cosines.count
    lowestCosine = cosines.min() ?? 0
    meanCosine = cosines.isEmpty ? 0 : cosines.reduce(0, +) / Double(cosines.count)
  }
}
