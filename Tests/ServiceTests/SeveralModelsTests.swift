import Dispatch
import Encoder
import Foundation
import Service
import SimilarityCore
import StoreSupport
import Synchronization
import TestSupport
import Testing
import VectorStore

/// Models share the cores, and so what waits for one of them holds up the others.
@Suite struct SeveralModelsTests {
  /// Gives each number itself, when it may.
  private struct GatedEncoder: BatchEncoder {
    let dimension = 1
    let fingerprint = String(repeating: "0", count: 64)
    let gate = DispatchSemaphore(value: 0)

    func costs(of numbers: [Int]) -> [Int] { numbers }

    func encode(_ numbers: [Int], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
      gate.wait()
      gate.signal()
      return Matrix(rows: numbers.count, columns: 1) { out in
        for (index, number) in numbers.enumerated() { out[index] = Float(number) }
      }
    }
  }

  @Test func whatWaitsForAllModelsIsAdded() {
    let queues = WorkQueues(count: 1)
    let done = DispatchSemaphore(value: 0)
    let encoders = [GatedEncoder(), GatedEncoder()]
    let batchers = encoders.map { Batcher(encoder: $0, queues: queues) { _ in } }
    #expect(queues.encodingBacklog == 0)
    for (batcher, tokens) in zip(batchers, [20_000, 5_000]) {
      batcher.encode([tokens], isAbandoned: { false }, finish: { _ in done.signal() })
    }
    // 10,000 tokens a second are assumed before anything was measured.
    #expect(queues.encodingBacklog == 2.5)
    #expect(WorkQueues(count: 1).encodingBacklog == 0)
    for encoder in encoders { encoder.gate.signal() }
    for _ in encoders { #expect(done.wait(timeout: .now() + 60) == .success) }
  }

  @Test func aRequestIsRefusedBecauseOfAnotherModelsWork() throws {
    let configuration = ServiceConfiguration(threads: 1, limits: Limits())
    let folder = ModelFolder.path
    let models = try LoadedModels(
      [LoadedModels.Source(name: "a", folder: folder), LoadedModels.Source(name: "b", folder: folder)], configuration)
    let harness = Harness(
      service: try Service(models, store: CollectionStore(), configuration: configuration))
    // Seconds of work: a thousand texts of 256 tokens, which all differ.
    let long = String(repeating: "!", count: 300)
    let texts = (0..<1000).map { "\"\($0) \(long)\"" }.joined(separator: ",")
    let first = harness.start(.post, "/embed", "{\"model\": \"a\", \"inputs\": [\(texts)]}")
    defer { first.abandon() }
    let deadline = DispatchTime.now() + 30
    while try waiting(harness) < 500, DispatchTime.now() < deadline { usleep(2000) }
    #expect(try waiting(harness) >= 500)

    // The body is so small that only its tokens show that the long lane is needed, where nothing waits for this model.
    let short = String(repeating: "!", count: 200)
    let body = "{\"model\": \"b\", \"inputs\": [\((0..<8).map { "\"\($0)\(short)\"" }.joined(separator: ","))]}"
    #expect(body.utf8.count < 2048)
    let refused = try harness.send(.post, "/embed", body, fields: [("X-Request-Timeout-Ms", "1000")])
    #expect(refused.status == 503)
    #expect(refused.detail.hasPrefix("the service is busy: what waits takes"), "\(refused.text)")
    // A short request has a lane of its own.
    let other = try harness.post("/embed", "{\"model\": \"b\", \"inputs\": \"a\"}")
    #expect(other.status == 200 && other.rows.first?.count == 384)
  }

  private func waiting(_ harness: Harness) throws -> Double {
    let name = "nearfar_encode_waiting_texts{lane=\"long\"} "
    let lines = try harness.send(.get, "/metrics").text.split(separator: "\n")
    return lines.first { $0.hasPrefix(name) }.flatMap { Double($0.dropFirst(name.count)) } ?? 0
  }
}
