import JSON
import Testing

func parse(_ text: String, maxDepth: Int = 32) throws -> JSONValue {
  try JSONDocument(Array(text.utf8), maxDepth: maxDepth).root
}

@Suite struct ParseTests {
  @Test func valuesReadAsTheyAreWritten() throws {
    let root = try parse(#" {"a": [1, -2.5, true, false, null, "x\né\ud83d\ude00\u0000"], "b": {}, "": []} "#)
    #expect(root.kind == .object && root.count == 3)
    #expect(root.members?.map(\.key) == ["a", "b", ""])
    let a = try #require(root["a"]?.elements)
    #expect(a.map(\.kind) == [.number, .number, .bool, .bool, .null, .string])
    #expect(a[0].double == 1 && a[1].double == -2.5 && a[2].bool == true && a[3].bool == false && a[4].isNull)
    #expect(a[5].string == "x\né😀\0")
    #expect(root["b"]?.members?.isEmpty == true && root[""]?.elements?.isEmpty == true)
    #expect(root["c"] == nil && a[0]["a"] == nil)
    #expect(a[0].string == nil && a[0].bool == nil && a[5].double == nil && a[0].elements == nil && a[0].count == 0)
  }

  @Test(arguments: [
    ("5", 5), ("5.0", 5), ("-0", 0), ("5e2", 500), ("9223372036854775807", Int.max),
    ("-9223372036854775808", Int.min),
  ])
  func exactIntegers(_ text: String, _ value: Int) throws {
    #expect(try parse(text).integer == value)
  }

  @Test(arguments: [
    ("5", 5), ("5.0", 5), ("-0", 0), ("-0.0", 0), ("9223372036854775808", 9_223_372_036_854_775_808 as UInt64),
    ("18446744073709551615", .max), ("18446744073709549568.0", 18_446_744_073_709_549_568),
  ])
  func exactNaturals(_ text: String, _ value: UInt64) throws {
    #expect(try parse(text).natural == value)
  }

  @Test(arguments: ["-1", "-1.0", "5.5", "18446744073709551616", "1e300", "-1e300", "\"5\"", "null", "[5]"])
  func otherValuesAreNoNaturals(_ text: String) throws {
    #expect(try parse(text).natural == nil)
  }

  @Test(arguments: ["5.5", "1e300", "-1e300", "9223372036854775808", "18446744073709551615", "\"5\"", "null", "[5]"])
  func otherValuesAreNoIntegers(_ text: String) throws {
    #expect(try parse(text).integer == nil)
  }

  @Test(arguments: [
    ("18446744073709551615", 18446744073709551615.0), ("18446744073709551616", 18446744073709551616.0),
    ("123456789012345678901234567890", 123456789012345678901234567890.0),
    ("-123456789012345678901234567890", -123456789012345678901234567890.0), ("1e-999", 0),
    ("1.7976931348623157e308", 1.7976931348623157e308),
  ])
  func numbersOfAnyLengthAreDoubles(_ text: String, _ value: Double) throws {
    #expect(try parse(text).double == value)
    let inside = try parse("{\"k\": [\"12345678901234567890123\\\\\", \(text), {\"\(text)\": \(text)}]}")
    #expect(inside["k"]?.elements?[0].string == "12345678901234567890123\\")
    #expect(inside["k"]?.elements?[1].double == value)
    #expect(inside["k"]?.elements?[2][text]?.double == value)
  }

  @Test(arguments: [
    ("", 0), ("   ", 0), ("{", 1), ("[1,]", 3), ("[1 2]", 3), ("{\"a\" 1}", 5), ("{\"a\":1,}", 7), ("{a:1}", 1),
    ("[1]x", 3), ("[1][2]", 3), ("nul", 0), ("truex", 4), ("01", 0), ("-", 1), ("1.", 2), (".5", 0), ("1e", 2),
    ("+1", 0), ("NaN", 0), ("Infinity", 0), ("'a'", 0), ("\"a", 0), ("\"\\x\"", 1), ("\"\\u12\"", 1),
    ("\"\u{1}\"", 1), ("\"a\nb\"", 2), ("[1e999]", 1), ("[-1e999]", 1), ("\"\\ud800\"", 1), ("\"\\udc00\"", 1),
    ("\"\\ud800\\u0041\"", 1), ("\"\\ud800\\ud800\"", 1), ("[\"a\",\"\\udc00\\ud800\"]", 6), ("[1,\n2,\n}", 7),
    ("\u{feff}{}", 0), ("]", 0), ("[}", 1), ("[\"a\":1]", 4), ("{\"a\",1}", 4), ("/**/1", 0), ("1,", 1), ("[1] \0", 4),
  ])
  func malformedTextIsRefusedWithItsPlace(_ text: String, _ offset: Int) throws {
    let error = try #require(throws: JSONParseError.self) { try parse(text) }
    #expect(error.byteOffset == offset, "\(error.message)")
    #expect(!error.message.isEmpty)
  }

  @Test func aLongIntegerLeavesTheOthersExact() throws {
    let root = try parse("[9223372036854775807, -9223372036854775808, 18446744073709551616]")
    #expect(root.elements?.map(\.integer) == [.max, .min, nil])
  }

  @Test func integersBeyondADoubleAreRefused() throws {
    let text = "[0, 1" + String(repeating: "0", count: 400) + "]"
    let error = try #require(throws: JSONParseError.self) { try parse(text) }
    #expect(error.byteOffset == 4 && error.message.contains("range of a double"))
  }

  @Test(
    arguments: [
      [0xFF], [0xC0, 0x80], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x28, 0xA1], [0x80],
      [0xF0, 0x80, 0x80, 0x80], [0xE0, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98],
    ] as [[UInt8]])
  func invalidUTF8IsRefused(_ bytes: [UInt8]) throws {
    let text = Array("[\"ok\", \"".utf8) + bytes + Array("\"]".utf8)
    let error = try #require(throws: JSONParseError.self) { try JSONDocument(text) }
    #expect(error.message == "invalid UTF-8" && error.byteOffset == 8)
  }

  @Test(arguments: [
    ("{\"a\":1,\"a\":2}", 7), ("[{\"b\":{\"x\":1,\"y\":[],\"x\":3}}]", 20), ("{\"a\":1,\"\\u0061\":2}", 7),
    ("{\"\":1,\"\":2}", 6), ("{\"a\":{\"a\":1},\"b\":\"a\",\"a\":1}", 21),
  ])
  func repeatedKeysAreRefused(_ text: String, _ offset: Int) throws {
    let error = try #require(throws: JSONParseError.self) { try parse(text) }
    #expect(error.message.contains("twice") && error.byteOffset == offset)
  }

  @Test func repeatedKeysAreFoundInLargeObjects() throws {
    let members = (0..<200_000).map { "\"k\($0)\":\($0)" }
    #expect(try parse("{" + members.joined(separator: ",") + "}").count == 200_000)
    let text = "{" + (members + ["\"k777\":0"]).joined(separator: ",") + "}"
    let error = try #require(throws: JSONParseError.self) { try parse(text) }
    #expect(error.message.contains("\"k777\"") && error.byteOffset == text.utf8.count - 9)
  }

  @Test func depthIsExact() throws {
    for depth in [1, 2, 32, 200] {
      let nested = { (n: Int, inner: String) in
        String(repeating: "[", count: n) + inner + String(repeating: "]", count: n)
      }
      for inner in ["", "1", "\"a\""] {
        #expect(try parse(nested(depth, inner), maxDepth: depth).kind == .array)
        let error = try #require(throws: JSONParseError.self) { try parse(nested(depth + 1, inner), maxDepth: depth) }
        #expect(error.message.contains("deep") && error.byteOffset == depth)
      }
    }
    let objects = String(repeating: "{\"a\":", count: 33) + "1" + String(repeating: "}", count: 33)
    #expect(throws: JSONParseError.self) { try parse(objects) }
    #expect(throws: JSONParseError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
    #expect(try parse("1", maxDepth: -5).double == 1)
  }

  @Test func everyPrefixOfATextIsRefused() throws {
    let text = Array(#"{"inputs": ["a\u00e9", "b"], "k": 1e-5, "ok": [true, null, {"x": []}]}"#.utf8)
    for length in 0..<text.count {
      #expect(throws: JSONParseError.self) { try JSONDocument(Array(text[..<length])) }
    }
    #expect(try JSONDocument(text).root.count == 3)
  }
}
