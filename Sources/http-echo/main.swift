import HTTPServer

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Writes a line where nothing buffers it.
func tell(_ descriptor: Int32, _ text: String) {
  _ = text.utf8.withContiguousStorageIfAvailable { write(descriptor, $0.baseAddress, $0.count) }
}

do {
  let options = try Options(CommandLine.arguments.dropFirst())
  let server = try HTTPServer(
    configuration: options.configuration, handler: EchoHandler(maxBodyBytes: options.maxBodyBytes))
  try server.drainOnTermination()
  let host = options.configuration.host
  tell(1, "http-echo ready http://\(host.contains(":") ? "[\(host)]" : host):\(server.port)\n")
  exit(try server.run() ? 0 : 1)
} catch let mistake as Options.Mistake {
  tell(2, "http-echo: \(mistake.message)\n\(Options.usage)")
  exit(2)
} catch {
  tell(2, "http-echo: \(error)\n")
  exit(1)
}
