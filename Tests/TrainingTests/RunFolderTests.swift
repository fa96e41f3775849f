import Encoder
import Foundation
import Platform
import Synchronization
import TestSupport
import Testing
import Training

/// Operations that stop before the one of this number, counted from 0, as if the process were killed there.
func operations(stoppingBefore last: Int) -> FileOperations {
  let count = Mutex(0)
  return FileOperations { _ in
    count.withLock { count in
      count += 1
      return count <= last
    }
  }
}

@Suite struct RunFolderTests {
  private let folder: TemporaryFolder
  private var path: String { "\(folder.path)/run/checkpoints" }

  init() throws { folder = try TemporaryFolder() }

  private func arrays(_ seed: UInt64, count: Int = 100) throws -> [(name: String, array: FloatArray)] {
    var seeded = Seeded(seed)
    return try [("model", count), ("model.first", count), ("temperature", 1)].map { name, count in
      let array = try FloatArray(count)
      for (index, value) in seeded.floats(count).enumerated() { array.values[index] = value }
      return (name, array)
    }
  }

  private func state(_ step: Int) -> RunState {
    RunState(
      step: step, epoch: 1, batch: 7, best: 0.1 + 0.2, bestStep: 5, numbers: ["optimiser": step, "bytes": 1 << 40],
      options: [.init("--lr", "2e-05"), .init("--objective", "infonce")])
  }

  private func bits(_ arrays: [(name: String, array: FloatArray)]) -> [[UInt32]] {
    arrays.map { $0.array.values.map(\.bitPattern) }
  }

  /// The arrays of a checkpoint.
  private func restored(_ saved: SavedRun, count: Int = 100) throws -> [[UInt32]] {
    let room = try arrays(0, count: count)
    try saved.restore(into: room)
    return bits(room)
  }

  private func names() -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
  }

  @Test func aCheckpointIsReadAsItWasWritten() throws {
    let run = try RunFolder(path)
    #expect(try run.newest() == nil && run.best() == nil)
    for step in [3, 20, 100] { try run.save(state(step), arrays(UInt64(step))) }
    try run.saveBest(state(3), arrays(3))
    try run.saveBest(state(20), arrays(20))
    #expect(names() == ["best-20", "lock", "step-100", "step-20"])
    let newest = try #require(try run.newest())
    #expect(newest.state == state(100))
    #expect(try restored(newest) == bits(arrays(100)))
    #expect(try run.best()?.state == state(20))
    try run.removeAll()
    #expect(names().isEmpty)
  }

  @Test func goingOnFromAnEarlierCheckpointRemovesLaterOnes() throws {
    let run = try RunFolder(path)
    for step in [10, 20] { try run.save(state(step), arrays(1)) }
    try run.save(state(15), arrays(2))
    #expect(names() == ["lock", "step-10", "step-15"])
  }

  @Test func twoRunsCannotShareAFolder() throws {
    let run = try RunFolder(path)
    #expect(throws: CheckpointError(path, "another process is training here")) { try RunFolder(path) }
    withExtendedLifetime(run) {}
  }

  @Test func optionsThatDifferAreNamed() {
    let saved = state(1)
    func refusal(_ given: [RunState.Option]) -> String {
      do {
        try saved.check(given)
        return "accepted"
      } catch {
        return error.description
      }
    }
    #expect(refusal(saved.options) == "accepted")
    #expect(refusal(saved.options.reversed()) == "accepted")
    #expect(
      refusal([.init("--lr", "3e-05"), saved.options[1]])
        == "--lr is '3e-05', and in the run that was interrupted it was '2e-05'")
    #expect(
      refusal([saved.options[0]]) == "--objective is not given, and in the run that was interrupted it was 'infonce'")
    #expect(
      refusal(saved.options + [.init("--lora", "4")])
        == "--lora is '4', and the run that was interrupted did not have it")
  }

  @Test func arraysMustBeThoseOfTheRun() throws {
    let run = try RunFolder(path)
    try run.save(state(1), arrays(1))
    let saved = try #require(try run.newest())
    func refusal(_ change: (inout [(name: String, array: FloatArray)]) throws -> Void) throws -> String {
      var wanted = try arrays(9)
      try change(&wanted)
      let before = bits(wanted)
      do {
        try saved.restore(into: wanted)
        return "accepted"
      } catch {
        #expect(bits(wanted) == before)
        return error.message
      }
    }
    #expect(try refusal { _ in } == "accepted")
    #expect(try refusal { $0.append(("queue", try FloatArray(3))) } == "has no array queue")
    #expect(try refusal { $0[1].array = try FloatArray(99) } == "model.first has 100 values, and this run needs 99")
    #expect(try refusal { $0.removeLast() } == "has an array temperature, which this run does not need")
  }

  @Test(arguments: ["state.json", "arrays.safetensors", "SHA256SUMS"])
  func aDamagedCheckpointIsRefusedAndTheOneBeforeIsUsed(file: String) throws {
    let run = try RunFolder(path)
    for step in [1, 2] { try run.save(state(step), arrays(UInt64(step))) }
    let damaged = URL(fileURLWithPath: "\(path)/step-2/\(file)")
    let whole = try Data(contentsOf: damaged)
    func check(_ what: String) throws {
      var refusals: [CheckpointError] = []
      let found = try #require(try run.newest { refusals.append($0) })
      #expect(found.state == state(1), "\(what)")
      #expect(try restored(found) == bits(arrays(1)))
      #expect(refusals.count == 1 && refusals[0].path.hasPrefix("\(path)/step-2/"), "\(what)")
    }
    for place in stride(from: 0, to: whole.count, by: max(1, whole.count / 40)) {
      var flipped = whole
      flipped[place] ^= 1 << UInt8(place % 8)
      try flipped.write(to: damaged)
      try check("byte \(place)")
    }
    for length in [0, 1, whole.count / 2, whole.count - 1] {
      try whole.prefix(length).write(to: damaged)
      try check("cut to \(length)")
    }
    try (whole + [0]).write(to: damaged)
    try check("longer")
    try FileManager.default.removeItem(at: damaged)
    try check("missing")
    // Where there is no other, the error is that of the newest.
    try FileManager.default.removeItem(atPath: "\(path)/step-1")
    let error = #expect(throws: CheckpointError.self) { try run.newest() }
    #expect(error?.path == damaged.path && error?.message.contains("No such file") == true)
  }

  @Test func theErrorOfADamagedFileNamesIt() throws {
    let run = try RunFolder(path)
    try run.save(state(4), arrays(4))
    var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/step-4/arrays.safetensors"))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: URL(fileURLWithPath: "\(path)/step-4/arrays.safetensors"))
    #expect(
      throws: CheckpointError(
        "\(path)/step-4/arrays.safetensors", "is damaged: its content is not what SHA256SUMS says")
    ) { try run.newest() }
  }

  /// The work is stopped before each of its operations in turn, and goes on in a new process.
  @Test(arguments: [false, true]) func whereverItIsStoppedTheOldOrTheNewOneIsThere(isBest: Bool) throws {
    var stops = 0
    var sawOld = 0
    var isFinished = false
    while !isFinished {
      let last = stops
      stops += 1
      try? FileManager.default.removeItem(atPath: path)
      do {
        let run = try RunFolder(path)
        for step in [10, 20] { try run.save(state(step), arrays(UInt64(step))) }
        try run.saveBest(state(20), arrays(20))
      }
      do {
        let run = try RunFolder(path, operations(stoppingBefore: last))
        // The best state of the same step once more, or a checkpoint of a later step.
        if isBest { try run.saveBest(state(20), arrays(99)) } else { try run.save(state(30), arrays(30)) }
        isFinished = true
      } catch let error as CheckpointError {
        #expect(error.message.hasPrefix("stopped before: "))
      }
      let run = try RunFolder(path)
      let saved = try #require(isBest ? try run.best() : try run.newest { Issue.record("\($0)") })
      let values = try restored(saved)
      let isOld = try values == bits(arrays(20))
      let isNew = try values == bits(arrays(isBest ? 99 : 30))
      #expect(isOld != isNew && saved.state == state(isBest || isOld ? 20 : 30))
      if isOld { sawOld += 1 }
      // Going on works, and leaves nothing behind.
      try run.save(state(40), arrays(40))
      #expect(try run.newest()?.state == state(40))
      #expect(names().filter { $0.hasPrefix(".") }.isEmpty)
    }
    #expect(stops > 12 && sawOld > 8 && sawOld < stops)
  }

  @Test func aFolderThatCannotBeMadeIsNamed() throws {
    let file = try folder.write("file", "content")
    #expect(throws: CheckpointError(file, "is not a folder")) { try RunFolder("\(file)/run") }
  }

  /// The size of files is limited in a process of its own, which fails in the middle of writing as a full disk does.
  @Test func whenTheDiskIsFullTheOldOneStays() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let folder = try TemporaryFolder()
      let run = try RunFolder(folder.path)
      let (small, large) = (try FloatArray(100), try FloatArray(1 << 20))
      try run.save(RunState(step: 1, epoch: 0, batch: 0), [("model", small)])
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 2_500_000, rlim_max: 2_500_000)
      guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { exit(3) }
      do throws(CheckpointError) {
        try run.save(RunState(step: 2, epoch: 0, batch: 0), [("model", large)])
        exit(4)
      } catch {
        guard error.path.hasSuffix(".partial/arrays.safetensors"), error.message == "cannot be written: File too large"
        else { exit(5) }
      }
      guard try run.newest()?.state.step == 1 else { exit(6) }
      let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      guard names == ["lock", "step-1"] else { exit(7) }
      // With room again, the next one is written.
      try run.save(RunState(step: 3, epoch: 0, batch: 0), [("model", small)])
      exit(try run.newest()?.state.step == 3 ? 42 : 8)
    }
  }

  @Test func aValueThatIsNotFiniteIsRefused() throws {
    let run = try RunFolder(path)
    var broken = state(1)
    broken.best = .nan
    #expect(throws: CheckpointError("", "the best value of the evaluation is not a finite number")) {
      try run.save(broken, arrays(1))
    }
    #expect(names() == ["lock"])
  }
}
