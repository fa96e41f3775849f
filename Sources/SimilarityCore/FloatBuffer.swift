/// Scratch memory for f32 values, uninitialised, freed with the object.
public final class FloatBuffer {
  public let count: Int
  /// The first of `count` values; valid while the buffer lives.
  public let start: UnsafeMutablePointer<Float>

  public init(_ count: Int) {
    self.count = max(0, count)
    start = UnsafeMutablePointer<Float>.allocate(capacity: max(1, count))
  }

  deinit { start.deallocate() }

  /// A part; empty when it is not inside the buffer.
  // SAFETY: the range is checked against the buffer.
  public subscript(range: Range<Int>) -> UnsafeMutableBufferPointer<Float> {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      return UnsafeMutableBufferPointer(start: nil, count: 0)
    }
    return UnsafeMutableBufferPointer(start: start + range.lowerBound, count: range.count)
  }
}
