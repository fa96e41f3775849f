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

  /// The size of one element in bytes.
  public var size: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .i8, .u8, .bool: 1
    }
  }
}

/// The number of bytes that a shape needs; nil when it does not fit in an `Int` or an extent is negative.
func byteCount(of shape: [Int], _ dtype: DType) -> Int? {
  var total = dtype.size
  for extent in shape {
    let (product, overflow) = total.multipliedReportingOverflow(by: extent)
    if overflow || extent < 0 { return nil }
    total = product
  }
  return total
}

/// A tensor in an archive, which the view keeps alive.
// SAFETY: the bytes are read only and belong to `storage`, which is constant.
public struct TensorView: @unchecked Sendable {
  /// The tensor's name in the file.
  public let name: String
  /// The type of the elements.
  public let dtype: DType
  /// The extent of each axis, outermost first; empty for a scalar.
  public let shape: [Int]
  /// The elements, row-major and little-endian: the product of `shape`, times `dtype.size`, bytes. They are not
  /// necessarily aligned.
  public let bytes: UnsafeRawBufferPointer
  private let storage: Storage

  init(_ entry: Entry, in storage: Storage, dataStart: Int) {
    name = entry.name
    dtype = entry.dtype
    shape = entry.shape
    // SAFETY: Header.init checked that start ... stop lies within the data, and the data within the storage.
    bytes = UnsafeRawBufferPointer(rebasing: storage.bytes[(dataStart + entry.start)..<(dataStart + entry.stop)])
    self.storage = storage
  }

  /// The number of elements.
  public var count: Int { bytes.count / dtype.size }

  /// The elements as 32-bit floats: F32 as they are, F16 and BF16 widened, which is exact.
  /// - Throws: `SafetensorsError` for another type.
  public func floats() throws(SafetensorsError) -> [Float] {
    guard dtype == .f32 || dtype == .f16 || dtype == .bf16 else {
      throw SafetensorsError(message: "tensor \"\(name)\" is \(dtype.rawValue), not F32, F16 or BF16")
    }
    let count = self.count
    return [Float](unsafeUninitializedCapacity: count) { out, written in
      // SAFETY: `out` has room for `count` floats, and all loads are unaligned ones within `bytes`.
      written = count
      switch dtype {
      case .f16: for i in 0..<count { out[i] = widenHalf(half(i)) }
      case .bf16: for i in 0..<count { out[i] = Float(bitPattern: UInt32(half(i)) << 16) }
      default: UnsafeMutableRawBufferPointer(out).copyMemory(from: bytes)
      }
    }
  }

  private func half(_ index: Int) -> UInt16 {
    UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self))
  }
}

/// Widens an IEEE 754 binary16 to binary32, exactly, without a branch for subnormal numbers.
@inline(__always)
private func widenHalf(_ half: UInt16) -> Float {
  let magnitude = UInt32(half & 0x7FFF) << 13
  // Multiplying by 2^112 changes the bias of the exponent from 15 to 127, and normalises subnormal numbers as well.
  var bits = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
  if half & 0x7C00 == 0x7C00 { bits = magnitude | 0x7F80_0000 }
  return Float(bitPattern: bits | UInt32(half & 0x8000) << 16)
}
