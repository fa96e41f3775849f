import Encoder
import Platform
import SimilarityCore

/// Texts, or pairs of texts, in; a value for each label of a cross-encoder out.
final class PairScorer: Sendable {
  let encoder: CrossEncoder
  private let batchers: LaneBatchers

  init(
    encoder: CrossEncoder, lanes: WorkLanes, crew: Crew, record: @escaping @Sendable (EncodedBatch) -> Void
  ) {
    self.encoder = encoder
    batchers = LaneBatchers(encoder: encoder, lanes: lanes, crew: crew, record: record)
  }

  /// Texts that wait for a batch, in each lane.
  var waiting: [(lane: String, texts: Int)] { batchers.waiting }

  /// Refuses what would be refused later, before it takes memory.
  ///
  /// - Parameter bytes: of each text, or of both texts of each pair.
  /// - Throws: ``Problem`` when it would take too long.
  func admit(bytes: some Sequence<Int>, for call: Call) throws(Problem) {
    // Few texts have more than eight bytes for a token.
    let least = bytes.reduce(0) { $0 + min(encoder.maxSequenceLength, $1 / 8 + 1) }
    try batchers.admit(tokens: least, for: call)
  }

  /// The tokens of a query with each of the documents.
  ///
  /// - Throws: ``Problem`` naming a document that is too long, with the query, and may not be cut.
  func sequences(
    of query: String, with documents: [String], truncate: Bool, _ names: TextNames, for call: Call
  ) throws(Problem) -> [TokenSequence] {
    // The query is read once.
    var ids: [Int32]?
    return try sequences(of: documents, names, for: call) { document in
      let query = ids ?? encoder.ids(of: query)
      ids = query
      return encoder.sequence(of: query, document, truncate: truncate)
    }
  }

  /// The tokens of each input.
  ///
  /// - Parameter sequence: the tokens of an input; nil where it is too long and may not be cut.
  /// - Throws: ``Problem`` naming an input that is too long.
  func sequences<Input>(
    of inputs: [Input], _ names: TextNames, for call: Call, _ sequence: (Input) -> TokenSequence?
  ) throws(Problem) -> [TokenSequence] {
    let began = SystemClock.monotonic
    defer { call.add(.tokenize, since: began) }
    var sequences: [TokenSequence] = []
    sequences.reserveCapacity(inputs.count)
    for (index, input) in inputs.enumerated() {
      if index % 256 == 255 { try call.requireWaiting() }
      guard let sequence = sequence(input) else {
        throw .invalid(names(index), "has more tokens than max_seq_length, which is \(encoder.maxSequenceLength)")
      }
      sequences.append(sequence)
    }
    return sequences
  }

  /// The values of each label, as the model gives them.
  ///
  /// - Parameter finish: gets a row for each sequence, on a work queue; what it throws becomes the call's answer.
  /// - Throws: ``Problem`` when it would take too long.
  func score(
    _ sequences: [TokenSequence], for call: Call, finish: @escaping @Sendable (Matrix) throws -> Void
  ) throws(Problem) {
    guard !sequences.isEmpty else {
      let none = Matrix(rows: 0, columns: encoder.dimension) { _ in }
      return call.perform { try finish(none) }
    }
    // A pair that occurs several times is read once.
    let plan = SequencePlan(sequences, cache: nil)
    let dimension = encoder.dimension
    try batchers.admit(tokens: batchers.tokens(of: plan.missing), for: call)
    call.encoded(tokens: batchers.tokens(of: sequences))
    batchers.encode(plan.missing, for: call) { result in
      call.perform { try finish(plan.rows(try result.get(), dimension: dimension)) }
    }
  }

  /// e to the power of x.
  static func exponential(_ value: Float) -> Double { exp(Double(value)) }

  /// σ(x), which makes a score between 0 and 1 of a reranker's only value.
  static func sigmoid(_ value: Float) -> Float { Float(1 / (1 + exp(-Double(value)))) }
}
