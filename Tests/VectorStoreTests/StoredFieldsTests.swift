import Testing
import VectorStore

/// The byte strings by which a database answers filters.
@Suite struct StoredFieldsTests {
  private func string(_ value: FilterValue, _ field: String = "a") -> [UInt8] { StoredFields.string(field, value) }

  @Test func stringsOfNumbersStandInTheOrderOfTheNumbers() {
    let numbers: [FilterNumber] = [
      FilterNumber(-Double.greatestFiniteMagnitude), FilterNumber(-1e25), FilterNumber(Int64.min), FilterNumber(-1.5),
      -1,
      FilterNumber(-Double.leastNonzeroMagnitude), 0, FilterNumber(Double.leastNonzeroMagnitude), FilterNumber(0.1), 1,
      FilterNumber(Double(1 << 53)), FilterNumber(Int64(1 << 53) + 1), FilterNumber(Int64(1 << 60)),
      FilterNumber(Int64(1 << 60) + 1), FilterNumber(Int64.max), FilterNumber(UInt64(1) << 63),
      FilterNumber(UInt64.max), FilterNumber(0x1p64), FilterNumber(1e308),
    ]
    for (first, second) in zip(numbers, numbers.dropFirst()) {
      #expect(first < second)
      #expect(string(.number(first)).lexicographicallyPrecedes(string(.number(second))))
    }
    #expect(string(.number(FilterNumber(-0.0))) == string(.number(0)))
    #expect(string(.number(FilterNumber(Double(1 << 60)))) == string(.number(FilterNumber(Int64(1 << 60)))))
  }

  @Test func aFieldHasItsOwnStrings() {
    let metadata = Array(#"{"a": [1, {"b": "x"}, 1], "é": null, "e": {}, "z": true}"#.utf8)
    let strings = StoredFields.strings(of: metadata)
    let expected = [
      StoredFields.presence(of: "a"), string(.number(1)), StoredFields.presence(of: "a.b"),
      string(.string("x"), "a.b"), StoredFields.presence(of: "é"), string(.null, "é"), StoredFields.presence(of: "e"),
      StoredFields.presence(of: "z"), string(.bool(true), "z"),
    ]
    #expect(Set(strings) == Set(expected))
    #expect(strings.count == expected.count)
    // No field's strings are those of another with a value that looks like the rest of the path.
    #expect(string(.string("b"), "a") != string(.string(""), "ab"))
    #expect(StoredFields.strings(of: nil).isEmpty)
    #expect(StoredFields.strings(of: Array("[1]".utf8)).isEmpty)
  }

  @Test func rangesHaveTheValuesOfTheirKindAlone() {
    func holds(_ order: FilterOrder, _ operand: FilterValue, _ value: FilterValue) -> Bool? {
      StoredFields.range("a", order, operand).map { range in
        let held = string(value)
        return !held.lexicographicallyPrecedes(range.from) && held.lexicographicallyPrecedes(range.to)
      }
    }
    for (order, below, equal, above) in [
      (FilterOrder.below, true, false, false), (.atMost, true, true, false), (.above, false, false, true),
      (.atLeast, false, true, true),
    ] {
      #expect(holds(order, .number(2), .number(1)) == below)
      #expect(holds(order, .number(2), .number(2)) == equal)
      #expect(holds(order, .number(2), .number(3)) == above)
      #expect(holds(order, .string("b"), .string("a\u{10ffff}")) == below)
      #expect(holds(order, .string("b"), .string("b")) == equal)
      #expect(holds(order, .string("b"), .string("b\u{0}")) == above)
      for other: FilterValue in [.null, .bool(true), .string("2")] { #expect(holds(order, .number(2), other) == false) }
      for other: FilterValue in [.null, .bool(true), .number(2)] { #expect(holds(order, .string("b"), other) == false) }
      #expect(holds(order, .null, .null) == nil)
    }
  }
}
