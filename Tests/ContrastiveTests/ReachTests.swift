import Contrastive
import SimilarityCore
import TestSupport
import Testing

@Suite struct ReachTests {
  /// Strips, tiles and pieces are fixed by the batch: threads only share them.
  @Test func threadsDoNotShow() throws {
    var random = Seeded(5)
    let input = LossInput(queries: random.matrix(300, 40), keys: random.matrix(300, 40))
    var options = LossOptions(.infonce)
    options.wantsGradients = true
    let alone = try ContrastiveLoss.evaluate(input, options)
    for threads in [2, 3, 7] {
      options.threads = threads
      let shared = try ContrastiveLoss.evaluate(input, options)
      #expect(shared.perRow == alone.perRow)
      #expect(shared.gradients?.queries == alone.gradients?.queries)
      #expect(shared.gradients?.keys == alone.gradients?.keys)
      #expect(shared.gradients?.temperature == alone.gradients?.temperature)
    }
  }
}
