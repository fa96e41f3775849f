import SimilarityCore

/// Values of f32 at a fixed address, zeros at first: parameters, their gradients, or an optimiser's moments.
// SAFETY: who shares the array decides who may write to it; training writes to one from one thread, or from several that
// each have a part of their own.
package final class FloatArray: @unchecked Sendable {
  package let count: Int
  private let memory: AlignedMemory

  /// - Throws: ``EncodingFailure/outOfMemory``.
  package init(_ count: Int) throws(EncodingFailure) {
    do throws(OutOfMemory) {
      memory = try AlignedMemory(bytes: 4 * count)
    } catch {
      throw .outOfMemory
    }
    self.count = count
    memory.floats.initialize(repeating: 0, count: count)
  }

  package convenience init(copying other: FloatArray) throws(EncodingFailure) {
    try self.init(other.count)
    copy(from: other)
  }

  package var start: UnsafeMutablePointer<Float> { memory.floats }
  package var values: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: start, count: count) }

  package func copy(from other: FloatArray) {
    precondition(count == other.count, "\(other.count) values for an array of \(count)")
    start.update(from: other.start, count: count)
  }

  package func clear() { start.update(repeating: 0, count: count) }
}
