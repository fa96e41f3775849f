import Service

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// `nearfar loss`: scores a batch in safetensors files, in this process.
enum Loss {
  static let flags = (LossCommand.tensors + LossCommand.options).map(flag) + ["threads", "output"]

  /// `in_batch_negatives` is `--in-batch-negatives`.
  private static func flag(_ name: String) -> String { String(name.map { $0 == "_" ? "-" : $0 }) }

  /// - Returns: the exit status: 0 when the loss was printed, 1 when the batch cannot be scored.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    var files: [String: String] = [:]
    var values: [String: String] = [:]
    for name in LossCommand.tensors { files[name] = options.string(flag(name)) }
    for name in LossCommand.options { values[name] = options.string(flag(name)) }
    guard files["queries"] != nil else { throw UsageError(description: "--queries is required") }
    if let names = values["return"] { values["return"] = list(names) }
    let threads = try options.integer("threads", default: UsableCores.count, in: 1...1024)
    let output = options.string("output")
    do {
      let answer = try LossCommand(files: files, options: values, threads: threads, archives: output != nil)
      if let output, let archive = answer.archive { try write(archive, toFile: output) }
      try write(answer.json + [0x0A], to: STDOUT_FILENO, named: "standard output")
      return 0
    } catch {
      Log(json: false).plain("nearfar: \(error)")
      return 1
    }
  }

  /// `loss,per_row` as a JSON list; a JSON list as it is.
  private static func list(_ names: String) -> String {
    if names.hasPrefix("[") { return names }
    return "[" + names.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ",") + "]"
  }

  private static func write(_ bytes: [UInt8], toFile path: String) throws(UsageError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(path) }
    do throws(UsageError) {
      try write(bytes, to: descriptor, named: path)
    } catch {
      close(descriptor)
      throw error
    }
    guard close(descriptor) == 0 else { throw failure(path) }
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32, named name: String) throws(UsageError) {
    var done = 0
    while done < bytes.count {
      // SAFETY: the pointer is to the part of the array that is not written yet, alive for the call.
      let count = bytes[done...].withUnsafeBytes { unsafeWrite(descriptor, $0) }
      guard count > 0 || errno == EINTR else { throw failure(name) }
      done += max(0, count)
    }
  }

  private static func unsafeWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Glibc)
      Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    #elseif canImport(Musl)
      Musl.write(descriptor, bytes.baseAddress, bytes.count)
    #else
      Darwin.write(descriptor, bytes.baseAddress, bytes.count)
    #endif
  }

  private static func failure(_ name: String) -> UsageError {
    UsageError(description: "cannot write \(name): \(String(cString: strerror(errno)))")
  }
}
