/// Named tensors in one file or one body, checked as a whole before any of them can be read.
///
/// The format: https://github.com/huggingface/safetensors (README, "Format"). Refused: a header over 100 MB or over the
/// file, ranges that overlap or leave gaps, a range that is not shape × element size, a name that stands twice.
public final class SafetensorsArchive: Sendable {
  /// Names of all tensors, in the order of the header.
  public let names: [String]
  /// The `__metadata__` of the header, empty when there is none.
  public let metadata: [String: String]
  private let storage: Storage
  private let entries: [String: Entry]
  private let dataStart: Int

  /// Maps a file; its pages are read when a tensor is. The file must not shrink while the archive lives.
  /// - Throws: `SafetensorsError` naming what is wrong with the file.
  public convenience init(memoryMapping path: String) throws(SafetensorsError) {
    do {
      try self.init(Storage(mapping: path))
    } catch {
      let named = error.message.contains(path)
      throw named ? error : SafetensorsError(message: "\(path): \(error.message)")
    }
  }

  /// Keeps `bytes`, without copying them, and reads tensors in place.
  public convenience init(_ bytes: [UInt8]) throws(SafetensorsError) {
    try self.init(Storage(keeping: bytes))
  }

  private init(_ storage: Storage) throws(SafetensorsError) {
    let header = try Header(storage.bytes)
    self.storage = storage
    dataStart = header.dataStart
    metadata = header.metadata
    names = header.entries.map(\.name)
    // The parser refused a header in which a name stands twice.
    entries = Dictionary(header.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Gives the pages of a mapped file back after everything was read once; what is read again comes from the file.
  public func releasePages() { storage.releasePages() }

  /// The tensor of that name, nil when there is none.
  public func tensor(_ name: String) -> TensorView? {
    entries[name].map { TensorView($0, in: storage, dataStart: dataStart) }
  }

  /// The elements of an F32, F16 or BF16 tensor as 32-bit floats.
  /// - Throws: `SafetensorsError` when there is no such tensor, or when it has another type.
  public func floats(_ name: String) throws(SafetensorsError) -> [Float] {
    guard let view = tensor(name) else { throw SafetensorsError(message: "tensor \"\(name)\" is missing") }
    return try view.floats()
  }
}
