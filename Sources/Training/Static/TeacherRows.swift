import Encoder
import SimilarityCore
import Synchronization

/// The vectors that a teacher gives to texts, which a smaller model learns to give to them too. Each text is embedded once, when
/// it is first asked for, and its vector is kept.
package final class TeacherRows {
  private let encoder: SentenceEncoder
  private let framing: (before: [Int32], after: [Int32])
  private let axes: PrincipalAxes?
  private let loop: ParallelLoop
  private var places: [TokenSequence: Int] = [:]
  private var kept: [Float] = []
  /// The number of values of a row.
  let dimension: Int

  /// The tokens of the teacher's batches.
  private static let batchTokens = 1024

  /// - Parameter axes: what the vectors are projected to; nil for the vectors as they are.
  package init(_ encoder: SentenceEncoder, _ axes: PrincipalAxes?, threads: Int) {
    self.encoder = encoder
    self.axes = axes
    framing = encoder.framing
    dimension = axes?.axes.rows ?? encoder.dimension
    loop = ParallelLoop(threads: threads)
  }

  /// The teacher's vectors of texts, of length 1, [texts, dimension].
  ///
  /// - Parameter texts: ids without the special tokens around a text.
  /// - Throws: ``EncodingFailure``, and `ProductFailure` when the matrix library fails.
  package func rows(_ texts: [TokenSequence]) throws -> Matrix {
    var missing: [TokenSequence] = []
    for text in texts where places[text] == nil {
      places[text] = places.count
      missing.append(text)
    }
    do {
      if !missing.isEmpty { kept += try embed(missing).values }
    } catch {
      for text in missing { places[text] = nil }
      throw error
    }
    var values: [Float] = []
    values.reserveCapacity(texts.count * dimension)
    for text in texts {
      guard let place = places[text] else { preconditionFailure("a text that was embedded is missing") }
      values += kept[place * dimension..<(place + 1) * dimension]
    }
    return Matrix(texts.count, dimension, values)
  }

  /// What the vectors of texts look like for the teacher, projected.
  private func embed(_ texts: [TokenSequence]) throws -> Matrix {
    let all = try Self.rows(encoder, texts.map(framed), loop)
    guard let axes else { return all }
    return try axes.project(all).unitRows()
  }

  private func framed(_ text: TokenSequence) -> TokenSequence {
    let room = max(1, encoder.maxSequenceLength - framing.before.count - framing.after.count)
    return TokenSequence(framing.before + text.ids.prefix(room) + framing.after)
  }

  /// The vectors of sequences by an encoder, of length 1, in batches on several threads. A row has the same bytes in any batch.
  static func rows(_ encoder: SentenceEncoder, _ sequences: [TokenSequence], _ loop: ParallelLoop) throws -> Matrix {
    let batches = Blocks(lengths: sequences.map(\.count), tokens: batchTokens).ranges
    let rows = Mutex<[Matrix?]>([Matrix?](repeating: nil, count: batches.count))
    try loop.forEachPiece(batches.count) { piece throws(EncodingFailure) in
      let found: Matrix
      do throws(EncodingFailure) {
        found = try encoder.encode(Array(sequences[batches[piece]]))
      } catch {
        guard case .invalidInput(let index) = error else { throw error }
        throw .invalidInput(batches[piece].lowerBound + index)
      }
      let normalised = found.unitRows()
      rows.withLock { $0[piece] = normalised }
    }
    return Matrix(sequences.count, encoder.dimension, rows.withLock { $0.flatMap { $0?.values ?? [] } })
  }
}
