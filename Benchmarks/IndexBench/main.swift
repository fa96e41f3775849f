import Platform

// index-bench FILE METRIC THREADS [ROWS_PER_INSERTION]
//
// FILE is a safetensors file with the tensors `vectors` and `queries`. Prints the time and the memory that building the
// index took, then does one measurement per line of standard input, so that peers can take turns:
//   graph EF THREADS OUT     searches the graph with every query, one after another on each thread
//   auto TARGET THREADS OUT  searches with every query in automatic mode for this recall; also prints the pool (ef)
//                            and the expected recall
//   filter KIND SHARE        searches with 100 queries under a filter that a share of the vectors match: random, near
//                            or far; prints rates and recall
//   remove PERCENT           removes this percentage of the vectors
//   exact THREADS OUT N [M]  searches exactly with N queries, M per call (1 without M)
//   batch THREADS OUT        searches exactly with all queries in one call
//   churn OPERATIONS         removes and inserts vectors until this many operations are done and all are stored again
// Each prints a JSON object with at least {"seconds", "queries"}, except for `filter`. The slots that were found are
// written to OUT, ten per query, as little-endian 32-bit integers.

/// Writes a line without buffering, because the caller waits for it to learn that a round is over.
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
