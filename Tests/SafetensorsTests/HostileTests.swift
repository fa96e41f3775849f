import Safetensors
import Testing

@Suite struct HostileTests {
  private func tensor(_ dtype: String, _ shape: String, _ offsets: String) -> String {
    "{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":\(offsets)}"
  }

  private func refusal(_ bytes: [UInt8]) throws -> String {
    try #require(throws: SafetensorsError.self) { try SafetensorsArchive(bytes) }.message
  }

  @Test func aHeaderMustFit() throws {
    for count in 0..<8 { #expect(try refusal(Array(repeating: 0, count: count)).contains("too few")) }
    #expect(try refusal(file("{}", data: 0, length: 0)).contains("start with {"))
    #expect(try refusal(file("{}", data: 0, length: 3)).contains("does not fit"))
    #expect(try refusal(file("{}", data: 0, length: 100_000_001)).contains("limit"))
    #expect(try refusal(file("{}", data: 0, length: .max)).contains("limit"))
    #expect(try refusal(file("{}", data: 0, length: 1)).contains("JSON"))
    #expect(try refusal(file("[]", data: 0)).contains("start with {"))
    #expect(try refusal(file(" {}", data: 0)).contains("start with {"))
    #expect(try refusal(file("{\"a\":}", data: 0)).contains("at byte 5"))
    #expect(try SafetensorsArchive(file("{}      ", data: 0)).names == [])
  }

  @Test func rangesMustCoverTheDataOnce() throws {
    let first = tensor("U8", "[4]", "[0,4]")
    #expect(try SafetensorsArchive(file("{\"a\":\(first)}", data: 4)).names == ["a"])
    #expect(try refusal(file("{\"a\":\(first)}", data: 3)).contains("cover 4"))
    #expect(try refusal(file("{\"a\":\(first)}", data: 5)).contains("cover 4"))
    #expect(try refusal(file("{}", data: 1)).contains("cover 0"))
    #expect(try refusal(file("{\"a\":\(tensor("U8", "[4]", "[1,5]"))}", data: 5)).contains("expected 0"))
    let overlap = tensor("U8", "[4]", "[3,7]")
    #expect(try refusal(file("{\"a\":\(first),\"b\":\(overlap)}", data: 7)).contains("expected 4"))
    let gap = tensor("U8", "[2]", "[5,7]")
    #expect(try refusal(file("{\"a\":\(first),\"b\":\(gap)}", data: 7)).contains("expected 4"))
    #expect(try refusal(file("{\"a\":\(first),\"b\":\(first)}", data: 4)).contains("expected 4"))
    let before = file("{\"b\":\(tensor("U8", "[2]", "[4,6]")),\"a\":\(first)}", data: 6)
    #expect(try SafetensorsArchive(before).tensor("b").map { Array($0.bytes) } == [4, 5])
  }

  @Test(arguments: [
    ("F32", "[1]", "[0,3]", "needs 4"), ("F32", "[2]", "[0,4]", "needs 8"), ("F33", "[1]", "[0,4]", "dtype"),
    ("f32", "[1]", "[0,4]", "dtype"), ("F32", "[-1]", "[0,4]", "shape"), ("F32", "[1.5]", "[0,4]", "shape"),
    ("F32", "1", "[0,4]", "shape"), ("F32", "[\"1\"]", "[0,4]", "shape"), ("F32", "null", "[0,4]", "shape"),
    ("F32", "[1]", "[4,0]", "data_offsets"), ("F32", "[1]", "[-4,0]", "data_offsets"),
    ("F32", "[1]", "[0]", "data_offsets"),
    ("F32", "[1]", "[0,4,8]", "data_offsets"), ("F32", "[1]", "[0,1e30]", "data_offsets"),
    ("F32", "[4611686018427387904,4]", "[0,4]", "too large"), ("F64", "[9223372036854775807]", "[0,4]", "too large"),
    ("F32", "[9223372036854775807,9223372036854775807,0]", "[0,0]", "too large"),
    ("F32", "[0,9223372036854775807]", "[0,4]", "needs 0"), ("F32", "[1]", "[0,9223372036854775807]", "needs 4"),
  ])
  func tensorsMustFitTheirRange(_ dtype: String, _ shape: String, _ offsets: String, _ part: String) throws {
    let message = try refusal(file("{\"weight\":\(tensor(dtype, shape, offsets))}", data: 4))
    #expect(message.contains(part) && message.contains("\"weight\""))
  }

  @Test func namesAndMetadataAreChecked() throws {
    let one = tensor("U8", "[1]", "[0,1]")
    #expect(try refusal(file("{\"a\":\(one),\"a\":\(one)}", data: 1)).contains("twice"))
    #expect(try refusal(file("{\"__metadata__\":{\"k\":1}}", data: 0)).contains("\"k\" is not a string"))
    #expect(try refusal(file("{\"__metadata__\":{\"k\":null}}", data: 0)).contains("not a string"))
    #expect(try refusal(file("{\"__metadata__\":[]}", data: 0)).contains("not an object"))
    #expect(try refusal(file("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", data: 0)).contains("twice"))
    #expect(try refusal(file("{\"a\":1}", data: 0)).contains("dtype"))
    #expect(try refusal(file("{\"a\":{}}", data: 0)).contains("dtype"))
    #expect(try SafetensorsArchive(file("{\"__metadata__\":{\"k\":\"v\"}}", data: 0)).metadata == ["k": "v"])
  }

  @Test func everyPrefixOfAFileIsRefused() throws {
    var writer = SafetensorsWriter()
    try [1, 2, 3].withUnsafeBufferPointer { values in
      try writer.add(name: "x", shape: [3], floats: values)
    }
    let whole = writer.serialize(metadata: ["k": "v"])
    for count in 0..<whole.count {
      #expect(throws: SafetensorsError.self) { try SafetensorsArchive(Array(whole[..<count])) }
    }
  }
}
