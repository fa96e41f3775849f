import Encoder
import Platform
import SimilarityCore

/// The batches of one model, in the short lane and in the long one.
struct LaneBatchers: Sendable {
  private let encoder: any BatchEncoder<TokenSequence>
  private let lanes: WorkLanes
  private let short: Batcher<TokenSequence>
  private let long: Batcher<TokenSequence>

  /// - Parameters:
  ///   - crew: shares a lone batch.
  ///   - record: called with every batch that has run.
  init(
    encoder: any BatchEncoder<TokenSequence>, lanes: WorkLanes, crew: Crew,
    record: @escaping @Sendable (EncodedBatch) -> Void
  ) {
    self.encoder = encoder
    self.lanes = lanes
    short = Batcher(encoder: encoder, queues: lanes.short, crew: crew, record: record)
    long = Batcher(encoder: encoder, queues: lanes.long, crew: crew, record: record)
  }

  /// Texts that wait for a batch, in each lane.
  var waiting: [(lane: String, texts: Int)] { [("short", short.waiting), ("long", long.waiting)] }

  /// The number of tokens of sequences.
  func tokens(of sequences: [TokenSequence]) -> Int { encoder.costs(of: sequences).reduce(0, +) }

  /// Lets in a call that will encode so many tokens, behind what waits for any model.
  ///
  /// - Parameter isLong: whether it uses the long lane however few they are.
  /// - Throws: ``Problem`` when it would take too long.
  func admit(tokens: Int, isLong: Bool = false, for call: Call) throws(Problem) {
    let own = batcher(tokens: tokens, isLong).meter.seconds(Double(tokens))
    try lanes.refuse(backlog: lane(tokens: tokens, isLong).encodingBacklog, own: own, for: call)
  }

  /// Encodes the sequences of a call that has been let in.
  ///
  /// - Parameter done: gets a row for each sequence, or why there are none, on a work queue.
  func encode(
    _ sequences: [TokenSequence], isLong: Bool = false, for call: Call,
    _ done: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    let began = SystemClock.monotonic
    batcher(tokens: tokens(of: sequences), isLong).encode(
      sequences, deadline: call.deadline, isAbandoned: { call.isAbandoned },
      finish: { result in
        call.add(.encode, since: began)
        switch result {
        case .success(let encoded):
          call.markBegun()
          done(.success(encoded))
        case .failure(BatchFailure.dropped(let hasBegun)):
          if hasBegun { call.markBegun() }
          done(.failure(call.dropped))
        case .failure(let error): done(.failure(error))
        }
      })
  }

  private func batcher(tokens: Int, _ isLong: Bool) -> Batcher<TokenSequence> {
    isShort(tokens, isLong) ? short : long
  }

  private func lane(tokens: Int, _ isLong: Bool) -> WorkQueues { isShort(tokens, isLong) ? lanes.short : lanes.long }

  private func isShort(_ tokens: Int, _ isLong: Bool) -> Bool { !isLong && tokens <= WorkLanes.shortTokens }
}
