import JSON
import Testing

@Suite struct WriterTests {
  private func text(_ body: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    body(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  @Test func commasPlaceThemselves() {
    let result = text { writer in
      writer.beginObject()
      writer.key("a")
      writer.beginArray()
      writer.integer(1)
      writer.beginArray()
      writer.endArray()
      writer.beginObject()
      writer.endObject()
      writer.null()
      writer.endArray()
      writer.key("b")
      writer.bool(true)
      writer.key("c")
      writer.string("x")
      writer.key("d")
      writer.number(Float(0.1))
      writer.key("e")
      writer.number(0.1)
      writer.endObject()
    }
    #expect(result == #"{"a":[1,[],{},null],"b":true,"c":"x","d":0.1,"e":0.1}"#)
  }

  @Test func stringsAreEscaped() throws {
    #expect(
      text { $0.string("a\"b\\c/\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}é😀") }
        == "\"a\\\"b\\\\c/\\b\\t\\n\\f\\r\\u0001\\u001f\u{7f}é😀\"")
    for code in UInt32(0)..<0x3000 {
      guard let scalar = Unicode.Scalar(code) else { continue }
      // The scalar occurs at every position within a block of eight bytes.
      let string = String(repeating: "x", count: Int(code % 9)) + String(Character(scalar)) + "tail of the text"
      #expect(try parse(text { $0.string(string) }).string == string)
    }
  }

  @Test func numbersReadBackTheSame() throws {
    var generator = SystemRandomNumberGenerator()
    var values: [Float] = [0, -0.0, 1, -1, 16_777_216, 1e10, .leastNormalMagnitude, .greatestFiniteMagnitude]
    values += [-.greatestFiniteMagnitude, -.leastNonzeroMagnitude, Float(bitPattern: 0x807F_FFFF), .pi]
    while values.count < 20_000 {
      let value = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))
      if value.isFinite { values.append(value) }
    }
    var writer = JSONWriter()
    values.withUnsafeBufferPointer { writer.floats($0) }
    #expect(!writer.sawNonFinite)
    let read = try JSONDocument(writer.bytes).root.tensor(maximumRank: 1).values
    #expect(read.map(\.bitPattern) == values.map(\.bitPattern))
    for value in [0.1, -0.0, 1e300, .leastNonzeroMagnitude, -1.7976931348623157e308, 123456789.125] {
      #expect(try parse(text { $0.number(value) }).double?.bitPattern == value.bitPattern)
    }
    #expect(text { $0.number(Float(0.1)) } == "0.1" && text { $0.number(Float(1)) } == "1")
    #expect(text { writer in [Float]().withUnsafeBufferPointer { writer.floats($0) } } == "[]")
  }

  /// Single numbers are written by std::to_chars, whole arrays by code of the project.
  private func expectSameAsSingle(_ values: [Float]) {
    var whole = JSONWriter()
    values.withUnsafeBufferPointer { whole.floats($0) }
    var single = JSONWriter()
    single.beginArray()
    for value in values { single.number(value) }
    single.endArray()
    guard whole.bytes != single.bytes else { return }
    let texts = [whole, single].map { String(decoding: $0.bytes, as: UTF8.self).split(separator: ",") }
    let different = zip(texts[0], texts[1]).first { $0 != $1 }
    Issue.record("\(different.map { "\($0), not \($1)" } ?? "another number of values")")
  }

  @Test func arraysHaveTheDigitsOfSingleNumbersInEveryBinade() {
    var generator = SystemRandomNumberGenerator()
    for sign in [UInt32(0), 1] {
      for exponent in UInt32(0)..<255 {
        let edges: [UInt32] = [0, 1, 2, 3, 0x3F_FFFF, 0x40_0000, 0x7F_FFFE, 0x7F_FFFF]
        let mantissas = edges + (0..<8192).map { _ in UInt32.random(in: 0..<0x80_0000, using: &generator) }
        // The last ones are ties more often than others: they have few bits.
        let round = (0..<1024).map { _ in UInt32.random(in: 0..<0x400, using: &generator) << 13 }
        expectSameAsSingle((mantissas + round).map { Float(bitPattern: sign << 31 | exponent << 23 | $0) })
      }
    }
  }

  @Test func arraysOfShortDecimalsHaveTheDigitsOfSingleNumbers() {
    for power in -12...12 {
      var scale = 1.0
      for _ in 0..<abs(power) { scale *= 10 }
      expectSameAsSingle((-3000...3000).map { Float(power < 0 ? Double($0) / scale : Double($0) * scale) })
    }
    expectSameAsSingle((0..<200_000).map { Float($0) * 0.0625 })
    expectSameAsSingle((0..<100_000).map { Float($0 * 347) })
    // Each number of values, so that the last one ends anywhere within a block of the writer.
    for count in 0...200 { expectSameAsSingle([Float](repeating: -1.0123457e-38, count: count)) }
  }

  @Test func vectorsInBase64() throws {
    func base64(_ values: [Float]) -> String { text { writer in values.withUnsafeBufferPointer { writer.base64($0) } } }
    #expect(base64([]) == #""""# && base64([1]) == #""AACAPw==""# && base64([1, -2]) == #""AACAPwAAAMA=""#)
    #expect(base64([0.1, 0.2, 3e38]) == #""zczMPc3MTD7msWF/""#)
    var writer = JSONWriter()
    writer.beginArray()
    [1, Float.nan].withUnsafeBufferPointer { writer.base64($0) }
    #expect(writer.sawNonFinite && writer.base64Bytes == 0)
    [1].withUnsafeBufferPointer { writer.base64($0) }
    writer.endArray()
    #expect(writer.base64Bytes == 11 && String(decoding: writer.bytes, as: UTF8.self) == #"[0,"AACAPw=="]"#)
  }

  @Test func nonFiniteNumbersAreFlagged() {
    for value in [Double.nan, .infinity, -.infinity] {
      var writer = JSONWriter()
      writer.beginArray()
      writer.number(value)
      writer.endArray()
      #expect(writer.sawNonFinite && writer.bytes == Array("[0]".utf8))
      var floats = JSONWriter()
      [1, Float(value), 2].withUnsafeBufferPointer { floats.floats($0) }
      #expect(floats.sawNonFinite && floats.bytes == Array("[1,0,2]".utf8))
    }
  }

  @Test func copyKeepsAValue() throws {
    let source = #"{"a":[1,-2,18446744073709551615,0.5,"x\"é",true,false,null,{}],"b":{"c":[]}}"#
    let value = try parse(source)
    #expect(text { $0.copy(value) } == source)
  }
}
