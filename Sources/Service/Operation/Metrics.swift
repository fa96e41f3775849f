import Synchronization

/// What the service counts of its work, beside what is counted of every request.
final class Metrics: Sendable {
  private struct Encoding {
    var batches = Histogram([16, 32, 64, 128, 256, 512, 1024])
    var sequences = 0
    var seconds = 0.0
    var failures = 0
  }

  private final class Count: Sendable {
    let value = Atomic(0)
  }

  private let encoding = Mutex(Encoding())
  private let rejections = Rejection.allCases.map { _ in Count() }

  func encoded(sequences: Int, tokens: Int, nanoseconds: UInt64, failed: Bool) {
    encoding.withLock { state in
      state.batches.add(Double(tokens))
      state.sequences += sequences
      state.seconds += Double(nanoseconds) / 1e9
      if failed { state.failures += 1 }
    }
  }

  func rejected(_ reason: Rejection) { rejections[reason.rawValue].value.wrappingAdd(1, ordering: .relaxed) }

  func write(to text: inout MetricsText) {
    text.family(
      "nearfar_requests_rejected_total", "counter", "Requests that were not served although nothing is wrong with them."
    )
    for reason in Rejection.allCases {
      text.sample("nearfar_requests_rejected_total", [("reason", "\(reason)")], rejections(reason))
    }
    text.family("nearfar_timeouts_total", "counter", "Times that ran out, by what they were for.")
    text.sample("nearfar_timeouts_total", [("kind", "request")], rejections(.deadline))
    let encoding = self.encoding.withLock { $0 }
    text.family("nearfar_encode_batch_tokens", "histogram", "Tokens of the batches that ran through the encoder.")
    text.histogram("nearfar_encode_batch_tokens", [], encoding.batches)
    for (name, help, value) in [
      ("nearfar_encode_texts_total", "Texts that ran through the encoder.", Double(encoding.sequences)),
      ("nearfar_encode_seconds_total", "Time in the encoder, summed over queues.", encoding.seconds),
      ("nearfar_encode_failures_total", "Batches that the encoder could not compute.", Double(encoding.failures)),
    ] {
      text.family(name, "counter", help)
      text.sample(name, [], value)
    }
  }

  private func rejections(_ reason: Rejection) -> Double {
    Double(rejections[reason.rawValue].value.load(ordering: .relaxed))
  }
}

/// Why a request is not served, although nothing is wrong with it, or too much of it.
enum Rejection: Int, CaseIterable, CustomStringConvertible {
  /// What waits would take too long.
  case overload
  case draining
  /// Its client has as many in flight as it may.
  case client
  /// The holders of its API key have as many in flight as they may.
  case key
  /// It could not be finished, or begun, within its time.
  case deadline
  /// Its body is too large.
  case tooLarge

  var description: String {
    switch self {
    case .overload: "overload"
    case .draining: "draining"
    case .client: "client"
    case .key: "key"
    case .deadline: "deadline"
    case .tooLarge: "too_large"
    }
  }
}
