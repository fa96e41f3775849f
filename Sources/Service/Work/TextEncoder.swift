import Encoder
import Platform
import SimilarityCore

/// What becomes of the vectors that the encoder gives.
struct VectorShape: Sendable {
  /// Rows are divided by their Euclidean norm; nil does as the model's own folder says.
  var normalize: Bool?
  /// Keep this many leading values and normalise again.
  var dimensions: Int?

  /// - Throws: `ZeroRow` for a row that has no direction that could be normalised.
  func applied(to pooled: Matrix, _ encoder: SentenceEncoder) throws(ZeroRow) -> Matrix {
    let rows = normalize ?? encoder.normalizes ? try pooled.normalized() : pooled
    guard let dimensions else { return rows }
    return try rows.prefix(columns: dimensions).normalized()
  }
}

extension SentenceEncoder {
  /// Why the vector of a text cannot be normalised.
  var noDirection: String {
    hasTransformer
      ? "the encoder gave the text a vector without a direction"
      : "the text has no tokens with vectors of this model, and so no direction that could be normalised"
  }
}

/// What errors call the texts of a request by their numbers, counted from 0: `input[3]`.
typealias TextNames = @Sendable (Int) -> String

/// The names of a field's entries.
func entryNames(of field: String) -> TextNames { { "\(field)[\($0)]" } }

/// Texts in, vectors out: tokenization here, batches by the batcher.
final class TextEncoder: Sendable {
  let encoder: SentenceEncoder
  /// What requests call it.
  let name: String
  let prompts: StandingPrompts
  /// nil where vectors are not kept.
  let cache: EmbeddingCache?
  let lanes: WorkLanes
  private let batchers: LaneBatchers

  /// - Parameters:
  ///   - defaultPrompt: the name of the prompt that is used where a request asks for none, if the model has it; nil for
  ///     what the model's folder says.
  ///   - crew: shares a lone batch.
  ///   - cacheBytes: what vectors of texts that may come again may take; 0 keeps none.
  ///   - record: called with every batch that has run.
  /// - Throws: `DigestFailure`.
  init(
    encoder: SentenceEncoder, named name: String, defaultPrompt: String? = nil, lanes: WorkLanes, crew: Crew,
    cacheBytes: Int = 0, record: @escaping @Sendable (EncodedBatch) -> Void
  ) throws(DigestFailure) {
    self.encoder = encoder
    self.name = name
    prompts = try StandingPrompts(encoder, standard: defaultPrompt)
    cache =
      cacheBytes > 0
      ? EmbeddingCache(bytes: cacheBytes, dimension: encoder.dimension, fingerprint: encoder.fingerprint) : nil
    self.lanes = lanes
    batchers = LaneBatchers(encoder: encoder, lanes: lanes, crew: crew, record: record)
  }

  /// Texts that wait for a batch, in each lane.
  var waiting: [(lane: String, texts: Int)] { batchers.waiting }

  /// The token ids of each text, special tokens included.
  ///
  /// - Throws: ``Problem`` naming a text that is too long and may not be cut.
  func sequences(
    of texts: [String], _ options: TextOptions, _ names: TextNames, for call: Call
  ) throws(Problem) -> [TokenSequence] {
    let began = SystemClock.monotonic
    defer { call.add(.tokenize, since: began) }
    var sequences: [TokenSequence] = []
    sequences.reserveCapacity(texts.count)
    for (index, text) in texts.enumerated() {
      guard let sequence = encoder.sequence(of: text, options) else {
        throw .invalid(names(index), "has more tokens than max_seq_length, which is \(encoder.maxSequenceLength)")
      }
      // A tokenizer without special tokens leaves nothing of an empty text.
      guard sequence.count > 0 || !encoder.hasTransformer else {
        throw .invalid(names(index), "has no tokens of this model")
      }
      sequences.append(sequence)
    }
    return sequences
  }

  /// The token ids of texts that are cut where they are too long, behind a prompt.
  func sequences(
    of texts: [String], prompt: String, _ names: TextNames, for call: Call
  ) throws(Problem) -> [TokenSequence] {
    var options = TextOptions()
    options.prompt = prompt
    return try sequences(of: texts, options, names, for: call)
  }

  /// The vectors of sequences, shaped as wanted.
  ///
  /// - Parameters:
  ///   - names: of the texts that the sequences were made of.
  ///   - finish: gets a row for each sequence, on a work queue; what it throws becomes the call's answer.
  /// - Throws: ``Problem`` when it would take too long.
  func encode(
    _ sequences: [TokenSequence], _ names: @escaping TextNames, _ shape: VectorShape = VectorShape(), for call: Call,
    finish: @escaping @Sendable (Matrix) throws -> Void
  ) throws(Problem) {
    let plan = SequencePlan(sequences, cache: cache)
    try batchers.admit(tokens: batchers.tokens(of: plan.missing), for: call)
    encode(plan, of: sequences, names, shape, isLong: false, for: call) { rows in
      call.perform { try finish(try rows.get()) }
    }
  }

  /// The vectors of a part of a call's sequences, for a call that has been let in as a whole.
  ///
  /// - Parameter done: gets a row for each sequence, or why there are none, on a work queue.
  func encodeAdmitted(
    _ sequences: [TokenSequence], _ names: @escaping TextNames, _ shape: VectorShape, for call: Call,
    done: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    encode(SequencePlan(sequences, cache: cache), of: sequences, names, shape, isLong: true, for: call, done)
  }

  /// Lets in a call that will encode so many tokens by parts.
  ///
  /// - Throws: ``Problem`` when it would take too long.
  func admit(tokens: Int, for call: Call) throws(Problem) {
    try batchers.admit(tokens: tokens, isLong: true, for: call)
  }

  private func encode(
    _ plan: SequencePlan, of sequences: [TokenSequence], _ names: @escaping TextNames, _ shape: VectorShape,
    isLong: Bool, for call: Call,
    _ done: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    @Sendable func finished(_ encoded: Matrix?) -> Result<Matrix, any Error> {
      call.markBegun()
      // A request's tokens are those of all its texts, whatever became of these.
      call.encoded(tokens: batchers.tokens(of: sequences))
      do throws(ZeroRow) {
        return .success(try shape.applied(to: plan.rows(encoded, dimension: encoder.dimension), encoder))
      } catch {
        // A transformer that gives nothing is not the client's mistake.
        return .failure(Problem(encoder.hasTransformer ? 500 : 422, encoder.noDirection, param: names(error.row)))
      }
    }
    guard !plan.missing.isEmpty || sequences.isEmpty else { return done(finished(nil)) }
    batchers.encode(plan.missing, isLong: isLong, for: call) { result in
      switch result {
      case .success(let encoded): done(finished(encoded))
      case .failure(let error): done(.failure(error))
      }
    }
  }
}

extension Prompts {
  /// The text that the model's folder keeps under a name, to be put before inputs.
  func named(_ name: String) throws(UnknownPrompt) -> String {
    guard let prompt = byName[name] else { throw UnknownPrompt(name, self) }
    return prompt
  }
}

/// The model has no such prompt.
struct UnknownPrompt: Error, CustomStringConvertible {
  let name: String
  let known: [String]

  init(_ name: String, _ prompts: Prompts) {
    self.name = name
    known = prompts.byName.keys.sorted()
  }

  var description: String {
    known.isEmpty
      ? "the model has no prompt '\(name)'; it has none"
      : "the model has no prompt '\(name)'; it has: \(known.joined(separator: ", "))"
  }
}
