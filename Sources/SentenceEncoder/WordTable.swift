import Safetensors

/// The vectors of the vocabulary: the largest table of a small encoder, of which a batch touches a few rows.
// SAFETY: `rows` points into `view` or `converted`, which are constant and live as long as the table.
final class WordTable: @unchecked Sendable {
  private let view: TensorView
  /// Rows as f32 where the file holds another type; kept apart so that f32 files are never copied.
  private let converted: UnsafeMutableBufferPointer<Float>?
  private let rows: UnsafePointer<Float>
  private let width: Int

  init(_ source: WeightSource, vocabulary: Int, width: Int) throws(EncoderError) {
    let name = "embeddings.word_embeddings.weight"
    view = try source.tensor(name, [vocabulary, width])
    self.width = width
    // An aligned f32 tensor is read in place.
    if view.dtype == .f32, let base = view.bytes.baseAddress, Int(bitPattern: base).isMultiple(of: 4) {
      converted = nil
      rows = base.assumingMemoryBound(to: Float.self)
      return
    }
    let values = try source.floats(name, [vocabulary, width])
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, values.count))
    _ = copy.initialize(from: values)
    converted = copy
    guard let base = copy.baseAddress else { throw EncoderError(key: name, message: "is empty") }
    rows = UnsafePointer(base)
  }

  deinit { converted?.deallocate() }

  /// The vector of token `id`, which must be in the vocabulary.
  func row(_ id: Int32) -> UnsafePointer<Float> { rows + Int(id) * width }
}
