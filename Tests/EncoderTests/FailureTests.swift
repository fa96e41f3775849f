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
    let sizes = Workspace.Sizes(hidden: 1 << 24, intermediate: 1 << 24, attention: 1, operand: 1)
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 1 << 24, sizes) }
    let scratch = Workspace.Sizes(hidden: 4, intermediate: 4, attention: 1 << 48, operand: 4)
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 8, scratch) }
    let operand = Workspace.Sizes(hidden: 4, intermediate: 4, attention: 4, operand: 1 << 50)
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 8, operand) }
    _ = try Workspace(tokens: 8, Workspace.Sizes(hidden: 4, intermediate: 4, attention: 4, operand: 4))
  }
}
