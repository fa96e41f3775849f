/// Remembers the best evaluation, and ends a training that does not improve any more.
package struct EarlyStopping: Sendable, Equatable {
  /// The evaluations in a row without a new best after which training stops; nil for as long as there are steps.
  package let patience: Int?
  /// The largest value so far, and the step that it was reached at.
  package private(set) var best: (value: Double, step: Int)?
  /// The evaluations since then.
  package private(set) var since = 0

  package init(patience: Int?) { self.patience = patience }

  /// Goes on from what a checkpoint has kept.
  package init(patience: Int?, best: (value: Double, step: Int)?, since: Int) {
    self.patience = patience
    self.best = best
    self.since = since
  }

  /// Takes the value of an evaluation, of which a larger one is better. An equal value is no improvement: the model that was
  /// trained for less time is kept.
  ///
  /// - Returns: whether it is the best so far.
  package mutating func take(_ value: Double, step: Int) -> Bool {
    // The first one is always kept, so that there is a best model; a value that is not a number never beats another.
    if let best, !(value > best.value) {
      since += 1
      return false
    }
    best = (value, step)
    since = 0
    return true
  }

  package var stops: Bool { patience.map { since >= $0 } ?? false }

  package static func == (left: EarlyStopping, right: EarlyStopping) -> Bool {
    left.patience == right.patience && left.since == right.since && left.best?.value == right.best?.value
      && left.best?.step == right.best?.step
  }
}
