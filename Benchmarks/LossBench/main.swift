import Platform

// loss-bench N D forward|gradients|diagnostics|product THREADS ROUNDS
//
// Times ContrastiveLoss.evaluate (infonce, τ = 0.07, cosine) on N random pairs of D values, or the N×N×D product alone,
// which bounds the speed of any way to compute the loss. The first line printed is the memory of one evaluation in this
// fresh process, followed by one line per round. With ROUNDS = 0 each line of standard input starts a round, so that a
// peer can take turns. `diagnostics` computes gradients too.

/// What is measured.
struct Job {
  enum Mode: String {
    case forward, gradients, diagnostics, product
  }

  /// Why the arguments are not understood.
  struct Usage: Error, CustomStringConvertible {
    var description: String { "arguments are N D forward|gradients|diagnostics|product THREADS ROUNDS" }
  }

  let rows: Int
  let dimension: Int
  let mode: Mode
  let threads: Int
  let rounds: Int

  init(_ arguments: [String]) throws(Usage) {
    guard arguments.count == 6, let rows = Int(arguments[1]), let dimension = Int(arguments[2]),
      let mode = Mode(rawValue: arguments[3]), let threads = Int(arguments[4]), let rounds = Int(arguments[5]),
      (1...1 << 20).contains(rows), (1...8192).contains(dimension), threads > 0, rounds >= 0
    else { throw Usage() }
    self.rows = rows
    self.dimension = dimension
    self.mode = mode
    self.threads = threads
    self.rounds = rounds
  }
}

/// Writes a line without buffering, because the caller waits for it to learn that a round is over.
func write(_ line: String, to descriptor: Int32 = 1) {
  let bytes = Array((line + "\n").utf8)
  _ = write(descriptor, bytes, bytes.count)
}

do {
  let job = try Job(CommandLine.arguments)
  let workload = Workload(job)
  write(try workload.memoryLine())
  if job.rounds > 0 {
    for _ in 0..<job.rounds { write(try workload.roundLine()) }
  } else {
    while readLine() != nil { write(try workload.roundLine()) }
  }
} catch {
  write("loss-bench: \(error)", to: 2)
  exit(2)
}
