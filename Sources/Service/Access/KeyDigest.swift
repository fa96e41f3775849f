import COpenSSL

/// The SHA-256 digest of an API key. Keys themselves are not kept.
struct KeyDigest: Sendable {
  private let bytes: [UInt8]

  /// - Returns: nil when the cryptographic library fails, for want of memory.
  init?(_ key: some Sequence<UInt8>) {
    let key = Array(key)
    var bytes = [UInt8](repeating: 0, count: 32)
    guard let state = nf_sha256_begin() else { return nil }
    // SAFETY: the array is valid for its count during the call.
    let isTaken = nf_sha256_update(state, key, key.count) == 0
    // SAFETY: `bytes` has the 32 bytes that are written. The call frees the state.
    guard nf_sha256_finish(state, &bytes) == 0, isTaken else { return nil }
    self.bytes = bytes
  }

  /// Whether both are equal, found in the same time whatever they are.
  func matches(_ other: KeyDigest) -> Bool {
    // SAFETY: every digest has 32 bytes.
    nf_equal_digests(bytes, other.bytes) != 0
  }
}
