import Foundation
import Safetensors
import Testing

/// The bytes of a file: the header's length (or `length` instead), the header, then `data` bytes counting up from 0.
func file(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
  let text = Array(header.utf8)
  let stated = length ?? UInt64(text.count)
  return withUnsafeBytes(of: stated.littleEndian) { Array($0) } + text
    + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

func fixture() -> String {
  URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/reference.safetensors")
    .path(percentEncoded: false)
}

@Suite struct ReadTests {
  @Test func filesOfTheReferenceLibraryAreRead() throws {
    let mapped = try SafetensorsArchive(memoryMapping: fixture())
    let kept = try SafetensorsArchive([UInt8](Data(contentsOf: URL(filePath: fixture()))))
    for archive in [mapped, kept] {
      #expect(Set(archive.names) == ["matrix", "half", "doubles", "labels", "flags", "scalar", "empty"])
      #expect(archive.metadata == ["format": "np", "objective": "infonce"])
      let matrix = try #require(archive.tensor("matrix"))
      #expect(matrix.dtype == .f32 && matrix.shape == [2, 3] && matrix.bytes.count == 24)
      #expect(try archive.floats("matrix") == [0, 0.25, 0.5, 0.75, 1, 1.25])
      #expect(try archive.floats("scalar") == [3.5])
      #expect(archive.tensor("scalar")?.shape == [])
      #expect(try archive.floats("empty") == [])
      #expect(archive.tensor("empty")?.shape == [0, 4])
      let labels = try #require(archive.tensor("labels"))
      #expect(labels.dtype == .i64 && labels.bytes.loadUnaligned(fromByteOffset: 16, as: Int64.self) == 1 << 40)
      #expect(archive.tensor("flags").map { Array($0.bytes) } == [1, 0, 1])
      #expect(archive.tensor("none") == nil)
      #expect(throws: SafetensorsError.self) { try archive.floats("none") }
      #expect(throws: SafetensorsError.self) { try archive.floats("labels") }
    }
  }

  @Test func aViewKeepsItsArchive() throws {
    var archive: SafetensorsArchive? = try SafetensorsArchive(memoryMapping: fixture())
    let view = try #require(archive?.tensor("matrix"))
    archive = nil
    #expect(try view.floats() == [0, 0.25, 0.5, 0.75, 1, 1.25])
  }

  @Test func everyHalfIsWidenedExactly() throws {
    let patterns = (0...UInt16.max).map { $0 }
    var writer = SafetensorsWriter()
    try patterns.withUnsafeBytes { bytes in
      try writer.add(name: "f16", dtype: .f16, shape: [65536], bytes: bytes)
      try writer.add(name: "bf16", dtype: .bf16, shape: [256, 256], bytes: bytes)
    }
    let archive = try SafetensorsArchive(writer.serialize())
    let half = try archive.floats("f16")
    let brain = try archive.floats("bf16")
    #expect(patterns.filter { brain[Int($0)].bitPattern != UInt32($0) << 16 } == [])
    #expect(patterns.filter { !matches(half[Int($0)], $0) } == [])
  }

  /// Whether `value` is that of a half by its definition: a sign, 5 bits of exponent and 10 bits of fraction.
  private func matches(_ value: Float, _ pattern: UInt16) -> Bool {
    let exponent = Int(pattern >> 10 & 31)
    let fraction = Float(pattern & 1023) / 1024
    let sign: Float = pattern >> 15 == 0 ? 1 : -1
    switch exponent {
    case 0: return value == sign * fraction * 0x1p-14 && (value.sign == .minus) == (sign < 0)
    case 31: return fraction == 0 ? value == sign * .infinity : value.isNaN
    default: return value == sign * (1 + fraction) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
    }
  }

  @Test func aFileThatIsNotThereIsNamed() {
    let error = #expect(throws: SafetensorsError.self) { try SafetensorsArchive(memoryMapping: "/no/such/file") }
    #expect(error?.message.contains("/no/such/file") == true)
    #expect(throws: SafetensorsError.self) { try SafetensorsArchive(memoryMapping: "/") }
    #expect(throws: SafetensorsError.self) { try SafetensorsArchive(memoryMapping: "/dev/null") }
  }
}
