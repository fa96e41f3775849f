import FoundationEssentials
import JSON
import SimilarityCore

/// How vectors are written in JSON.
enum VectorEncoding: String, Sendable, CaseIterable {
  case float
  /// Base64 (RFC 4648, section 4) of the row's f32 values, little-endian.
  case base64
}

extension JSONWriter {
  /// Row `index` of `matrix`.
  mutating func row(_ index: Int, of matrix: Matrix, _ encoding: VectorEncoding) {
    matrix.withRow(index) { values in
      switch encoding {
      case .float: floats(values)
      case .base64:
        if values.contains(where: { !$0.isFinite }) {
          // Base64 would hide it; a number is refused by the writer.
          number(Float.nan)
        } else {
          // Both of the supported processors are little-endian.
          string(Data(buffer: values).base64EncodedString())
        }
      }
    }
  }
}
