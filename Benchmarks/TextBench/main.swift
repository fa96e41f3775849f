import Platform
import Tokenization

// text-bench MODEL
//
// How fast one core turns text into token ids with the tokenizer of the folder MODEL, and vectors into the bytes of an
// answer. Exits with 1 when a rate is below the one that is asked.
//
// text-bench ids MODEL, text-bench rate MODEL [REPETITIONS]
//
// The ids of texts from standard input (Ids), and how fast they are made (Rate). Exits with 3 when the tokenizer cannot
// be loaded.

/// The work of one measurement, repeated: what it makes, in the unit of the rate.
struct Measurement {
  var name: String
  var unit: String
  /// Units a second, in millions.
  var asked: Double
  /// One repetition; returns how many units it made.
  var work: () throws -> Int

  /// The rate of the fastest of many repetitions, in millions of units a second of this thread's processor time. The
  /// fastest counts because other programs on the machine make a repetition slower, never faster.
  func rate(repetitions: Int = 40) throws -> Double {
    var best = 0.0
    for _ in 0..<repetitions {
      let start = processorSeconds()
      let units = try work()
      best = max(best, Double(units) * 1e-6 / (processorSeconds() - start))
    }
    return best
  }
}

/// The processor time of this thread so far.
func processorSeconds() -> Double {
  var now = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
  return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}

/// Why nothing can be measured.
struct Usage: Error, CustomStringConvertible {
  var description: String
}

func line(_ name: String, _ rate: String, _ unit: String, _ asked: String) {
  func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
  print(padded(name, 30) + padded(rate, 10) + padded(unit, 12) + asked)
}

/// A positive number with two decimals.
func decimal(_ value: Double) -> String {
  let hundredths = Int((value * 100).rounded())
  return "\(hundredths / 100).\(hundredths % 100 / 10)\(hundredths % 10)"
}

/// The tokenizer of a folder. Where it is refused, the reason is printed and the program ends.
func loaded(_ folder: String) -> Tokenizer {
  do {
    return try Tokenizer(ModelFolder(path: folder))
  } catch {
    print("text-bench: \(error)")
    exit(3)
  }
}

do {
  let arguments = CommandLine.arguments
  if arguments.count == 3, arguments[1] == "ids" {
    try Ids.answer(loaded(arguments[2]))
    exit(0)
  }
  if arguments.count >= 3, arguments[1] == "rate" {
    try Rate.print(loaded(arguments[2]), repetitions: arguments.count > 3 ? Int(arguments[3]) ?? 1 : 20)
    exit(0)
  }
  guard arguments.count == 2 else { throw Usage(description: "the argument is the folder of a model") }
  let tokenizer = loaded(arguments[1])
  var reached = true
  line("one core", "best of 40", "", "asked")
  for measurement in try Texts.measurements(tokenizer) + Vectors.measurements() {
    let rate = try measurement.rate()
    line(measurement.name, decimal(rate), measurement.unit, decimal(measurement.asked))
    if rate < measurement.asked { reached = false }
  }
  exit(reached ? 0 : 1)
} catch {
  print("text-bench: \(error)")
  exit(2)
}
