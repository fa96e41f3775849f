import Foundation
import Safetensors
import Testing

@Suite struct WriteTests {
  @Test func whatIsWrittenReadsBack() throws {
    let matrix: [Float] = [1.5, -2, .infinity, 0, 0x1p-149, 3]
    let labels: [Int64] = [7, -7]
    var writer = SafetensorsWriter()
    try [UInt8(1)].withUnsafeBytes { bytes in
      try writer.add(name: "flag", dtype: .bool, shape: [], bytes: bytes)
    }
    try matrix.withUnsafeBufferPointer { values in
      try writer.add(name: "matrix \"é\"", shape: [3, 2], floats: values)
    }
    try labels.withUnsafeBytes { bytes in
      try writer.add(name: "labels", dtype: .i64, shape: [2], bytes: bytes)
    }
    let bytes = writer.serialize(metadata: ["b": "2", "a": "line\nbreak"])
    let header = bytes.withUnsafeBytes { Int(UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self))) }
    #expect((8 + header) % 8 == 0)
    #expect(bytes == writer.serialize(metadata: ["a": "line\nbreak", "b": "2"]))

    let archive = try SafetensorsArchive(bytes)
    // Tensors with the widest elements come first, so that each is aligned to the size of its elements.
    #expect(archive.names == ["labels", "matrix \"é\"", "flag"])
    #expect(archive.metadata == ["a": "line\nbreak", "b": "2"])
    #expect(try archive.floats("matrix \"é\"") == matrix)
    #expect(archive.tensor("matrix \"é\"")?.shape == [3, 2])
    #expect(archive.tensor("labels")?.bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self) == -7)
    #expect(archive.tensor("flag").map { Array($0.bytes) } == [1])

    let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).safetensors")
    defer { try? FileManager.default.removeItem(at: path) }
    try Data(bytes).write(to: path)
    let mapped = try SafetensorsArchive(memoryMapping: path.path(percentEncoded: false))
    #expect(try mapped.floats("matrix \"é\"") == matrix)
  }

  @Test func misfitsAreRefused() throws {
    let values: [Float] = [1, 2, 3, 4]
    var writer = SafetensorsWriter()
    for shape in [[3], [2, 3], [-4], [-2, -2], [.max, 2], []] {
      #expect(throws: SafetensorsError.self) {
        try values.withUnsafeBufferPointer { try writer.add(name: "x", shape: shape, floats: $0) }
      }
    }
    try values.withUnsafeBufferPointer { try writer.add(name: "x", shape: [4], floats: $0) }
    for name in ["x", "__metadata__"] {
      #expect(throws: SafetensorsError.self) {
        try values.withUnsafeBufferPointer { try writer.add(name: name, shape: [4], floats: $0) }
      }
    }
    #expect(try SafetensorsArchive(writer.serialize()).names == ["x"])
  }

  @Test func anEmptyArchiveIsValid() throws {
    let archive = try SafetensorsArchive(SafetensorsWriter().serialize())
    #expect(archive.names == [] && archive.metadata == [:])
  }
}
