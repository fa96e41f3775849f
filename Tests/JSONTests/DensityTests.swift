import JSON
import Testing

/// What a writer says of its text, by which answers are compressed or not.
@Suite struct DensityTests {
  @Test func textHasNeitherFloatsNorBase64() {
    var writer = JSONWriter()
    writer.beginArray()
    writer.string("1.5")
    writer.integer(15)
    writer.number(1.5)
    writer.endArray()
    #expect((writer.floatBytes, writer.base64Bytes) == (0, 0))
  }

  @Test func digitsOfFloatsAreCounted() {
    var writer = JSONWriter()
    writer.beginArray()
    [Float(0.5), -1.25].withUnsafeBufferPointer { writer.floats($0) }
    writer.number(Float(2.5))
    writer.endArray()
    #expect(String(decoding: writer.bytes, as: UTF8.self) == "[[0.5,-1.25],2.5]")
    #expect(writer.floatBytes == "0.5,-1.25".utf8.count + "2.5".utf8.count)
  }

  @Test func severalBlocksAreCounted() {
    var writer = JSONWriter()
    [Float](repeating: 0.5, count: 5000).withUnsafeBufferPointer { writer.floats($0) }
    #expect(writer.bytes.count == 5000 * 4 + 1)
    #expect(writer.floatBytes == 5000 * 4 - 1)
  }

  @Test func base64IsCountedWithItsQuotes() {
    var writer = JSONWriter()
    writer.beginArray()
    for row in [[Float(0.5)], [1, -2]] { row.withUnsafeBufferPointer { writer.base64($0) } }
    writer.endArray()
    #expect(String(decoding: writer.bytes, as: UTF8.self) == #"["AAAAPw==","AACAPwAAAMA="]"#)
    #expect(writer.base64Bytes == 10 + 1 + 14)
  }
}
