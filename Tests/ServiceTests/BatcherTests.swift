import Dispatch
import Encoder
import HTTP1
import Platform
import Service
import SimilarityCore
import Synchronization
import TestSupport
import Testing
import VectorStore

/// Encodes an image as two values: the sum of its pixels, and their sum weighted by position. An image with a pixel of
/// 255 cannot be encoded.
private struct PixelEncoder: BatchEncoder {
  struct Image: Hashable {
    let pixels: [UInt8]
  }

  let dimension = 2
  let fingerprint = String(repeating: "0", count: 64)
  let batches = Counter()

  final class Counter: Sendable {
    private let sizes = Mutex<[Int]>([])
    func add(_ size: Int) { sizes.withLock { $0.append(size) } }
    var all: [Int] { sizes.withLock { $0 } }
  }

  func costs(of images: [Image]) -> [Int] { images.map(\.pixels.count) }

  func encode(_ images: [Image], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
    batches.add(images.count)
    if let bad = images.firstIndex(where: { $0.pixels.contains(255) }) { throw .invalidInput(bad) }
    return Matrix(rows: images.count, columns: 2) { out in
      for (index, image) in images.enumerated() {
        out[index * 2] = Self.row(image)[0]
        out[index * 2 + 1] = Self.row(image)[1]
      }
    }
  }

  static func row(_ image: Image) -> [Float] {
    [
      image.pixels.reduce(0) { $0 + Float($1) },
      image.pixels.enumerated().reduce(0) { $0 + Float($1.offset + 1) * Float($1.element) },
    ]
  }
}

/// Notes for each batch whether another one runs at the same time, for which it waits for a while.
private struct MeetingEncoder: BatchEncoder {
  let dimension = 1
  let fingerprint = String(repeating: "1", count: 64)
  let meetings = Meetings()

  final class Meetings: Sendable {
    private let counts = Mutex<(running: Int, met: Int, alone: Int)>((0, 0, 0))

    func attend() {
      // Other tests may keep the threads busy for seconds. Once it is clear that the batches do not meet, none waits any more.
      let seconds: UInt64 = counts.withLock {
        $0.running += 1
        return $0.alone > 2 ? 0 : 10
      }
      let end = SystemClock.monotonic + seconds * 1_000_000_000
      var hasMet = false
      while !hasMet, SystemClock.monotonic < end {
        usleep(200)
        hasMet = counts.withLock { $0.running == 2 }
      }
      // The other one has to see this one, too.
      usleep(2000)
      counts.withLock { $0 = ($0.running - 1, $0.met + (hasMet ? 1 : 0), $0.alone + (hasMet ? 0 : 1)) }
    }

    var all: (met: Int, alone: Int) { counts.withLock { ($0.met, $0.alone) } }
  }

  func costs(of inputs: [Int]) -> [Int] { inputs.map { _ in 16 } }

  func encode(_ inputs: [Int], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
    meetings.attend()
    return Matrix(rows: inputs.count, columns: 1) { out in
      for (row, input) in inputs.enumerated() { out[row] = Float(input) }
    }
  }
}

/// An architecture whose hidden state for a token consists of its id and the length of its sequence.
private struct LengthArchitecture: Architecture {
  let hiddenSize = 2
  let vocabularySize = 40_000
  let longestSequence = 9
  var failure: EncodingFailure?

  func forward(
    _ sequences: [TokenSequence], _ team: Team?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix {
    if let failure { throw failure }
    let states = sequences.flatMap { sequence in sequence.ids.flatMap { [Float($0), Float(sequence.count)] } }
    let out = UnsafeMutablePointer<Float>.allocate(capacity: states.count)
    defer { out.deallocate() }
    out.initialize(from: states, count: states.count)
    return read(out)
  }
}

/// The batcher and the service with encoders other than BERT.
@Suite struct BatcherTests {
  private func result(
    _ batcher: Batcher<PixelEncoder.Image>, _ images: [PixelEncoder.Image]
  ) throws -> Result<Matrix, any Error> {
    let answer = Mutex<Result<Matrix, any Error>?>(nil)
    let arrived = DispatchSemaphore(value: 0)
    batcher.encode(
      images, isAbandoned: { false },
      finish: { result in
        answer.withLock { $0 = result }
        arrived.signal()
      })
    #expect(arrived.wait(timeout: .now() + 60) == .success)
    return try #require(answer.withLock { $0 })
  }

  @Test func anotherModalityIsBatched() throws {
    let encoder = PixelEncoder()
    let recorded = Mutex<(inputs: Int, tokens: Int)>((0, 0))
    let batcher = Batcher(encoder: encoder, queues: WorkQueues(count: 2)) { batch in
      recorded.withLock { $0 = ($0.inputs + batch.inputs, $0.tokens + batch.tokens) }
    }
    let images = (0..<300).map { number in
      PixelEncoder.Image(pixels: (0..<(number % 50 + 1)).map { UInt8((number + $0) % 200) })
    }
    let rows = try result(batcher, images).get()
    #expect(rows.rows == 300 && rows.columns == 2)
    for (index, image) in images.enumerated() { #expect(Array(rows.row(index)) == PixelEncoder.row(image)) }
    let cost = images.reduce(0) { $0 + $1.pixels.count }
    #expect(recorded.withLock { $0.inputs } == 300 && recorded.withLock { $0.tokens } == cost)
    // The images have 7,650 pixels in all, and a batch has at most 512.
    #expect(encoder.batches.all.count >= 15 && encoder.batches.all.allSatisfy { $0 < 300 })
    #expect(batcher.waiting == 0)
  }

  /// With two queues there are two batches at any time until the end.
  @Test func everyQueueHasABatch() throws {
    let encoder = MeetingEncoder()
    let batcher = Batcher(encoder: encoder, queues: WorkQueues(count: 2)) { _ in }
    let answer = AnswerSlot<Matrix>()
    batcher.encode(
      Array(0..<2000), isAbandoned: { false }, finish: { answer.put($0.mapError { _ in .libraryFailed }) })
    let rows = try answer.wait()
    #expect(rows.values == (0..<2000).map { Float($0) })
    let (met, alone) = encoder.meetings.all
    #expect(met >= 60 && alone <= 2)
  }

  @Test func equalInputsOfABatchAreEncodedOnce() throws {
    let encoder = PixelEncoder()
    let batcher = Batcher(encoder: encoder, queues: WorkQueues(count: 1)) { _ in }
    let images = (0..<60).map { PixelEncoder.Image(pixels: [UInt8($0 % 3), 7]) }
    let rows = try result(batcher, images).get()
    for (index, image) in images.enumerated() { #expect(Array(rows.row(index)) == PixelEncoder.row(image)) }
    #expect(encoder.batches.all == [3])
  }

  @Test func oneBadInputFailsItsRequestAlone() throws {
    let batcher = Batcher(encoder: PixelEncoder(), queues: WorkQueues(count: 1)) { _ in }
    let bad = try result(batcher, [.init(pixels: [1]), .init(pixels: [255])])
    #expect(throws: EncodingFailure.invalidInput(0)) { try bad.get() }
    #expect(try result(batcher, [.init(pixels: [1, 2])]).get().values == [3, 5])
  }

  private func harness(failure: EncodingFailure? = nil) throws -> Harness {
    let trained = try SentenceEncoder(folder: ModelFolder.path)
    let architecture = LengthArchitecture(failure: failure)
    let encoder = SentenceEncoder(architecture, named: "length", fingerprint: "ab", like: trained)
    return Harness(
      service: try Service(encoder: encoder, store: CollectionStore(), configuration: ServiceConfiguration(threads: 2)))
  }

  @Test func anotherArchitectureIsServed() throws {
    let harness = try harness()
    let answer = try harness.post("/embed", #"{"inputs": ["hello world", "hello"], "normalize": false}"#)
    // [CLS] hello world [SEP] and [CLS] hello [SEP], mean-pooled.
    let expected = [[Double(101 + 7592 + 2088 + 102) / 4, 4], [Double(101 + 7592 + 102) / 3, 3]]
    #expect(answer.rows.count == 2)
    for (found, value) in zip(answer.rows.joined(), expected.joined()) { #expect(abs(found - value) < 0.01) }
    let long = try harness.post("/embed", #"{"inputs": "a a a a a a a a a a a a", "normalize": false}"#)
    #expect(long.rows.map { $0[1] } == [9])
    let model = try harness.send(.get, "/info").object["model"] as? [String: Any]
    #expect(model?["dim"] as? Int == 2 && model?["max_seq_length"] as? Int == 9)
    #expect(model?["name"] as? String == "length" && model?["fingerprint"] as? String == "ab")
  }

  @Test func failuresSayWhatHappened() throws {
    let body = #"{"inputs": "a"}"#
    let memory = try harness(failure: .outOfMemory).post("/embed", body)
    #expect(memory.status == 503 && memory.detail == "there is not enough memory to encode the inputs")
    let value = try harness(failure: .notFinite(0)).post("/embed", body)
    #expect(value.status == 500 && value.param == "inputs[0]")
  }
}
