import HTTPServer
import Platform

/// Writes a line where nothing buffers it.
func tell(_ descriptor: Int32, _ text: String) {
  _ = text.utf8.withContiguousStorageIfAvailable { systemWrite(descriptor, UnsafeRawBufferPointer($0)) }
}

do {
  let options = try Options(CommandLine.arguments.dropFirst())
  let server = try HTTPServer(
    configuration: options.configuration, handler: EchoHandler(maxBodyBytes: options.maxBodyBytes))
  let termination = Termination { tell(2, "http-echo: \($0)\n") }
  termination.whenAsked { server.drain() }
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
