import Glibc

// System calls under names that no method hides.

/// write(2).
public func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}

/// read(2).
public func systemRead(_ descriptor: Int32, _ room: UnsafeMutableRawBufferPointer) -> Int {
  read(descriptor, room.baseAddress, room.count)
}

/// send(2), without SIGPIPE.
public func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
}

/// close(2).
public func systemClose(_ descriptor: Int32) { close(descriptor) }

/// The type of a stream socket as socket(2) and getaddrinfo(3) take it.
public var streamSocket: Int32 { Int32(SOCK_STREAM.rawValue) }

/// What an error number of the system means; that of the last call where none is given.
public func systemMessage(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

/// Writes all of `bytes`.
///
/// - Returns: false when the system takes no more; `errno` says why.
// SAFETY: every write is within the buffer.
public func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
  var done = 0
  while done < bytes.count {
    let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]))
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    done += count
  }
  return true
}
