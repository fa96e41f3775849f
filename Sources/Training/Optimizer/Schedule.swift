import Platform

/// The learning rate of each step: a linear rise from 0, then a constant rate or a fall to 0, as the schedules of transformers
/// have it.
package struct Schedule: Sendable, Equatable {
  package enum Kind: String, Sendable, CaseIterable {
    case constant
    case linear
    /// Half a period of the cosine (Loshchilov and Hutter 2017, "SGDR", without restarts).
    case cosine
  }

  package var kind: Kind
  /// The highest rate.
  package var peak: Double
  /// The number of steps over which the rate rises: step 0 has the rate 0, and step `warmup` the highest.
  package var warmup: Int
  /// The number of steps of the training.
  package var steps: Int

  package init(_ kind: Kind, peak: Double, warmup: Int, steps: Int) {
    self.kind = kind
    self.peak = peak
    self.warmup = warmup
    self.steps = steps
  }

  /// The steps of a rise that takes this share of all, rounded up.
  package static func warmup(share: Double, of steps: Int) -> Int {
    Int(exactly: (Double(steps) * min(max(share, 0), 1)).rounded(.up)) ?? 0
  }

  /// The rate of a step, counted from 0.
  package func rate(at step: Int) -> Double {
    if step < warmup { return peak * Double(step) / Double(max(1, warmup)) }
    let progress = min(1, Double(step - warmup) / Double(max(1, steps - warmup)))
    switch kind {
    case .constant: return peak
    case .linear: return peak * (1 - progress)
    case .cosine: return peak * 0.5 * (1 + cos(.pi * progress))
    }
  }
}
