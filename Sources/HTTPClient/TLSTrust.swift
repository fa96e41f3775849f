import COpenSSL
import Platform

/// What a client demands of an https:// service before it sends anything.
public final class TLSTrust {
  // SAFETY: freed with the trust; a session keeps what it needs of it.
  private let context: OpaquePointer

  /// - Parameters:
  ///   - authorities: a file of the certificates that the service's has to be signed by (PEM); nil is the system's.
  ///   - verifies: false trusts every service, whatever its certificate.
  /// - Throws: ``ClientError`` of the kind `trust` when the file cannot be used.
  public init(authorities: String?, verifies: Bool = true) throws(ClientError) {
    var content: [UInt8] = []
    if let authorities {
      do throws(WholeFile.Failure) {
        content = try WholeFile.read(authorities)
      } catch {
        throw ClientError(.trust, "cannot read '\(authorities)': \(error.message)")
      }
      // No bytes would mean the system's certificates.
      guard !content.isEmpty else { throw ClientError(.trust, "'\(authorities)' is empty") }
    }
    var reason = nf_tls_reason()
    // SAFETY: the pointer is valid for its count during the call, which copies what it needs.
    guard let made = nf_tls_client(content, content.count, verifies ? 1 : 0, &reason) else {
      let source = authorities.map { "'\($0)'" } ?? "the system's certificates"
      throw ClientError(.trust, "cannot use \(source): \(String(cString: nf_tls_words(&reason)))")
    }
    context = made
  }

  deinit { nf_tls_context_free(context) }

  func session(_ descriptor: Int32, _ host: String) -> OpaquePointer? { nf_tls_session_new(context, descriptor, host) }
}
