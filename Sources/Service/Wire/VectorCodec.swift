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
          string(Data(littleEndian: values).base64EncodedString())
        }
      }
    }
  }
}

extension Data {
  fileprivate init(littleEndian values: UnsafeBufferPointer<Float>) {
    #if _endian(little)
      self = Data(buffer: values)
    #else
      self = Data(values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) } })
    #endif
  }
}
