import Encoder
import Service
import Testing

@Suite("The cache of embeddings")
struct EmbeddingCacheTests {
  private static let dimension = 4
  /// Memory for so many vectors.
  private func cache(_ vectors: Int, fingerprint: String = "a") -> EmbeddingCache {
    EmbeddingCache(bytes: vectors * (4 * Self.dimension + 144), dimension: Self.dimension, fingerprint: fingerprint)
  }

  private func row(_ number: Int) -> [Float] { [Float](repeating: Float(number), count: Self.dimension) }

  @Test("A vector is found under the ids that it was kept under, and under no others")
  func finds() throws {
    let cache = cache(10)
    let ids: [[Int32]] = [[1, 2], [1, 2, 0], [2, 1], [], [513]]
    let sequences =
      ids.map { TokenSequence($0) } + [
        TokenSequence([1, 2], types: [0, 1]), TokenSequence([1, 2], types: [1, 0]), TokenSequence([1, 2], unpooled: 1),
      ]
    for (number, sequence) in sequences.enumerated() {
      cache.keep(row(number), of: try #require(cache.key(of: sequence)))
    }
    let keys = sequences.map(cache.key)
    #expect(cache.rows(of: keys) == sequences.indices.map { row($0) })
    #expect(
      cache.rows(of: [cache.key(of: TokenSequence([1])), cache.key(of: TokenSequence([2, 1, 0])), nil]) == [
        nil, nil, nil,
      ])
    let statistics = cache.statistics
    #expect(statistics.vectors == 8 && statistics.bytes == 8 * 160)
    #expect(statistics.hits == 8 && statistics.misses == 3 && statistics.evictions == 0)
  }

  @Test("Keys of another encoder are others")
  func fingerprints() throws {
    #expect(cache(1).key(of: TokenSequence([1, 2])) == cache(1).key(of: TokenSequence([1, 2])))
    #expect(cache(1).key(of: TokenSequence([1, 2])) != cache(1, fingerprint: "b").key(of: TokenSequence([1, 2])))
  }

  @Test("What is asked for stays, and the rest makes room")
  func replaces() throws {
    let cache = cache(8)
    let asked = try (0..<4).map { try #require(cache.key(of: TokenSequence([Int32($0)]))) }
    for (number, key) in asked.enumerated() { cache.keep(row(number), of: key) }
    for number in 0..<1000 {
      #expect(cache.rows(of: asked) == (0..<4).map { row($0) })
      cache.keep(row(number), of: try #require(cache.key(of: TokenSequence([1000 + Int32(number)]))))
    }
    let statistics = cache.statistics
    #expect(statistics.vectors == 8 && statistics.bytes == 8 * 160 && statistics.evictions == 996)
    // Each of those that came once stayed for some others at least.
    #expect(cache.rows(of: [cache.key(of: TokenSequence([1999]))]) == [row(999)])
    #expect(cache.rows(of: [cache.key(of: TokenSequence([1000]))]) == [nil])
  }

  @Test("Where all are asked for, there is still room for another")
  func wraps() throws {
    let cache = cache(2)
    let keys = try (0..<3).map { try #require(cache.key(of: TokenSequence([Int32($0)]))) }
    for (number, key) in keys.enumerated() {
      cache.keep(row(number), of: key)
      _ = cache.rows(of: keys)
    }
    #expect(cache.rows(of: keys).filter { $0 != nil }.count == 2)
    #expect(cache.rows(of: keys)[2] == row(2))
  }

  private func metric(_ name: String, _ harness: Harness) throws -> Double {
    let line = try harness.send(.get, "/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
    return try #require(line.flatMap { Double($0.split(separator: " ")[1]) })
  }

  @Test(
    "Vectors have the same bytes from the encoder and from the cache, alone and among others", arguments: [0, 1 << 20])
  func sameBytes(_ bytes: Int) throws {
    let texts = ["a cat", "a dog", "a cat", "a bird that sings", "a dog", "a cat"]
    let list = "[" + texts.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    let plain = try Harness()
    let alone = try texts.map { try plain.post("/embed", "{\"inputs\": \"\($0)\"}").text.dropFirst().dropLast() }
    let harness = try Harness(embeddingCacheBytes: bytes)
    for _ in 0..<3 {
      #expect(try harness.post("/embed", "{\"inputs\": \(list)}").text == "[" + alone.joined(separator: ",") + "]")
    }
    // Each text was encoded once in a request, and with the cache only in the first.
    #expect(try metric("nearfar_encode_texts_total", harness) == (bytes == 0 ? 9 : 3))
    guard bytes > 0 else { return }
    #expect(try metric("nearfar_embedding_cache_hits_total", harness) == 6)
    #expect(try metric("nearfar_embedding_cache_misses_total", harness) == 3)
    #expect(try metric("nearfar_embedding_cache_vectors", harness) == 3)
    // A request with some that are kept and some that are not.
    let mixed = try harness.post("/embed", "{\"inputs\": [\"a fish\", \"a dog\", \"a fish\"]}").text
    let fish = try plain.post("/embed", "{\"inputs\": \"a fish\"}").text.dropFirst().dropLast()
    #expect(mixed == "[\(fish),\(alone[1]),\(fish)]")
    #expect(try metric("nearfar_encode_texts_total", harness) == 4)
  }

  @Test("Tokens are counted for all texts of a request, encoded or not")
  func countsTokens() throws {
    let harness = try Harness(embeddingCacheBytes: 1 << 20)
    let answers = try (0..<2).map { _ in
      try harness.post("/v1/embeddings", "{\"input\": [\"a cat\", \"a cat\"], \"model\": \"m\"}").text
    }
    #expect(answers[0] == answers[1] && answers[0].contains("\"prompt_tokens\":8"))
  }
}
