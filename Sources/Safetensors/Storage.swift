import Platform

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
    guard descriptor >= 0 else { throw Self.failure("cannot open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.failure("cannot read the size of", path) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw SafetensorsError(message: "\(path) is not a file") }
    guard let size = Int(exactly: status.st_size), size > 0 else {
      throw SafetensorsError(message: "\(path) is empty")
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw Self.failure("cannot map", path)
    }
    kept = []
    isMapped = true
    // SAFETY: the mapping has `size` bytes and is undone in `deinit`, when no view is left.
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if isMapped { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
  }

  /// Gives the pages of a mapping back; those that are read again come from the file.
  func releasePages() {
    if isMapped { madvise(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, MADV_DONTNEED) }
  }

  private static func failure(_ what: String, _ path: String) -> SafetensorsError {
    SafetensorsError(message: "\(what) \(path): \(systemMessage())")
  }
}
