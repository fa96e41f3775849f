import COpenSSL
import Safetensors

/// SHA-256 over everything that decides a vector, as 64 hexadecimal digits.
enum Fingerprint {
  /// - Throws: ``EncoderError`` when the cryptographic library fails.
  static func of(_ pieces: [UnsafeRawBufferPointer]) throws(EncoderError) -> String {
    guard let state = nf_sha256_begin() else { throw failure }
    var digest = [UInt8](repeating: 0, count: 32)
    var failed: Int32 = 0
    for piece in pieces { failed |= nf_sha256_update(state, piece.baseAddress, piece.count) }
    failed |= nf_sha256_finish(state, &digest)
    guard failed == 0 else { throw failure }
    return digest.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  private static var failure: EncoderError { EncoderError(key: "fingerprint", message: "SHA-256 is not available") }
}
