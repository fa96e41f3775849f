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
