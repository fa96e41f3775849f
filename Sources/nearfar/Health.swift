import HTTPClient
import Platform

/// `nearfar health`: asks a running service's `/readyz`, as a container's health check does.
enum HealthCommand: Command {
  static let name = "health"
  static let summary = "say whether a running service is ready"
  static let details = """
    Asks the service's /readyz, for at most five seconds. The exit status is 0 and "ready" is printed when the service \
    is ready, and 1 when it is not or cannot be reached.
    """
  static let flags: [any CommandFlag] = [url] + ServiceAccess.flags

  /// In a container the service's own port and scheme are known from its environment.
  private static let url = Flag(
    "url", .text("URL"),
    .optional(
      meaning: "http://127.0.0.1:8080, or the port of \(ServeOptions.port.variable), and https:// with any certificate "
        + "where \(ServeOptions.certificate.variable) is set"), isVariable: true,
    "Where the service is, as http://HOST[:PORT] or https://; a path is ignored.")

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    // Not a flag of this command, so it comes from the environment alone.
    let port = try arguments.value(ServeOptions.port)
    let given = try arguments.given(url)
    // The service on this machine has a certificate for the name by which others know it.
    let isSecure = getenv(ServeOptions.certificate.variable) != nil
    let service = try ServiceAccess.url(given ?? "\(isSecure ? "https" : "http")://127.0.0.1:\(port)").root
    // The service on this machine expects that whoever connects says on whose behalf.
    let isProxied = try arguments.value(ServeOptions.proxyProtocol)
    let preface = given == nil && isProxied ? Array("PROXY UNKNOWN\r\n".utf8) : []
    let client = try ServiceAccess.client(
      service, arguments, trustsAll: given == nil, preface: preface, timeout: 5, maxBodyBytes: 65_536)
    return CommandError.status { () throws(CommandError) in
      let status = try status(client)
      guard status == 200 else { throw CommandError("not ready: /readyz answered \(status)") }
      try SystemFile.standardOutput.write(Array("ready\n".utf8)[...])
    }
  }

  private static func status(_ client: HTTPClient) throws(CommandError) -> Int {
    do throws(ClientError) {
      return try client.send(ClientRequest("GET", "/readyz", fields: [(name: "Connection", value: "close")])).status
    } catch {
      throw CommandError(error.description)
    }
  }
}
