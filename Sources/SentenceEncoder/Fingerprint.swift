import COpenSSL
import Safetensors

/// SHA-256 (FIPS 180-4) over everything that decides a vector, as 64 hexadecimal digits.
enum Fingerprint {
  private static let files = ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]

  /// - Parameter settings: what else decides, such as the pooling.
  /// - Throws: ``EncoderError`` when a file cannot be read or the cryptographic library fails.
  static func of(
    _ folder: String, _ archive: SafetensorsArchive, settings: String
  ) throws(EncoderError) -> String {
    guard let state = nf_sha256_begin() else { throw failure }
    var failed = update(state, Array(settings.utf8))
    for name in files where ConfigurationFile.exists(name, in: folder) {
      failed |= update(state, try ConfigurationFile.bytes(of: name, in: folder))
    }
    for tensor in archive.names.sorted().compactMap({ archive.tensor($0) }) {
      // SAFETY: the view keeps its bytes alive.
      failed |= nf_sha256_update(state, tensor.bytes.baseAddress, tensor.bytes.count)
    }
    var digest = [UInt8](repeating: 0, count: 32)
    failed |= nf_sha256_finish(state, &digest)
    guard failed == 0 else { throw failure }
    return digest.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  private static func update(_ state: OpaquePointer, _ bytes: [UInt8]) -> Int32 {
    bytes.withUnsafeBytes { nf_sha256_update(state, $0.baseAddress, $0.count) }
  }

  private static var failure: EncoderError { EncoderError(key: "fingerprint", message: "SHA-256 is not available") }
}
