import Encoder
import TestSupport
import Testing

@Suite struct BatchBudgetTests {
  /// Each case: the rates of the candidates that were tried, and the size that is taken.
  @Test(arguments: [
    ([1.0, 1.0, 1.0], 192), ([0.97, 0.9, 1.0], 192), ([0.96, 0.98, 1.0], 384), ([0.5, 0.9, 1.0], 768),
    ([2.0], 192), ([1.0, 1.5], 384),
  ])
  func theSmallestSizeNearTheBestIsTaken(_ rates: [Double], _ size: Int) {
    #expect(BatchBudget.smallest(of: rates) == size)
  }

  @Test func withoutRatesTheUsualSizeIsTaken() {
    #expect(BatchBudget.smallest(of: []) == BatchBudget.unmeasured)
  }

  @Test func aLoadedModelHasOneOfTheSizes() throws {
    let encoder = try SentenceEncoder(folder: ModelFolder.path)
    #expect(BatchBudget.candidates.contains(encoder.batchTokens))
  }
}
