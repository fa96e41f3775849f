import HTTPClient
import Platform
import Service

/// How a command reaches a service, which https:// services it trusts, and the API key that it shows.
enum ServiceAccess {
  static let flags: [any CommandFlag] = [keyFile, authorities, isInsecure]

  /// The key itself is no flag, because every user of the machine sees the command line.
  private static let keyVariable = "NEARFAR_API_KEY"
  // No variable: that of this name is the service's, which often runs in the same container.
  private static let keyFile = Flag(
    "api-key-file", .text("FILE"), .optional(meaning: "the key in \(keyVariable), if any"),
    "A file whose first line with a key, KEY or NAME:KEY, has the service's API key.")
  private static let authorities = Flag(
    "ca-file", .text("FILE"), .optional(meaning: "the certificates that the system trusts"), isVariable: true,
    "The certificates that an https:// service's has to be signed by (PEM).")
  // No variable, so that nobody is without protection who has not asked for it in this very call.
  private static let isInsecure = Flag(
    "insecure", .standingAlone, .defaults(to: false),
    "Trust an https:// service whatever its certificate. Whoever is between can then read and change everything.")

  /// - Throws: ``UsageError`` naming the flag at fault.
  static func url(_ text: String) throws(UsageError) -> ServiceURL {
    do throws(ClientError) {
      return try ServiceURL(text)
    } catch {
      throw UsageError("--url \(error)")
    }
  }

  /// A client of the service at `url`.
  ///
  /// - Parameters:
  ///   - trustsAll: whether any certificate will do, whatever the flags say.
  ///   - preface: what a connection begins with, before TLS.
  /// - Throws: ``UsageError`` naming the flag or variable at fault.
  static func client(
    _ url: ServiceURL, _ arguments: Arguments, trustsAll: Bool = false, preface: [UInt8] = [], timeout: Int = 600,
    maxBodyBytes: Int = 256 << 20
  ) throws(UsageError) -> HTTPClient {
    let key = try key(arguments)
    let file = try arguments.given(authorities)
    let verifies = try !arguments.value(isInsecure) && !trustsAll
    do throws(ClientError) {
      let trust = url.isSecure ? try TLSTrust(authorities: file, verifies: verifies) : nil
      return try HTTPClient(url, trust: trust, preface: preface, key: key, timeout: timeout, maxBodyBytes: maxBodyBytes)
    } catch {
      throw UsageError("--ca-file: \(error)")
    }
  }

  private static func key(_ arguments: Arguments) throws(UsageError) -> String? {
    if let file = try arguments.given(keyFile) {
      do throws(KeyFileError) {
        return try APIKeys.first(inFile: file)
      } catch {
        throw UsageError("--api-key-file: \(error)")
      }
    }
    guard let value = getenv(keyVariable) else { return nil }
    let key = String(cString: value)
    guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw UsageError("\(keyVariable) must be an API key, of visible ASCII characters")
    }
    return key
  }
}
