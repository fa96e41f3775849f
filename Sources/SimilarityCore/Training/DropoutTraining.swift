import CKernels

/// Dropout (Srivastava et al. 2014), by a generator that is a function of a counter: Philox4x32-10 (Salmon et al. 2011,
/// "Parallel random numbers: as easy as 1, 2, 3").
///
/// Whether a value is kept depends on the seed, the serial number of its text, its place in the model and its index there
/// alone. So a second forward pass and the backward pass find the same mask, whatever is computed beside it and in which
/// parts. All variants make the same mask.
extension Kernels {
  /// out[i] is x[i]/(1 − probability), or 0 with the given probability. `out` may be `x`. The backward pass is the same call
  /// with the derivatives.
  ///
  /// - Parameters:
  ///   - first: the index of the first value among those of the text at this place, not negative.
  ///   - seed: of the training run.
  ///   - serial: a number that no other text of the run has.
  ///   - site: the place in the model.
  ///   - probability: 0 or less keeps all values, 1 or more none.
  public func dropout(
    _ x: UnsafePointer<Float>, count: Int, from first: Int, seed: UInt64, serial: UInt64, site: UInt32,
    probability: Float, into out: UnsafeMutablePointer<Float>
  ) {
    var mask = nf_dropout(seed: seed, serial: serial, site: site, probability: probability)
    table.pointee.dropout(&mask, x, count, UInt64(max(0, first)), out)
  }

  /// The four random words of a counter of four words and a key of two.
  public func randomWords(counter: [UInt32], key: [UInt32]) -> [UInt32] {
    precondition(counter.count == 4 && key.count == 2, "Philox takes a counter of four words and a key of two")
    var words: [UInt32] = [0, 0, 0, 0]
    table.pointee.philox(counter, key, &words)
    return words
  }
}
