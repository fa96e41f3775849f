import COpenSSL
import Platform

/// The SHA-256 digest of an API key. Keys themselves are not kept.
struct KeyDigest: Sendable {
  private let bytes: [UInt8]

  /// - Returns: nil when the cryptographic library fails, for want of memory.
  init?(_ key: some Sequence<UInt8>) {
    guard let bytes = try? SHA256.digest(of: Array(key)) else { return nil }
    self.bytes = bytes
  }

  /// Whether both are equal, found in the same time whatever they are.
  func matches(_ other: KeyDigest) -> Bool {
    // SAFETY: every digest has 32 bytes.
    nf_equal_digests(bytes, other.bytes) != 0
  }
}
