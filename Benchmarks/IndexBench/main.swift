import Platform

// index-bench FILE METRIC THREADS [ROWS_PER_INSERTION]
//
// FILE is safetensors with `vectors` and `queries`. Prints the time and the memory that the index took, then does one
// measurement for each line of standard input, so that peers can take turns:
//   graph EF THREADS OUT     every query by the graph, one after another on each thread
//   auto TARGET THREADS OUT  every query as the calibration has it for this recall; prints the pool and the recall expected too
//   filter KIND SHARE        100 queries that a share of the vectors may answer: random, near or far; prints rates and recall
//   remove PERCENT           removes so many of a hundred vectors
//   exact THREADS OUT N      N queries by the exact search, one at a time
//   batch THREADS OUT        all queries by the exact search at once
//   churn OPERATIONS         removes and inserts until so many are done and all vectors are there again
// and prints {"seconds", "queries"}; OUT gets the slots found, ten a query, as little-endian 32-bit integers.

/// Writes a line at once: whoever waits for it has no other sign that a round is over.
func write(_ line: String, to descriptor: Int32 = 1) {
  let bytes = Array((line + "\n").utf8)
  _ = write(descriptor, bytes, bytes.count)
}

do {
  let workload = try Workload(CommandLine.arguments)
  write(workload.built)
  while let line = readLine() { write(try workload.run(line.split(separator: " ").map(String.init))) }
} catch {
  write("index-bench: \(error)", to: 2)
  exit(2)
}
