import Platform

/// A file that is being written, in pieces, so that a full disk is noticed at the piece that does not fit.
struct FileOutput: ~Copyable {
  private static let pieceSize = 1 << 20

  private let path: String
  private let descriptor: Int32
  private let operations: FileOperations
  private var hash: SHA256

  /// - Parameter descriptor: closed by the caller.
  init(_ path: String, _ descriptor: Int32, _ operations: FileOperations) throws(CheckpointError) {
    (self.path, self.descriptor, self.operations) = (path, descriptor, operations)
    do throws(DigestFailure) {
      hash = try SHA256()
    } catch {
      throw CheckpointError(path, error.description)
    }
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    var start = 0
    while start < bytes.count {
      try operations.announce("write \(path)")
      let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + Self.pieceSize)])
      guard writeAll(piece, to: descriptor) else {
        throw CheckpointError(path, "cannot be written: \(systemMessage())")
      }
      hash.add(piece)
      start += piece.count
    }
  }

  /// - Parameter values: numbers, whose bytes are written as they are in memory.
  mutating func write<Value: BitwiseCopyable>(_ values: [Value]) throws(CheckpointError) {
    // The closure catches, because withUnsafeBytes does not pass on the type of an error.
    var failure: CheckpointError?
    values.withUnsafeBytes { bytes in
      do throws(CheckpointError) {
        try write(bytes)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// The SHA-256 of everything that was written.
  consuming func digest() throws(CheckpointError) -> [UInt8] {
    let path = path
    do throws(DigestFailure) {
      return try hash.digest()
    } catch {
      throw CheckpointError(path, error.description)
    }
  }
}

/// A file that is read in pieces, so that one of any size can be copied or checked.
struct FileInput: ~Copyable {
  private static let pieceSize = 1 << 20

  private let path: String
  private let descriptor: Int32
  private let room: UnsafeMutableRawBufferPointer

  init(_ path: String) throws(CheckpointError) {
    // Nothing is stored before the file is open: deinit runs for a value that is complete, even where its init throws.
    let opened = open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { throw CheckpointError(path, "cannot be opened: \(systemMessage())") }
    self.path = path
    descriptor = opened
    room = .allocate(byteCount: Self.pieceSize, alignment: 16)
  }

  deinit {
    systemClose(descriptor)
    room.deallocate()
  }

  /// The next piece, valid until the next call; nil at the end.
  mutating func next() throws(CheckpointError) -> UnsafeRawBufferPointer? {
    while true {
      let count = systemRead(descriptor, room)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw CheckpointError(path, "cannot be read: \(systemMessage())") }
      // SAFETY: the kernel has written so many bytes.
      return count == 0 ? nil : UnsafeRawBufferPointer(rebasing: room[..<count])
    }
  }
}

extension FileOperations {
  /// The SHA-256 of a file.
  func digest(of path: String) throws(CheckpointError) -> [UInt8] {
    func failed(_ error: DigestFailure) -> CheckpointError { CheckpointError(path, error.description) }
    var input = try FileInput(path)
    var hash: SHA256
    do throws(DigestFailure) {
      hash = try SHA256()
    } catch {
      throw failed(error)
    }
    while let piece = try input.next() { hash.add(piece) }
    do throws(DigestFailure) {
      return try hash.digest()
    } catch {
      throw failed(error)
    }
  }

  /// Copies the content of a file to a new one.
  func copy(_ path: String, to target: String) throws(CheckpointError) {
    try write(target) { output throws(CheckpointError) in
      var input = try FileInput(path)
      while let piece = try input.next() { try output.write(piece) }
    }
  }
}
