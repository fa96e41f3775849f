import HTTPServer
import Platform

/// The command line of `http-echo`.
struct Options {
  var configuration = ServerConfiguration(host: "127.0.0.1", port: 8080)
  var maxBodyBytes = 134_217_728
  private var chain: String?
  private var key: String?
  private var clientAuthorities: String?

  /// nil without a certificate.
  var files: TLSFiles? {
    guard let chain, let key else { return nil }
    return TLSFiles(chain: chain, key: key, clientAuthorities: clientAuthorities)
  }

  /// What is wrong with the command line.
  struct Mistake: Error {
    let message: String
  }

  static let usage = """
    usage: http-echo [--host ADDRESS] [--port N] [--max-body-bytes N] [--max-head-bytes N] [--max-connections N]
                     [--head-timeout S] [--body-timeout S] [--idle-timeout S] [--write-timeout S] [--drain-timeout S]
                     [--handshake-timeout S] [--loops N] [--tls-cert FILE --tls-key FILE] [--tls-client-ca FILE]

    """

  init(_ arguments: some Sequence<String>) throws(Mistake) {
    var rest = arguments.makeIterator()
    while let flag = rest.next() {
      guard let value = rest.next() else { throw Mistake(message: "\(flag) needs a value") }
      switch flag {
      case "--host": configuration.host = value
      case "--port": configuration.port = try Self.number(value, flag)
      case "--max-body-bytes": maxBodyBytes = try Self.number(value, flag)
      case "--max-head-bytes": configuration.maxHeadBytes = try Self.number(value, flag)
      case "--loops": configuration.loops = try Self.number(value, flag)
      case "--max-connections": configuration.maxConnections = try Self.number(value, flag)
      case "--head-timeout": configuration.headTimeout = try Self.seconds(value, flag)
      case "--body-timeout": configuration.bodyTimeout = try Self.seconds(value, flag)
      case "--idle-timeout": configuration.idleTimeout = try Self.seconds(value, flag)
      case "--write-timeout": configuration.writeTimeout = try Self.seconds(value, flag)
      case "--handshake-timeout": configuration.handshakeTimeout = try Self.seconds(value, flag)
      case "--tls-cert": chain = value
      case "--tls-key": key = value
      case "--tls-client-ca": clientAuthorities = value
      case "--drain-timeout": configuration.drainTimeout = try Self.seconds(value, flag)
      default: throw Mistake(message: "\(flag) is not a flag of this program")
      }
    }
    guard (chain == nil) == (key == nil) else { throw Mistake(message: "--tls-cert and --tls-key go together") }
  }

  private static func number(_ text: String, _ flag: String) throws(Mistake) -> Int {
    guard let number = Int(text), number >= 0 else {
      throw Mistake(message: "\(flag) needs a whole number, not \(text)")
    }
    return number
  }

  private static func seconds(_ text: String, _ flag: String) throws(Mistake) -> Double {
    guard let seconds = Double(text), seconds > 0, seconds.isFinite else {
      throw Mistake(message: "\(flag) needs a number of seconds above 0, not \(text)")
    }
    return seconds
  }
}

/// Writes text at once, unbuffered. A failure is ignored, because there is nowhere to report it.
func write(_ text: String, to descriptor: Int32) {
  var text = text
  _ = text.withUTF8 { writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
}

do {
  let options = try Options(CommandLine.arguments.dropFirst())
  let server = try HTTPServer(
    configuration: options.configuration, handler: EchoHandler(maxBodyBytes: options.maxBodyBytes),
    identity: try options.files.map { files throws(ServerError) in try TLSIdentity(files) })
  let termination = Termination { write("http-echo: \($0)\n", to: STDERR_FILENO) }
  termination.whenAsked { server.drain() }
  let host = options.configuration.host
  let scheme = options.files == nil ? "http" : "https"
  write("http-echo ready \(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(server.port)\n", to: STDOUT_FILENO)
  exit(try server.run() ? 0 : 1)
} catch let mistake as Options.Mistake {
  write("http-echo: \(mistake.message)\n\(Options.usage)", to: STDERR_FILENO)
  exit(2)
} catch {
  write("http-echo: \(error)\n", to: STDERR_FILENO)
  exit(1)
}
