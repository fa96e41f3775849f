import COpenSSL
import Platform

/// Where a server finds its certificate, and what it asks of its clients'. All files are PEM.
public struct TLSFiles: Sendable {
  public enum ClientCertificates: Sendable {
    case optional
    case required
  }

  /// The server's certificate, and the intermediate certificates behind it.
  public var chain: String
  /// The private key, without a passphrase.
  public var key: String
  /// The certificates that a client's has to be signed by; nil where clients are not asked for one.
  public var clientAuthorities: String?
  public var clientCertificates = ClientCertificates.required

  public init(chain: String, key: String, clientAuthorities: String? = nil) {
    self.chain = chain
    self.key = key
    self.clientAuthorities = clientAuthorities
  }
}

/// What a server's connections are secured with. Its files can be read anew while it serves: connections that exist keep what
/// they began with, and clients resume their sessions.
public final class TLSIdentity: Sendable {
  private let current: ReloadedFiles<TLSContext, ServerError>

  /// - Throws: when a file cannot be read, or its content cannot be used.
  public init(_ files: TLSFiles) throws(ServerError) {
    let tickets = try TLSTickets()
    current = try ReloadedFiles(
      read: { () throws(ServerError) in try Self.read(files) },
      make: { content throws(ServerError) in try Self.context(files, content, tickets) })
  }

  /// Reads the files anew.
  ///
  /// - Returns: true when their content has changed and is used from now on.
  /// - Throws: when a file cannot be read, or when changed content cannot be used; the old one stays in use. A failure that
  ///   lasts is thrown again only where it was asked for.
  public func reload(isAsked: Bool = false) throws(ServerError) -> Bool { try current.reload(isAsked: isAsked) }

  /// When the certificate expires, in seconds since 1970.
  public var expiry: Int { current.value.expiry }

  /// - Returns: nil when there is no memory for another session.
  func transport(_ descriptor: Int32) -> TLSTransport? {
    TLSTransport(descriptor, current.value)
  }

  /// Chain, key and authorities.
  private static func read(_ files: TLSFiles) throws(ServerError) -> [[UInt8]] {
    var content: [[UInt8]] = []
    for path in [files.chain, files.key] + (files.clientAuthorities.map { [$0] } ?? []) {
      do throws(WholeFile.Failure) {
        content.append(try WholeFile.read(path))
      } catch {
        throw ServerError(operation: "read \(path)", code: error.code, message: error.message)
      }
    }
    return content
  }

  private static func context(
    _ files: TLSFiles, _ content: [[UInt8]], _ tickets: TLSTickets
  ) throws(ServerError) -> TLSContext {
    let client: Int =
      switch (files.clientAuthorities, files.clientCertificates) {
      case (nil, _): NF_TLS_CLIENT_IGNORED
      case (_, .optional): NF_TLS_CLIENT_OPTIONAL
      case (_, .required): NF_TLS_CLIENT_REQUIRED
      }
    return try TLSContext(
      chain: content[0], key: content[1], authorities: content.count > 2 ? content[2] : [], client: Int32(client),
      tickets,
      named: "use \(([files.chain, files.key] + [files.clientAuthorities].compactMap { $0 }).joined(separator: ", "))")
  }
}

/// Certificates and options of one moment, shared by the sessions that began then.
// SAFETY: OpenSSL locks its contexts, and nothing changes this one after `init`.
final class TLSContext: @unchecked Sendable {
  private let context: OpaquePointer
  /// They outlive the context.
  private let tickets: TLSTickets

  init(
    chain: [UInt8], key: [UInt8], authorities: [UInt8], client: Int32, _ tickets: TLSTickets, named operation: String
  ) throws(ServerError) {
    var reason = nf_tls_reason()
    // SAFETY: each pointer is valid for its count during the call, which copies what it needs.
    let made = nf_tls_server(
      chain, chain.count, key, key.count, authorities, authorities.count, client, tickets.keys, &reason)
    guard let made else {
      throw ServerError(operation: operation, message: String(cString: nf_tls_words(&reason)))
    }
    context = made
    self.tickets = tickets
  }

  deinit { nf_tls_context_free(context) }

  var expiry: Int { Int(nf_tls_context_expiry(context)) }

  func session(_ descriptor: Int32) -> OpaquePointer? { nf_tls_session_new(context, descriptor, nil) }
}

/// The keys of session tickets.
// SAFETY: the shim guards them with a lock.
final class TLSTickets: @unchecked Sendable {
  let keys: OpaquePointer

  init() throws(ServerError) {
    guard let keys = nf_tls_tickets_new() else {
      throw ServerError(operation: "set up TLS", message: "there is not enough memory")
    }
    self.keys = keys
  }

  deinit { nf_tls_tickets_free(keys) }
}
