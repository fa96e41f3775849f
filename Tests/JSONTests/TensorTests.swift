import JSON
import Testing

@Suite struct TensorTests {
  @Test(
    arguments: [
      ("7", [], [7]), ("[]", [0], []), ("[1, 2.5, -3e2]", [3], [1, 2.5, -300]), ("[[],[]]", [2, 0], []),
      ("[[1,2],[3,4],[5,6]]", [3, 2], [1, 2, 3, 4, 5, 6]), ("[[[1],[2]],[[3],[4]]]", [2, 2, 1], [1, 2, 3, 4]),
      ("[[[]]]", [1, 1, 0], []), ("[18446744073709551615, 1e-60]", [2], [0x1p64, 0]),
      ("[3.4028235e38, -3.4028235e38]", [2], [.greatestFiniteMagnitude, -.greatestFiniteMagnitude]),
    ] as [(String, [Int], [Float])])
  func nestedArraysAreFlattened(_ text: String, _ shape: [Int], _ values: [Float]) throws {
    let tensor = try parse(text).tensor(maximumRank: 3)
    #expect(tensor.shape == shape && tensor.values == values)
  }

  @Test(
    arguments: [
      ("null", 3, [], .notANumber), ("{}", 3, [], .notANumber), ("\"1\"", 0, [], .notANumber), ("[1]", 0, [], .tooDeep),
      ("[[1]]", 1, [0], .tooDeep), ("[[[[1]]]]", 3, [0, 0, 0], .tooDeep), ("[1, [2]]", 1, [1], .tooDeep),
      ("[1, null]", 3, [1], .notANumber), ("[[1,2],[3,\"4\"]]", 2, [1, 1], .notANumber),
      ("[[1],[2],null]", 2, [2], .notANumber), ("[[1,2],[3]]", 2, [1], .ragged(expected: 2, found: 1)),
      ("[[],[1]]", 2, [1], .ragged(expected: 0, found: 1)),
      ("[[[1],[2]],[[3],[4,5]]]", 3, [1, 1], .ragged(expected: 1, found: 2)),
      ("[1,[2]]", 2, [1], .mixedDepth), ("[[1],2]", 2, [1], .mixedDepth), ("[[[1]],[2]]", 3, [1, 0], .mixedDepth),
      ("1e39", 0, [], .notFinite), ("[[1,2],[3,-1e300]]", 2, [1, 1], .notFinite), ("[{}]", 1, [0], .notANumber),
    ] as [(String, Int, [Int], JSONTensorError.Reason)])
  func misfitsAreNamed(_ text: String, _ rank: Int, _ path: [Int], _ reason: JSONTensorError.Reason) throws {
    let error = try #require(throws: JSONTensorError.self) { try parse(text).tensor(maximumRank: rank) }
    #expect(error.path == path && error.reason == reason)
  }

  @Test func aLyingShapeAllocatesNothing() throws {
    // The first row has 50,000 columns and there are 100,000 rows, so the shape would have 5,000,000,000 entries.
    let row = "[" + Array(repeating: "0", count: 50_000).joined(separator: ",") + "]"
    let text = "[" + ([row] + Array(repeating: "[]", count: 99_999)).joined(separator: ",") + "]"
    let error = try #require(throws: JSONTensorError.self) { try parse(text).tensor(maximumRank: 2) }
    #expect(error.path == [1] && error.reason == .ragged(expected: 50_000, found: 0))
  }

  @Test func stringsComeInBulk() throws {
    #expect(try parse("[]").strings() == [])
    #expect(try parse(#"["a", "é", "", "\u0041"]"#).strings() == ["a", "é", "", "A"])
    let error = try #require(throws: JSONTensorError.self) { try parse("[\"a\", 1]").strings() }
    #expect(error.path == [1] && error.reason == .notAString)
    #expect(throws: JSONTensorError.self) { try parse("\"a\"").strings() }
    let many = (0..<100_000).map { "text \($0)" }
    var writer = JSONWriter()
    writer.beginArray()
    for text in many { writer.string(text) }
    writer.endArray()
    #expect(try JSONDocument(writer.bytes).root.strings() == many)
  }
}
