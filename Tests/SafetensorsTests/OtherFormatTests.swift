import Foundation
import Safetensors
import Testing

/// Files in other formats, and files that cannot be read.
@Suite struct OtherFormatTests {
  /// The first bytes of a NumPy file of 3 × 4 floats.
  private static let numpy =
    [0x93] + Array("NUMPY".utf8) + [1, 0, 0x76, 0]
    + Array("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }".utf8) + [UInt8](repeating: 0x20, count: 59)
    + [UInt8](repeating: 0, count: 48)

  private static let zip = Array("PK\u{3}\u{4}\u{14}\0\0\0\u{8}\0".utf8) + [UInt8](repeating: 0xA5, count: 40)

  static let files: [(bytes: [UInt8], what: String)] = [
    (numpy, "it is a NumPy array (.npy)"),
    (zip, "it is a zip archive, such as .npz or a PyTorch checkpoint"),
    (Array(#"{"vectors": [[0.5, 1], [2, 3]]}"#.utf8), "it is JSON"),
    (Array("  [[0.5, 1], [2, 3]]".utf8), "it is JSON"),
    (Array("{\"a\":1,\n{\"b\":2}\n".utf8), "it is JSON"),
    (Array("id,text\n1,near\n2,far\n".utf8), "it is text"),
    (Array("Ähnliches nah, Unähnliches fern, und so weiter über die vierundsechzig Bytes hinaus".utf8), "it is text"),
    (Array("1234567{".utf8), "it is text"),
    (Array("GGUF".utf8) + [3, 0, 0, 0, 1, 0, 0, 0], "it is a GGUF model"),
    (Array("PAR1".utf8) + [0x15, 4, 0x15, 0x20], "it is a Parquet table"),
    ([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, 0], "it is an HDF5 file"),
    ([0x1F, 0x8B, 8, 0, 0x12, 0x34, 0x56, 0x67, 0, 3], "it is compressed with gzip"),
    ([], "0 bytes are too few for a header"),
    ([1, 2, 3], "3 bytes are too few for a header"),
    (Array("{}".utf8), "2 bytes are too few for a header"),
    ([UInt8](repeating: 0, count: 100), "the header does not start with {"),
    ([UInt8](repeating: 0xFE, count: 100), "within the limit of 100000000 bytes"),
    ([0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46], "within the limit of 100000000 bytes"),
  ]

  @Test(arguments: files.indices) func isNamed(_ index: Int) throws {
    let (bytes, what) = Self.files[index]
    let error = try #require(throws: SafetensorsError.self) { try SafetensorsArchive(bytes) }
    #expect(error.cause == .otherFormat && error.message.hasSuffix(what), "\(error.message)")

    let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).bin")
    defer { try? FileManager.default.removeItem(at: path) }
    try Data(bytes).write(to: path)
    let name = path.path(percentEncoded: false)
    let mapped = try #require(throws: SafetensorsError.self) { try SafetensorsArchive(memoryMapping: name) }
    let expected = bytes.isEmpty ? "it is empty" : error.message
    #expect(mapped.cause == .otherFormat && mapped.message == "\(name) is not a safetensors file: \(expected)")
  }

  /// A damaged safetensors file is not reported as another format.
  @Test func damageIsToldApart() throws {
    for bytes in [file("{}", data: 1), file("{}", data: 0, length: 3), file("{\"a\":}", data: 0)] {
      let error = try #require(throws: SafetensorsError.self) { try SafetensorsArchive(bytes) }
      #expect(error.cause == .malformed)
    }
  }

  /// A file that the system does not open is not reported as another format.
  @Test func theSystemsRefusalsAreToldApart() throws {
    let missing = try #require(throws: SafetensorsError.self) { try SafetensorsArchive(memoryMapping: "/no/such/file") }
    #expect(missing.cause == .system(ENOENT))
    #expect(missing.message == "/no/such/file: cannot be opened: No such file or directory")
    let folder = try #require(throws: SafetensorsError.self) { try SafetensorsArchive(memoryMapping: "/") }
    #expect(folder.message == "/ is not a safetensors file: it is not a regular file")
  }
}
