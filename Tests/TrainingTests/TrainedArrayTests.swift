import Encoder
import Testing
import Training

@Test func arraysOfALayoutBeginAtCacheLines() throws {
  var layout = ParameterLayout()
  layout.add("weight", [3, 5], .matrix, depth: 1)
  layout.add("bias", [3], .bias, depth: 1)
  let array = try TrainedArray("model", layout)
  #expect(layout.entries.map(\.start) == [0, 16])
  #expect(array.values.count == 32 && array.values.values.allSatisfy { $0 == 0 })
  #expect(array.gradients.count == 32)
}
