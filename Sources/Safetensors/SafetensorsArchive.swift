import Platform

/// Named tensors in one file or one body, checked as a whole before any of them can be read.
///
/// The format: https://github.com/huggingface/safetensors (README, "Format"). Rejected are a header over 100 MB or
/// longer than the file, ranges that overlap or leave gaps, a range whose length is not shape × element size, and a
/// repeated name.
public final class SafetensorsArchive: Sendable {
  /// Names of all tensors, in the order of the header.
  public let names: [String]
  /// The `__metadata__` of the header; empty when there is none.
  public let metadata: [String: String]
  private let storage: Storage
  private let entries: [String: Entry]
  private let dataStart: Int

  /// Maps a file into memory; its pages are read when a tensor is. The file must not shrink while the archive lives.
  /// - Throws: `SafetensorsError`, whose message names the file and what is wrong with it.
  public convenience init(memoryMapping path: String) throws(SafetensorsError) {
    do {
      try self.init(Storage(mapping: path))
    } catch {
      let prefix = error.cause == .otherFormat ? "\(path) is not a safetensors file: " : "\(path): "
      throw SafetensorsError(error.cause, prefix + error.message)
    }
  }

  /// Keeps `bytes`, without copying them, and reads tensors in place.
  /// - Throws: `SafetensorsError` when the bytes are not valid safetensors.
  public convenience init(_ bytes: [UInt8]) throws(SafetensorsError) {
    try self.init(Storage(keeping: bytes))
  }

  private init(_ storage: Storage) throws(SafetensorsError) {
    let header = try Header(storage.bytes)
    self.storage = storage
    dataStart = header.dataStart
    metadata = header.metadata
    names = header.entries.map(\.name)
    // The parser rejects a header in which a name is repeated.
    entries = Dictionary(header.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The size of the file or body.
  public var byteCount: Int { storage.bytes.count }

  /// Returns to the system the memory that holds pages of a mapped file. Later reads fetch them from the file again.
  public func releasePages() { storage.releasePages() }

  /// The tensor of that name; nil when there is none.
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

/// The bytes of an archive, mapped from a file or kept from an array. They never change.
// SAFETY: `bytes` is read only, and valid until `deinit`; nothing else is stored that changes.
final class Storage: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer
  private let kept: [UInt8]
  private let isMapped: Bool

  init(keeping array: [UInt8]) {
    kept = array
    isMapped = false
    // SAFETY: the elements of a native array stay where they are while a copy of it is alive and none is mutated;
    // `kept` is that copy, and it is constant.
    bytes = kept.withUnsafeBytes { $0 }
  }

  init(mapping path: String) throws(SafetensorsError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("cannot be opened") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system("its size cannot be read") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw SafetensorsError(.otherFormat, "it is not a regular file") }
    let size = Int(clamping: status.st_size)
    guard size > 0 else { throw SafetensorsError(.otherFormat, "it is empty") }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw .system("cannot be mapped")
    }
    kept = []
    isMapped = true
    // SAFETY: the mapping has `size` bytes and is removed in `deinit`, when no view is left.
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if isMapped { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
  }

  /// See ``SafetensorsArchive/releasePages()``. Bytes that were kept from an array stay as they are.
  func releasePages() {
    if isMapped { madvise(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, MADV_DONTNEED) }
  }
}

extension SafetensorsError {
  /// The error for the system call that has just failed, from `errno`.
  fileprivate static func system(_ what: String) -> SafetensorsError {
    let code = errno
    return SafetensorsError(.system(code), "\(what): \(systemMessage(code))")
  }
}
