import HTTPClient

/// How a command reaches a service, and which https:// services it trusts.
enum ServiceAccess {
  static let flags: [any CommandFlag] = [authorities, isInsecure]

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
  /// - Throws: ``UsageError`` naming the flag at fault.
  static func client(
    _ url: ServiceURL, _ arguments: Arguments, trustsAll: Bool = false, preface: [UInt8] = [], timeout: Int = 600,
    maxBodyBytes: Int = 256 << 20
  ) throws(UsageError) -> HTTPClient {
    let file = try arguments.given(authorities)
    let verifies = try !arguments.value(isInsecure) && !trustsAll
    do throws(ClientError) {
      let trust = url.isSecure ? try TLSTrust(authorities: file, verifies: verifies) : nil
      return try HTTPClient(url, trust: trust, preface: preface, timeout: timeout, maxBodyBytes: maxBodyBytes)
    } catch {
      throw UsageError("--ca-file: \(error)")
    }
  }
}
