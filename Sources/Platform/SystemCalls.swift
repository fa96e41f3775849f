/// The C library, for every target that imports this one. Linux with glibc is supported, on x86-64 and arm64.
@_exported import Glibc

// System calls under names that do not clash with the names of methods. Results are those of the C library: -1 on
// failure, with the reason in `errno`.

/// write(2).
public func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}

/// read(2).
public func systemRead(_ descriptor: Int32, _ room: UnsafeMutableRawBufferPointer) -> Int {
  read(descriptor, room.baseAddress, room.count)
}

/// send(2), which raises no SIGPIPE.
public func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
}

/// close(2).
public func systemClose(_ descriptor: Int32) { close(descriptor) }

/// The type of stream sockets, as socket(2) and getaddrinfo(3) take it.
public var streamSocket: Int32 { Int32(SOCK_STREAM.rawValue) }

/// A description of an error number of the system. By default it is that of the last failed call.
public func systemMessage(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
