import JSON
import Testing

@Suite struct FieldTests {
  private func field(_ text: String) throws -> JSONField {
    try JSONField(parsing: Array(text.utf8), file: "settings.json")
  }

  /// The text of the error that `read` throws.
  private func refusal(_ text: String, _ read: (JSONField) throws -> Void) throws -> String {
    let root = try field(text)
    return try #require(throws: FieldError.self) { try read(root) }.description
  }

  @Test func valuesAreReadByKey() throws {
    let root = try field(#"{"a": {"b": [1, {"c": "x"}]}, "on": true, "size": 5.0, "rate": 0.5, "none": null}"#)
    let elements = try root.required("a").required("b").elements()
    #expect(try elements[0].integer(in: 0...1) == 1)
    #expect(try elements[1].required("c").string() == "x")
    #expect(try elements[1].required("c").string(oneOf: ["w", "x"]) == "x")
    #expect(try root.required("on").bool())
    #expect(try root.required("size").integer(in: 0...9) == 5)
    #expect(try root.required("rate").number() == 0.5 && root.required("size").number() == 5)
    #expect(root.optional("none")?.key == nil && root.optional("missing")?.key == nil)
    #expect(try root.members().map(\.name) == ["a", "on", "size", "rate", "none"])
    #expect(try root.members()[1].field.bool())
  }

  @Test func errorsNameThePath() throws {
    let text = #"{"a": {"b": [1, {"c": "x"}]}, "none": null}"#
    func path(_ root: JSONField) throws -> JSONField { try root.required("a").required("b").elements()[1] }
    #expect(try path(try field(text)).key == "settings.json: a.b[1]")
    #expect(try refusal(text) { _ = try $0.required("none") } == "settings.json: none: is missing")
    #expect(try refusal(text) { _ = try path($0).required("d") } == "settings.json: a.b[1].d: is missing")
    #expect(
      try refusal(text) { _ = try path($0).required("c").bool() } == "settings.json: a.b[1].c: must be true or false")
    #expect(
      try refusal(text) { _ = try path($0).required("c").string(oneOf: ["y", "z"]) }
        == "settings.json: a.b[1].c: \"x\" is not supported; supported: y, z")
    #expect(try refusal(text) { _ = try $0.elements() } == "settings.json: must be an array")
    #expect(try refusal(text) { throw $0.refused("e", "is wrong") } == "settings.json: e: is wrong")
    #expect(
      try refusal("[[1, 2]]") { _ = try $0.elements()[0].elements()[1].string() }
        == "settings.json: [0][1]: must be a string")
    #expect(try refusal("[7]") { _ = try $0.members() } == "settings.json: must be an object")
    #expect(try refusal("[7]") { _ = try $0.required("a") } == "settings.json: a: is missing")
    #expect(
      try refusal(#"{"n": 2.5}"#) { _ = try $0.required("n").integer(in: 1...9) }
        == "settings.json: n: must be an integer from 1 to 9")
    #expect(
      try refusal(#"{"n": 10}"#) { _ = try $0.required("n").integer(in: 1...9) }
        == "settings.json: n: must be an integer from 1 to 9")
    #expect(try refusal(#"{"n": "1"}"#) { _ = try $0.required("n").number() } == "settings.json: n: must be a number")
  }

  @Test func aFileThatIsNotJSONIsNamed() throws {
    let error = #expect(throws: FieldError.self) { try field("{\"a\":}") }
    #expect(error?.key == "settings.json")
    #expect(error?.message.hasPrefix("not valid JSON: ") == true && error?.message.hasSuffix(" at byte 5") == true)
    #expect(throws: FieldError.self) { try field("") }
  }
}
