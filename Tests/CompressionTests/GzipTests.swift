import Compression
import TestSupport
import Testing

struct GzipTests {
  /// A coded form that Python's gzip and zlib made, and what it stands for.
  struct Vector: Sendable, CustomTestStringConvertible {
    let name: String
    let content: [UInt8]
    let coded: [UInt8]

    init(_ name: String, _ content: String, _ hexadecimal: String) {
      self.name = name
      self.content = Array(content.utf8)
      let digits = hexadecimal.utf8.map { UInt8($0 < 0x3A ? $0 - 0x30 : $0 - 0x57) }
      coded = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    var testDescription: String { name }

    static let repeated = String(repeating: "Nearfar embeds text. ", count: 40)

    static let all = [
      Vector("nothing", "", "1f8b080000000000020303000000000000000000"),
      Vector("one byte", "a", "1f8b08000000000002034b040043beb7e801000000"),
      Vector("stored, level 0", "stored", "1f8b0800000000000403010600f9ff73746f7265640bf9435606000000"),
      Vector(
        "level 1", repeated,
        "1f8b0800000000000403f34b4d2c4a4b2c5248cd4d4a4d29562849ad28d153f01b151c0d90d1c4404a460000eaa190e948030000"),
      Vector(
        "level 9", repeated,
        "1f8b080000f1536502fff34b4d2c4a4b2c5248cd4d4a4d29562849ad28d153f01b151c151c1524451000eaa190e948030000"),
      Vector(
        "with a file's name", "named\n",
        "1f8b08080100000002ff6e6f7465732e74787400cb4bcc4d4de10200dcf07a4106000000"),
      Vector(
        "with an extra field and a comment", "extra",
        "1f8b08140000000002030300616263636f6d6d656e74004bad28294a0400650d3f4d05000000"),
      Vector("with a checksum of the head", "hcrc", "1f8b08020000000002032515cb482e4a06001f5ef55c04000000"),
      Vector(
        "two members", "ab",
        "1f8b08000000000002034b040043beb7e8010000001f8b08000000000002034b0200f9efbe7101000000"),
      Vector(
        "three members, the middle one empty", "xy",
        "1f8b0800000000000003ab00008316dc8c010000001f8b080000000000000303000000000000000000"
          + "1f8b0800000000000003ab04001526dbfb01000000"),
    ]

    static let single = all.filter { !$0.name.contains("members") }
  }

  static let roomy = Gzip.Limits(bytes: 1 << 20)

  @Test(arguments: Vector.all)
  func readsWhatPythonWrote(_ vector: Vector) throws {
    #expect(try Gzip.inflate(vector.coded, Self.roomy) == vector.content)
  }

  @Test(arguments: Vector.single)
  func everyBeginningIsCutOff(_ vector: Vector) {
    for count in 0..<vector.coded.count {
      #expect(throws: Gzip.Failure.cutOff, "\(count) bytes") {
        try Gzip.inflate(Array(vector.coded.prefix(count)), Self.roomy)
      }
    }
  }

  @Test func twoMembersEndBetweenThem() throws {
    let vector = try #require(Vector.all.first { $0.name == "two members" })
    for count in 0..<vector.coded.count {
      let part = Array(vector.coded.prefix(count))
      if count == 21 {
        #expect(try Gzip.inflate(part, Self.roomy) == Array("a".utf8))
      } else {
        #expect(throws: Gzip.Failure.cutOff, "\(count) bytes") { try Gzip.inflate(part, Self.roomy) }
      }
    }
  }

  @Test func damageIsFound() throws {
    let vector = try #require(Vector.all.first { $0.name == "level 9" })
    var unnoticed: [Int] = []
    for index in vector.coded.indices {
      var damaged = vector.coded
      damaged[index] ^= 0x80
      do throws(Gzip.Failure) {
        #expect(try Gzip.inflate(damaged, Self.roomy) == vector.content, "byte \(index)")
        unnoticed.append(index)
      } catch {
        #expect(error == .corrupt || error == .cutOff, "byte \(index)")
      }
    }
    // Time, flags and system in the head, and the bits that fill the content's last byte, say nothing of the content.
    #expect(unnoticed == [4, 5, 6, 7, 8, 9, vector.coded.count - 9])
  }

  @Test(arguments: Vector.all)
  func nothingMayFollow(_ vector: Vector) {
    for rest: [UInt8] in [[0x20, 0x20], [0, 0, 0, 0], Array("{\"inputs\":\"a\"}".utf8)] {
      #expect(throws: Gzip.Failure.corrupt) { try Gzip.inflate(vector.coded + rest, Self.roomy) }
    }
    // One byte may still be the first one of another member.
    #expect(throws: Gzip.Failure.cutOff) { try Gzip.inflate(vector.coded + [0x1F], Self.roomy) }
  }

  @Test(arguments: ["{}", "plain text, and no gzip at all", "\u{1F}\u{0}"])
  func refusesWhatIsNotGzip(_ text: String) {
    #expect(throws: Gzip.Failure.corrupt) { try Gzip.inflate(Array(text.utf8), Self.roomy) }
  }

  /// RFC 1950 and RFC 1951: other formats around or without a frame, which some clients call deflate.
  @Test(arguments: [[0x78, 0x9C, 0x4B, 0x04, 0x00, 0x00, 0x62, 0x00, 0x62], [0x4B, 0x04, 0x00]] as [[UInt8]])
  func refusesDeflate(_ coded: [UInt8]) {
    #expect(throws: Gzip.Failure.corrupt) { try Gzip.inflate(coded, Self.roomy) }
  }

  @Test(arguments: [0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 65_535, 262_143, 262_144, 262_145, 1_000_003], 1...9)
  func readsWhatItWrites(_ count: Int, _ level: Int) throws {
    var generator = Seeded(UInt64(count))
    // Digits at random: neither empty nor beyond compression.
    let content = (0..<count).map { _ in UInt8.random(in: 0x30...0x39, using: &generator) }
    let coded = try #require(Gzip.deflate(content, level: level))
    #expect(try Gzip.inflate(coded, Self.roomy) == content)
    #expect(count < 64 || coded.count < content.count)
  }

  @Test func whatDoesNotShrinkIsWrittenAllTheSame() throws {
    var generator = Seeded(1)
    let content = (0..<300_000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    let coded = try #require(Gzip.deflate(content))
    #expect(coded.count < content.count + 1000)
    #expect(try Gzip.inflate(coded, Self.roomy) == content)
  }

  @Test(arguments: Vector.all)
  func theLimitIsExact(_ vector: Vector) throws {
    #expect(try Gzip.inflate(vector.coded, Gzip.Limits(bytes: vector.content.count)) == vector.content)
    let less = vector.content.count - 1
    guard less >= 0 else { return }
    #expect(throws: Gzip.Failure.tooLarge(limit: less)) { try Gzip.inflate(vector.coded, Gzip.Limits(bytes: less)) }
  }

  @Test func theLengthAtTheEndIsNotBelieved() throws {
    for stated: [UInt8] in [[0, 0, 0, 0], [2, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF]] {
      let vector = try #require(Vector.all.first { $0.name == "one byte" })
      #expect(throws: Gzip.Failure.corrupt) { try Gzip.inflate(vector.coded.dropLast(4) + stated, Self.roomy) }
    }
  }

  @Test func theRatioIsLimitedBeyondSmallContent() throws {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    let coded = try #require(Gzip.deflate(zeros, level: 9))
    var limits = Gzip.Limits(bytes: 1 << 30)
    #expect(try Gzip.inflate(coded, limits) == zeros)
    limits.smallBytes = zeros.count
    #expect(try Gzip.inflate(coded, limits) == zeros)
    limits.smallBytes = zeros.count - 1
    #expect(throws: Gzip.Failure.tooDense(ratio: 200)) { try Gzip.inflate(coded, limits) }
    limits.ratio = 2000
    #expect(try Gzip.inflate(coded, limits) == zeros)
    #expect(limits.bytes == 1 << 30)
  }

  @Test func theRatioCountsAllMembersTogether() throws {
    let member = try #require(Gzip.deflate([UInt8](repeating: 0, count: 1 << 20), level: 9))
    let coded = (0..<9).flatMap { _ in member }
    #expect(throws: Gzip.Failure.tooDense(ratio: 200)) { try Gzip.inflate(coded, Gzip.Limits(bytes: 1 << 30)) }
  }

  /// 64 MiB of zeros: refused by ratio, and with a small limit by size, in a process that may take 16 MiB more.
  @Test func aBombTakesNoMemory() async {
    await #expect(processExitsWith: .success) {
      let coded = Gzip.deflate([UInt8](repeating: 0, count: 64 << 20), level: 9) ?? []
      precondition((60_000..<80_000).contains(coded.count), "64 MiB of zeros become 64 KiB")
      forbidGrowth()
      for (bytes, failure) in [
        (1 << 30, Gzip.Failure.tooDense(ratio: 200)), (4 << 20, .tooLarge(limit: 4 << 20)), (0, .tooLarge(limit: 0)),
      ] {
        do throws(Gzip.Failure) {
          _ = try Gzip.inflate(coded, Gzip.Limits(bytes: bytes))
          preconditionFailure("a bomb was inflated")
        } catch {
          precondition(error == failure, "\(error)")
        }
      }
    }
  }

  /// Inflating ends with the limit and not with the bomb, which would take a second.
  @Test func aBombTakesNoTime() throws {
    let member = try #require(Gzip.deflate([UInt8](repeating: 0, count: 16 << 20), level: 9))
    let coded = (0..<64).flatMap { _ in member }
    let clock = ContinuousClock()
    let took = clock.measure {
      #expect(throws: Gzip.Failure.tooDense(ratio: 200)) { try Gzip.inflate(coded, Gzip.Limits(bytes: 2 << 30)) }
    }
    #expect(took < .milliseconds(500))
  }
}
