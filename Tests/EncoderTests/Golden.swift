import Foundation
import TestSupport

/// Vectors of the original model, from files that the checked-in scripts wrote.
struct Golden: Decodable {
  struct Case: Decodable {
    let text: String
    let ids: [Int32]
    /// The Euclidean norm before normalisation.
    let norm: Double
    /// Base64 of little-endian f32, length 1.
    let vector: String
  }

  let cases: [Case]

  static func load() throws -> Golden {
    let url = URL(fileURLWithPath: "\(ModelFolder.repository)/Tests/clients/fixtures/embeddings.json")
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
  }
}

/// Vectors for each kind of pooling, not normalised.
struct GoldenPoolings: Decodable {
  struct Case: Decodable {
    let ids: [Int32]
    let mean: String
    let cls: String
    let max: String
    let meanSquareRoot: String
    let weighted: String
    let last: String
  }

  let cases: [Case]

  static func load() throws -> GoldenPoolings {
    let path = "\(ModelFolder.repository)/Tests/EncoderTests/Fixtures/poolings.json"
    return try JSONDecoder().decode(GoldenPoolings.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }
}

/// Decodes a row of base64 into its little-endian f32 values.
func floats(_ base64: String) -> [Float] {
  let bytes = [UInt8](Data(base64Encoded: base64) ?? Data())
  return stride(from: 0, to: bytes.count - 3, by: 4).map { start in
    let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
    return Float(bitPattern: bits)
  }
}
