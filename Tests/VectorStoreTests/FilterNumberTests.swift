import JSON
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// A number as JSON text, with 1,024 times its value, which for all numbers used here is an integer of 128 bits.
private struct Spelled: Hashable {
  let text: String
  let scaled: Int128

  init(_ integer: some FixedWidthInteger) {
    text = String(integer)
    scaled = Int128(integer) * 1024
  }

  /// - Parameter double: a multiple of 2^-10.
  init(_ double: Double) {
    // The description is the shortest decimal that reads back as the same double.
    text = "\(double)"
    scaled = Int128(double * 1024)
  }
}

@Suite struct FilterNumberTests {
  private func filter(_ text: String) throws -> Filter { try Filter(JSONDocument(Array(text.utf8)).root) }

  /// The indices of the values that fulfil the condition on `v`.
  private func matches(_ condition: String, _ values: [String]) throws -> [Int] {
    var index = MetadataIndex()
    for (slot, value) in values.enumerated() { index.insert(slot: slot, metadata: Array(#"{"v":\#(value)}"#.utf8)) }
    return index.matches(try filter(#"{"v":\#(condition)}"#), among: SlotSet(below: values.count)).all
  }

  @Test(arguments: [
    // Doubles near 1.7e18 are 256 apart.
    (#"1768907725507217523"#, [1]),
    (#"{"$eq":1768907725507217522}"#, [0]),
    (#"{"$ne":1768907725507217522}"#, [1, 2]),
    (#"{"$in":[1768907725507217524,1768907725507217522]}"#, [0, 2]),
    (#"{"$nin":[1768907725507217524,1768907725507217522]}"#, [1]),
    (#"{"$gt":1768907725507217522}"#, [1, 2]),
    (#"{"$gte":1768907725507217523}"#, [1, 2]),
    (#"{"$lt":1768907725507217523}"#, [0]),
    (#"{"$lte":1768907725507217523}"#, [0, 1]),
    (#"{"$not":{"$lt":1768907725507217523}}"#, [1, 2]),
    (#"{"$gt":1768907725507217522,"$lt":1768907725507217524}"#, [1]),
  ]) func neighbouringTimesAreToldApart(_ condition: String, _ expected: [Int]) throws {
    let values = ["1768907725507217522", "1768907725507217523", "1768907725507217524"]
    #expect(try matches(condition, values) == expected)
  }

  @Test func logicOverExactNumbers() throws {
    var index = MetadataIndex()
    for slot in 0..<4 {
      index.insert(slot: slot, metadata: Array(#"{"v":\#(9_007_199_254_740_992 + slot),"w":[1,\#(slot)]}"#.utf8))
    }
    func found(_ text: String) throws -> [Int] { index.matches(try filter(text), among: SlotSet(below: 4)).all }
    #expect(try found(#"{"$or":[{"v":9007199254740993},{"v":9007199254740995}]}"#) == [1, 3])
    #expect(try found(#"{"$and":[{"v":{"$gt":9007199254740992}},{"v":{"$lt":9007199254740994}}]}"#) == [1])
    #expect(try found(#"{"$not":{"v":9007199254740993}}"#) == [0, 2, 3])
    #expect(try found(#"{"v":{"$gte":9007199254740993},"w":3}"#) == [3])
  }

  /// Numbers in ascending order. Those with equal values are grouped.
  private static let order: [[String]] = [
    ["-1e300"], ["-9223372036854777856.0"],
    // Beyond 64 bits an integer is read as the nearest double, here -2^63.
    ["-9223372036854775808", "-9223372036854775808.0", "-9223372036854775809"],
    ["-9223372036854775807"], ["-9007199254740993"], ["-9007199254740992", "-9007199254740992.0"], ["-1.5"],
    ["-1", "-1.0"], ["-0.5"], ["0", "-0", "0.0", "-0.0", "0e5"], ["5e-324"], ["0.5"], ["1"], ["4503599627370495.5"],
    ["4503599627370496", "4503599627370496.0"], ["9007199254740991"],
    // A literal with a fraction is read as the nearest double, and a tie as the double whose last bit is even.
    ["9007199254740992", "9007199254740992.0", "9007199254740992.5", "9007199254740993.0", "9.007199254740992e15"],
    ["9007199254740993"], ["9007199254740994", "9007199254740994.0"], ["9223372036854774784.0"],
    ["9223372036854775806"], ["9223372036854775807"], ["9223372036854775808", "9223372036854775808.0"],
    ["9223372036854775809"], ["18446744073709549568.0", "18446744073709549568"], ["18446744073709551614"],
    ["18446744073709551615"], ["18446744073709551616", "18446744073709551617", "18446744073709551616.0"], ["1e300"],
  ]

  @Test(arguments: Self.order.indices) func orderAroundTheLimits(_ place: Int) throws {
    let values = Self.order.flatMap(\.self)
    let first = Self.order[..<place].reduce(0) { $0 + $1.count }
    let (below, equal) = (0..<first, first..<first + Self.order[place].count)
    let above = equal.upperBound..<values.count
    for operand in Self.order[place] {
      #expect(try matches(operand, values) == Array(equal))
      #expect(try matches(#"{"$in":[\#(operand)]}"#, values) == Array(equal))
      #expect(try matches(#"{"$ne":\#(operand)}"#, values) == Array(below) + Array(above))
      #expect(try matches(#"{"$lt":\#(operand)}"#, values) == Array(below))
      #expect(try matches(#"{"$lte":\#(operand)}"#, values) == Array(below) + Array(equal))
      #expect(try matches(#"{"$gt":\#(operand)}"#, values) == Array(above))
      #expect(try matches(#"{"$gte":\#(operand)}"#, values) == Array(equal) + Array(above))
    }
  }

  /// Random integers and fractions with close values, in an index so large that its trees have inner nodes.
  @Test func randomNumbersAgreeWithWholeNumberArithmetic() throws {
    var random = Seeded(41)
    var values: [Spelled] = []
    for _ in 0..<700 {
      let base: Int128 = [0, 1 << 52, 1 << 53, 1 << 54, 1 << 62, 1 << 63, (1 << 64) - 4096][
        Int.random(in: 0..<7, using: &random)]
      let near = base + Int128(Int.random(in: 0..<4096, using: &random)) - 2048
      for signed in [near, -near] {
        if let integer = Int64(exactly: signed) { values.append(Spelled(integer)) }
        if let natural = UInt64(exactly: signed) { values.append(Spelled(natural)) }
        // The integer rounded to a double, and a double near it.
        values.append(Spelled(Double(signed)))
        values.append(Spelled(Double(signed) + Double(Int.random(in: 0..<64, using: &random)) / 64))
      }
    }
    var index = MetadataIndex()
    for (slot, value) in values.enumerated() {
      index.insert(slot: slot, metadata: Array(#"{"v":\#(value.text)}"#.utf8))
    }
    // Some values are removed and inserted again, so that the tree merges and splits nodes.
    for slot in stride(from: 0, to: values.count, by: 3) {
      index.remove(slot: slot, metadata: Array(#"{"v":\#(values[slot].text)}"#.utf8))
    }
    for slot in stride(from: 0, to: values.count, by: 3) {
      index.insert(slot: slot, metadata: Array(#"{"v":\#(values[slot].text)}"#.utf8))
    }
    let all = SlotSet(below: values.count)
    func found(_ condition: String) throws -> [Int] {
      index.matches(try filter(#"{"v":\#(condition)}"#), among: all).all
    }
    for _ in 0..<150 {
      let operand = values[Int.random(in: 0..<values.count, using: &random)]
      func expected(_ holds: (Int128) -> Bool) -> [Int] { values.indices.filter { holds(values[$0].scaled) } }
      #expect(try found(operand.text) == expected { $0 == operand.scaled })
      #expect(try found(#"{"$lt":\#(operand.text)}"#) == expected { $0 < operand.scaled })
      #expect(try found(#"{"$lte":\#(operand.text)}"#) == expected { $0 <= operand.scaled })
      #expect(try found(#"{"$gt":\#(operand.text)}"#) == expected { $0 > operand.scaled })
      #expect(try found(#"{"$gte":\#(operand.text)}"#) == expected { $0 >= operand.scaled })
    }
  }

  @Test func deletingByAnExactNumberKeepsItsNeighbours() throws {
    let collection = try CollectionStore().create("c", dimension: 2).collection
    let times = [1_768_907_725_507_217_522, 1_768_907_725_507_217_523]
    _ = try collection.upsert(
      times.map { Point(id: "t\($0 % 10)", vector: [1, 0], metadata: Array(#"{"t":\#($0)}"#.utf8)) })
    #expect(try collection.delete(where: try filter(#"{"t":1768907725507217523}"#)) == (2, 1))
    #expect(collection.snapshot.points(after: nil, limit: 9).map(\.id) == ["t2"])
  }
}
