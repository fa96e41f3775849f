import COneDNN
import Encoder
import TestSupport
import Testing

/// Failures of the matrix library and missing memory are reported as such, not as faults of the folder or of an input.
@Suite struct FailureTests {
  @Test func loadingSaysWhatFailed() throws {
    defer { nf_fail_next(Int32(NF_SUCCESS)) }
    nf_fail_next(Int32(NF_OUT_OF_MEMORY))
    #expect(throws: EncoderError.outOfMemory) { try SentenceEncoder(folder: ModelFolder.path) }
    nf_fail_next(Int32(5))
    let failure = #expect(throws: EncoderError.self) { try SentenceEncoder(folder: ModelFolder.path) }
    #expect(failure == .matrixLibrary("the matrix library failed: runtime_error"))
    #expect(failure?.description == "the matrix library failed: runtime_error")
    #expect(EncoderError.outOfMemory.description == "there is not enough memory to load the model")
  }

  /// The status 5 is oneDNN's `dnnl_runtime_error`.
  @Test func encodingSaysWhatFailedAndGoesOn() throws {
    let encoder = try SentenceEncoderTests.loaded.get()
    let sequence: [Int32] = [101, 7592, 102]
    let expected = try encoder.encode([sequence])
    defer { nf_fail_next(Int32(NF_SUCCESS)) }
    nf_fail_next(Int32(NF_OUT_OF_MEMORY))
    #expect(throws: EncodingFailure.outOfMemory) { try encoder.encode([sequence]) }
    nf_fail_next(Int32(5))
    #expect(throws: EncodingFailure.matrixLibrary) { try encoder.encode([sequence]) }
    #expect(try encoder.encode([sequence]) == expected)
  }

  /// A batch whose buffers would take a pebibyte is refused, and the buffers that were allocated before are freed.
  @Test func aBatchThatDoesNotFitInMemory() throws {
    let sizes = Workspace.Sizes(hidden: 1 << 24, intermediate: 1 << 24, attention: 1)
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 1 << 24, sizes) }
    let scratch = Workspace.Sizes(hidden: 4, intermediate: 4, attention: 1 << 48)
    #expect(throws: EncodingFailure.outOfMemory) { try Workspace(tokens: 8, scratch) }
    _ = try Workspace(tokens: 8, Workspace.Sizes(hidden: 4, intermediate: 4, attention: 4))
  }

  /// These failures come from the library itself and are not simulated.
  @Test func theLibrarysOwnFailuresAreToldApart() {
    var weight: Float = 1
    var layer: OpaquePointer?
    // A pebibyte of weights: the allocation fails before any of them is read.
    #expect(nf_linear_create(1 << 24, 1 << 24, &weight, nil, NF_IDENTITY, &layer) == NF_OUT_OF_MEMORY)
    let status = nf_linear_create(-1, 4, &weight, nil, NF_IDENTITY, &layer)
    #expect(status != NF_SUCCESS && status != NF_OUT_OF_MEMORY && layer == nil)
  }
}
