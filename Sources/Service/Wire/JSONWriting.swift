import JSON
import SimilarityCore

/// Functions that write a whole member of an object in one line.
extension JSONWriter {
  mutating func member(_ name: String, _ value: String) {
    key(name)
    string(value)
  }

  /// null where there is no text.
  mutating func member(_ name: String, orNull value: String?) {
    key(name)
    string(orNull: value)
  }

  mutating func member(_ name: String, _ value: Int) {
    key(name)
    integer(value)
  }

  mutating func member(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  mutating func member(_ name: String, _ value: Float) {
    key(name)
    number(value)
  }

  mutating func member(_ name: String, _ value: Double) {
    key(name)
    number(value)
  }

  mutating func string(orNull text: String?) {
    if let text { string(text) } else { null() }
  }

  mutating func object(_ members: (inout JSONWriter) throws -> Void) rethrows {
    beginObject()
    try members(&self)
    endObject()
  }

  mutating func array(_ elements: (inout JSONWriter) throws -> Void) rethrows {
    beginArray()
    try elements(&self)
    endArray()
  }
}

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
      case .base64: base64(values)
      }
    }
  }
}
