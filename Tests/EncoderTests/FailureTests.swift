import Encoder
import TestSupport
import Testing

/// Memory that is missing is reported as such, not as a fault of the folder or of an input.
@Suite struct FailureTests {
  @Test func loadingSaysWhatFailed() {
    #expect(EncoderError.outOfMemory.description == "there is not enough memory to load the model")
  }

  /// A batch whose buffers would take a pebibyte is refused, and the buffers that were allocated before are freed.
  @Test func aBatchThatDoesNotFitInMemory() throws {
    func sizes(hidden: Int = 4, attention: Int = 4, operand: Int = 4) -> Workspace.Sizes {
      Workspace.Sizes(
        hidden: hidden, queryKeyValue: 3 * hidden, context: hidden, inner: hidden, gated: 0, attention: attention,
        rowsPerTile: 48,
        operand: operand, operandRow: 16, workers: 1)
    }
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 1 << 24, sizes(hidden: 1 << 24)) }
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 8, sizes(attention: 1 << 48)) }
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 8, sizes(operand: 1 << 50)) }
    _ = try Workspace(tokens: 8, sizes())
  }
}
