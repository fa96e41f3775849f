import Platform
import TestSupport
import Testing
import Training

/// `metrics.jsonl` and `times.jsonl` of a run.
struct MetricsTests {
  private let folder: String

  init() throws {
    var name = Array("/tmp/nearfar-metrics-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func step(_ number: Int) -> StepMetrics {
    StepMetrics(
      step: number, epoch: Double(number) / 8, loss: 1 / Double(number), accuracy: number == 2 ? nil : 0.5,
      temperature: 0.05, rate: 2e-5, gradientNorm: 1.25, pairs: 16, tokens: 100 + number)
  }

  private func evaluation(_ number: Int) -> EvaluationMetrics {
    EvaluationMetrics(
      step: number,
      values: Evaluation(recallAt1: 0.25, recallAt10: 0.5, meanReciprocalRank: 0.375, alignment: 0.1, uniformity: -2.5))
  }

  private func content(_ name: String = MetricsFile.name) throws -> String {
    String(decoding: try WholeFile.read("\(folder)/\(name)"), as: UTF8.self)
  }

  private func write(_ text: String, _ name: String = MetricsFile.name) throws {
    #expect(
      NewFile.write("\(folder)/\(name)", in: folder) { pass in Array(text.utf8).withUnsafeBytes { pass($0) } } == nil)
  }

  private func remove() {
    for name in Folder.names(in: folder) ?? [] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  @Test func linesAreAsDocumented() throws {
    defer { remove() }
    let file = try MetricsFile(in: folder, goingOnFrom: nil)
    try file.append(evaluation(0))
    try file.append(step(1), seconds: 0.5)
    try file.append(step(2), seconds: 0.25)
    #expect(
      try content() == """
        {"step":0,"evaluation":{"recall_at_1":0.25,"recall_at_10":0.5,"mean_reciprocal_rank":0.375,"alignment":0.1,"uniformity":-2.5}}
        {"step":1,"epoch":0.125,"loss":1,"accuracy":0.5,"temperature":0.05,"learning_rate":2e-05,"gradient_norm":1.25,"pairs":16,"tokens":101}
        {"step":2,"epoch":0.25,"loss":0.5,"temperature":0.05,"learning_rate":2e-05,"gradient_norm":1.25,"pairs":16,"tokens":102}

        """)
    #expect(
      try content(MetricsFile.timesName) == """
        {"step":1,"seconds":0.5,"pairs_per_second":32,"tokens_per_second":202}
        {"step":2,"seconds":0.25,"pairs_per_second":64,"tokens_per_second":408}

        """)
  }

  @Test func aRunThatGoesOnHasTheBytesOfOneThatWasNotInterrupted() throws {
    defer { remove() }
    let whole = try MetricsFile(in: folder, goingOnFrom: nil)
    try whole.append(evaluation(0))
    for number in 1...6 {
      try whole.append(step(number), seconds: 1)
      if number % 2 == 0 { try whole.append(evaluation(number)) }
    }
    try whole.flush()
    let wanted = try content()
    // Wherever a run ends, also in the middle of a line: it goes on from the checkpoint of step 2.
    for cut in stride(from: try #require(wanted.offset(of: "\"step\":3")), through: wanted.utf8.count, by: 7) {
      try write(String(decoding: Array(wanted.utf8).prefix(cut), as: UTF8.self))
      let file = try MetricsFile(in: folder, goingOnFrom: 2)
      #expect(file.history.steps == [step(1), step(2)] && file.history.evaluations == [evaluation(0), evaluation(2)])
      for number in 3...6 {
        try file.append(step(number), seconds: 2)
        if number % 2 == 0 { try file.append(evaluation(number)) }
      }
      #expect(try content() == wanted)
      #expect(file.history == whole.history)
    }
  }

  @Test func aFreshRunEmptiesTheFilesAndAMissingOneIsMade() throws {
    defer { remove() }
    try write("{\"step\":1}\n")
    _ = try MetricsFile(in: folder, goingOnFrom: nil)
    #expect(try content() == "")
    unlink("\(folder)/\(MetricsFile.name)")
    #expect(try MetricsFile(in: folder, goingOnFrom: 5).history == MetricsHistory())
    #expect(try content() == "")
  }

  @Test func whatCannotBeWrittenIsNamed() throws {
    defer { remove() }
    #expect(throws: RunError("cannot write \(folder)/none/metrics.jsonl: No such file or directory")) {
      try MetricsFile(in: "\(folder)/none", goingOnFrom: nil)
    }
    try #require(symlink("/dev/full", "\(folder)/\(MetricsFile.timesName)") == 0)
    // A device cannot be cut, so that opening it says what is wrong already.
    #expect(throws: RunError.self) { try MetricsFile(in: folder, goingOnFrom: nil) }
  }
}

extension String {
  /// The number of bytes before a part.
  fileprivate func offset(of part: String) -> Int? {
    let (all, wanted) = (Array(utf8), Array(part.utf8))
    return (0...max(0, all.count - wanted.count)).first { all[$0...].starts(with: wanted) }
  }
}
