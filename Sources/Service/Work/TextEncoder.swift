import Encoder
import Platform
import SimilarityCore

/// How a text becomes a sequence.
struct TextOptions: Sendable {
  enum Side: Sendable { case left, right }

  /// Cut a text that is too long; otherwise it is an error.
  var truncate = true
  /// Which end is cut off.
  var side = Side.right
  /// Put before every text.
  var prompt = ""
}

/// What becomes of the vectors that the encoder gives.
struct VectorShape: Sendable {
  /// Rows are divided by their Euclidean norm; nil does as the model's own folder says.
  var normalize: Bool?
  /// Keep this many leading values and normalise again.
  var dimensions: Int?
}

/// Texts in, vectors out: tokenization here, batches by the batcher.
final class TextEncoder: Sendable {
  let encoder: SentenceEncoder
  private let batcher: Batcher<[Int32]>

  init(encoder: SentenceEncoder, batcher: Batcher<[Int32]>) {
    self.encoder = encoder
    self.batcher = batcher
  }

  /// Texts that wait for a batch.
  var waiting: Int { batcher.waiting }

  /// The token ids of each text, special tokens included.
  ///
  /// - Throws: ``Problem`` naming `field[i]` for a text that is too long and may not be cut.
  func sequences(
    of texts: [String], _ options: TextOptions = TextOptions(), field: String, for call: Call
  ) throws(Problem) -> [[Int32]] {
    let began = SystemClock.monotonic
    defer { call.add(.tokenize, since: began) }
    let longest = encoder.maxSequenceLength
    var sequences: [[Int32]] = []
    sequences.reserveCapacity(texts.count)
    for (index, text) in texts.enumerated() {
      let whole = options.prompt.isEmpty ? text : options.prompt + text
      if options.side == .left && options.truncate {
        sequences.append(cut(encoder.tokenizer.encode(whole, maxLength: .max).ids, .left))
        continue
      }
      let (ids, truncated) = encoder.tokenizer.encode(whole, maxLength: longest)
      guard options.truncate || !truncated else {
        throw .invalid("\(field)[\(index)]", "has more tokens than max_seq_length, which is \(longest)")
      }
      sequences.append(ids)
    }
    return sequences
  }

  /// The vectors of sequences, shaped as wanted.
  ///
  /// - Parameter finish: gets a row for each sequence, on a work queue; what it throws becomes the call's answer.
  func encode(
    _ sequences: [[Int32]], _ shape: VectorShape = VectorShape(), for call: Call,
    finish: @escaping @Sendable (Matrix) throws -> Void
  ) {
    let began = SystemClock.monotonic
    batcher.encode(
      sequences, isAbandoned: { call.isAbandoned },
      finish: { result in
        call.add(.encode, since: began)
        call.perform { try finish(try self.shaped(try result.get(), shape)) }
      })
  }

  /// - Throws: ``Problem`` when a row has no direction that could be normalised.
  private func shaped(_ pooled: Matrix, _ shape: VectorShape) throws(Problem) -> Matrix {
    do throws(ZeroRow) {
      var rows = shape.normalize ?? encoder.normalizes ? try pooled.normalized() : pooled
      if let dimensions = shape.dimensions { rows = try rows.prefix(columns: dimensions).normalized() }
      return rows
    } catch {
      throw Problem(500, "the encoder gave a vector without a direction for input \(error.row)")
    }
  }

  /// A sequence cut to the model's length; the special tokens at its two ends stay.
  func cut(_ ids: [Int32], _ side: TextOptions.Side) -> [Int32] {
    let longest = encoder.maxSequenceLength
    guard ids.count > longest, let first = ids.first, let last = ids.last else { return ids }
    return side == .left ? [first] + ids.suffix(longest - 1) : ids.prefix(longest - 1) + [last]
  }
}
