/// Why a step of training cannot be taken. Nothing has been changed then.
package enum TrainingFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The loss, or a gradient, is NaN or infinite; `what` names it.
  case notFinite(step: Int, what: String)
  /// The gradients are finite, but so large that their squares are not.
  case tooLarge(step: Int)

  package var description: String {
    switch self {
    case .notFinite(let step, let what):
      "step \(step): \(what) is not a finite number; a lower learning rate or clipping may help"
    case .tooLarge(let step):
      "step \(step): the gradients are too large for 32-bit floats; a lower learning rate or clipping may help"
    }
  }
}
