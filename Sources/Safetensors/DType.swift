/// Element types of the safetensors format that this library reads.
public enum DType: String, Sendable, CaseIterable {
  case f64 = "F64"
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i64 = "I64"
  case i32 = "I32"
  case i16 = "I16"
  case i8 = "I8"
  case u64 = "U64"
  case u32 = "U32"
  case u16 = "U16"
  case u8 = "U8"
  case bool = "BOOL"

  /// Bytes of one element.
  public var size: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .i8, .u8, .bool: 1
    }
  }
}

/// A file or a request body that is not valid safetensors, or a tensor that is not what it should be.
public struct SafetensorsError: Error, Sendable {
  /// What is wrong, naming the tensor where there is one.
  public var message: String

  public init(message: String) {
    self.message = message
  }
}

/// Bytes that a shape needs; nil when the product does not fit in an `Int` or an extent is negative.
func byteCount(of shape: [Int], _ dtype: DType) -> Int? {
  var total = dtype.size
  for extent in shape {
    let (product, overflow) = total.multipliedReportingOverflow(by: extent)
    if overflow || extent < 0 { return nil }
    total = product
  }
  return total
}
