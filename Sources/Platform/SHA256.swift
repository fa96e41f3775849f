import COpenSSL

/// The cryptographic library failed, as it does for want of memory.
package struct DigestFailure: Error, Equatable, CustomStringConvertible {
  package var description: String { "the cryptographic library (libcrypto) failed to compute SHA-256" }
}

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
package struct SHA256: ~Copyable {
  private let state: OpaquePointer
  private var hasFailed = false

  /// - Throws: ``DigestFailure``.
  package init() throws(DigestFailure) {
    guard let state = nf_sha256_begin() else { throw DigestFailure() }
    self.state = state
  }

  deinit {
    var unused = [UInt8](repeating: 0, count: 32)
    // SAFETY: the array has the 32 bytes that are written. The call frees the state, which was not freed before.
    _ = nf_sha256_finish(state, &unused)
  }

  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    // SAFETY: the buffer is valid for its count.
    if nf_sha256_update(state, bytes.baseAddress, bytes.count) != 0 { hasFailed = true }
  }

  package mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

  /// The 32 bytes of the digest.
  ///
  /// - Throws: ``DigestFailure``.
  package consuming func digest() throws(DigestFailure) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    // SAFETY: as in `deinit`, which does not run any more.
    let isFinished = nf_sha256_finish(state, &digest) == 0
    let isWhole = isFinished && !hasFailed
    discard self
    guard isWhole else { throw DigestFailure() }
    return digest
  }

  /// The digest of some bytes.
  ///
  /// - Throws: ``DigestFailure``.
  package static func digest(of bytes: [UInt8]) throws(DigestFailure) -> [UInt8] {
    var hash = try SHA256()
    hash.add(bytes)
    return try hash.digest()
  }

  /// A digest as 64 hexadecimal digits.
  package static func hexadecimal(_ digest: [UInt8]) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
