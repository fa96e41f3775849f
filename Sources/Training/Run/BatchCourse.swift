/// The batches of a training, epoch after epoch, from any step on.
struct BatchCourse {
  private let order: BatchOrder
  private let set: TokenizedSet
  private var epoch = 0
  private var batches: EpochBatches
  private var next = 0

  /// - Throws: ``RunError`` where an epoch has no batch.
  init(_ set: TokenizedSet, _ order: BatchOrder) throws(RunError) {
    self.order = order
    self.set = set
    batches = order.batches(epoch: 0)
    guard !batches.isEmpty else {
      throw RunError("the \(set.count) examples make no batch of two with different texts")
    }
  }

  /// The number of batches of the first epoch.
  var batchesOfAnEpoch: Int { batches.count }

  /// The place behind the batches that were taken, for a checkpoint.
  var place: (epoch: Int, batch: Int) { (epoch, next) }

  /// The epochs behind this place, with the part of the present one.
  var epochs: Double { Double(epoch) + Double(next) / Double(max(1, batches.count)) }

  /// Whether the last batch that was taken was the last one of its epoch.
  var endsEpoch: Bool { next == batches.count }

  /// Goes on from a place of an earlier run.
  ///
  /// - Throws: ``RunError`` for a place that there is not.
  mutating func go(to place: (epoch: Int, batch: Int)) throws(RunError) {
    if place.epoch != epoch { batches = order.batches(epoch: place.epoch) }
    guard place.epoch >= 0, (0...batches.count).contains(place.batch) else {
      throw RunError("the checkpoint is at batch \(place.batch) of epoch \(place.epoch), which there is not")
    }
    (epoch, next) = place
  }

  /// The next batch; behind the last one of an epoch, the first of the next.
  mutating func take() -> TokenBatch {
    while next == batches.count {
      epoch += 1
      batches = order.batches(epoch: epoch)
      next = 0
    }
    next += 1
    return set.batch(batches[next - 1])
  }
}
