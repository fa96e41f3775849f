import Platform

/// Ends the process when a property that must hold for every input does not; libFuzzer then keeps the input.
func require(_ holds: Bool, _ message: @autoclosure () -> String) {
  if !holds { finding(message()) }
}

/// Ends the process with a message about what is wrong.
func finding(_ message: String) -> Never {
  _ = Array("finding: \(message)\n".utf8).withUnsafeBytes { systemWrite(2, $0) }
  abort()
}

/// What `body` returns; the end of the process where a set-up that does not depend on the input fails.
func must<Value>(_ body: () throws -> Value) -> Value {
  do { return try body() } catch { finding("set-up: \(error)") }
}

/// A folder of this process in memory, for targets that read files. scripts/fuzz.sh removes those that are left behind.
func makeFolder() -> String {
  let base = getenv("NEARFAR_FUZZ_FOLDER").map { String(cString: $0) } ?? "/dev/shm"
  let path = "\(base)/nearfar-fuzz-\(getpid())"
  require(mkdir(path, 0o700) == 0 || errno == EEXIST, "\(path) cannot be made: \(systemMessage())")
  return path
}

/// Replaces a file. It need not survive a crash, so nothing is flushed.
func put(_ bytes: [UInt8], at path: String) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
  require(descriptor >= 0, "\(path) cannot be written: \(systemMessage())")
  var rest = bytes[...]
  while !rest.isEmpty {
    let written = rest.withUnsafeBytes { systemWrite(descriptor, $0) }
    require(written > 0, "\(path) cannot be written: \(systemMessage())")
    rest = rest.dropFirst(written)
  }
  systemClose(descriptor)
}
