import HTTPClient

/// `nearfar health`: asks a running service's `/readyz`, as a container's health check does.
enum HealthCommand: Command {
  static let name = "health"
  static let summary = "say whether a running service is ready"
  static let details = """
    Asks the service's /readyz, for at most five seconds. The exit status is 0 and "ready" is printed when the service \
    is ready, and 1 when it is not or cannot be reached.
    """
  static let flags: [any CommandFlag] = [url]

  /// In a container the service's own port is known from its environment.
  private static let url = Flag(
    "url", .text("URL"),
    .optional(meaning: "http://127.0.0.1:8080, or the port of \(ServeOptions.port.variable)"), isVariable: true,
    "Where the service is, as http://HOST[:PORT]; a path is ignored.")

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    // Not a flag of this command, so it comes from the environment alone.
    let port = try arguments.value(ServeOptions.port)
    let text = try arguments.given(url) ?? "http://127.0.0.1:\(port)"
    let service: ServiceURL
    do throws(ClientError) {
      let given = try ServiceURL(text)
      service = given.prefix.isEmpty ? given : try ServiceURL("http://\(given.authority)")
    } catch {
      throw UsageError("--url \(error)")
    }
    return CommandError.status { () throws(CommandError) in
      let status = try status(of: service)
      guard status == 200 else { throw CommandError("not ready: /readyz answered \(status)") }
      try SystemFile.standardOutput.write(Array("ready\n".utf8)[...])
    }
  }

  private static func status(of url: ServiceURL) throws(CommandError) -> Int {
    let request = ClientRequest("GET", "/readyz", fields: [(name: "Connection", value: "close")])
    do throws(ClientError) {
      return try HTTPClient(url, timeout: 5, maxBodyBytes: 65_536).send(request).status
    } catch {
      throw CommandError(error.description)
    }
  }
}
