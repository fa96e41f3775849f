import Platform

// loss-bench N D forward|gradients|diagnostics|product THREADS ROUNDS
//
// Times ContrastiveLoss.evaluate (infonce, τ = 0.07, cosine) on N random pairs of D values, or the N×N×D product alone, which
// is the limit of any way to compute the loss. The first line is the memory of one evaluation in this fresh process, then
// one line a round; with ROUNDS = 0 there is a round for each line of standard input, so that a peer can take turns.
// `diagnostics` are asked for with gradients.

/// Writes a line at once: whoever waits for it has no other sign that a round is over.
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
