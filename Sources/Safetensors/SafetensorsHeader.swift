import JSON
import Platform

/// Why bytes cannot be read as safetensors.
public struct SafetensorsError: Error, Sendable {
  public enum Cause: Sendable, Equatable {
    /// The bytes are something else altogether, for instance a file of another format or text, or there are none.
    case otherFormat
    /// The bytes are safetensors, but damaged, or the tensor that was asked for is missing or has the wrong type.
    case malformed
    /// The system could not open or map the file, with this error number. The content is not at fault.
    case system(Int32)
  }

  public let cause: Cause
  /// What is wrong. It names the file and the tensor where there is one.
  public let message: String

  public init(_ cause: Cause = .malformed, message: String) {
    self.cause = cause
    self.message = message
  }

  /// Whether there was not enough memory to map the file.
  public var isOutOfMemory: Bool { cause == .system(ENOMEM) }

  init(_ cause: Cause, _ message: String) { self.init(cause, message: message) }
}

/// One tensor as the header describes it; offsets are in bytes from the start of the data.
struct Entry: Sendable {
  var name: String
  var dtype: DType
  var shape: [Int]
  var start: Int
  var stop: Int
}

/// The checked header of a file, which consists of 8 bytes of length (little-endian), JSON of that length, and the
/// data.
struct Header: Sendable {
  /// The longest header, in bytes, that the format's reference implementation reads.
  static let maximumLength = 100_000_000

  var entries: [Entry] = []
  var metadata: [String: String] = [:]
  var dataStart: Int

  init(_ file: UnsafeRawBufferPointer) throws(SafetensorsError) {
    if let format = OtherFormat.name(of: file) { throw SafetensorsError(.otherFormat, "it is \(format)") }
    guard file.count >= 8 else {
      throw SafetensorsError(.otherFormat, "\(file.count) bytes are too few for a header")
    }
    let stated = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    // The first bytes of another format give a meaningless number here, so the number is not shown.
    guard stated <= UInt64(Self.maximumLength) else {
      throw SafetensorsError(
        .otherFormat, "its first 8 bytes do not state a header length within the limit of \(Self.maximumLength) bytes")
    }
    guard file.count == 8 || file[8] == 0x7B else {
      throw SafetensorsError(.otherFormat, "the header does not start with {")
    }
    let length = Int(stated)
    guard length <= file.count - 8 else {
      throw SafetensorsError(message: "a header of \(length) bytes does not fit in \(file.count) bytes")
    }
    dataStart = 8 + length
    let text = file[8..<dataStart]
    guard text.first == 0x7B else { throw SafetensorsError(.otherFormat, "the header does not start with {") }
    let root: JSONValue
    do {
      root = try JSONDocument(Array(text), maxDepth: 8).root
    } catch {
      throw SafetensorsError(
        error.isOutOfMemory ? .system(ENOMEM) : .malformed, message: error.describing("the header is"))
    }
    for (name, value) in root.members ?? [] {
      if name == "__metadata__" {
        metadata = try Self.metadata(value)
      } else {
        entries.append(try Self.entry(name, value))
      }
    }
    try checkLayout(dataCount: file.count - dataStart)
  }

  /// The tensors must cover the data from its first byte to its last, without gaps and without overlaps.
  private func checkLayout(dataCount: Int) throws(SafetensorsError) {
    var covered = 0
    for entry in entries.sorted(by: { ($0.start, $0.stop) < ($1.start, $1.stop) }) {
      guard entry.start == covered else {
        throw SafetensorsError(
          message: "tensor \"\(entry.name)\" starts at byte \(entry.start) of the data, expected \(covered)")
      }
      covered = entry.stop
    }
    guard covered == dataCount else {
      throw SafetensorsError(message: "the tensors cover \(covered) bytes of data, but there are \(dataCount)")
    }
  }

  private static func metadata(_ value: JSONValue) throws(SafetensorsError) -> [String: String] {
    guard let members = value.members else { throw SafetensorsError(message: "__metadata__ is not an object") }
    var result: [String: String] = [:]
    for (key, value) in members {
      guard let text = value.string else {
        throw SafetensorsError(message: "__metadata__ value of \"\(key)\" is not a string")
      }
      result[key] = text
    }
    return result
  }

  private static func entry(_ name: String, _ value: JSONValue) throws(SafetensorsError) -> Entry {
    guard let type = value["dtype"]?.string else {
      throw SafetensorsError(message: "tensor \"\(name)\" has no dtype")
    }
    guard let dtype = DType(rawValue: type) else {
      throw SafetensorsError(message: "tensor \"\(name)\" has the unknown dtype \"\(type)\"")
    }
    guard let shape = naturals(value["shape"]) else {
      throw SafetensorsError(message: "tensor \"\(name)\": shape is not an array of integers of at least 0")
    }
    guard let offsets = naturals(value["data_offsets"]), offsets.count == 2, offsets[0] <= offsets[1] else {
      throw SafetensorsError(message: "tensor \"\(name)\": data_offsets is not a pair of integers, 0 ≤ start ≤ end")
    }
    guard let size = byteCount(of: shape, dtype) else {
      throw SafetensorsError(message: "tensor \"\(name)\": the shape \(shape) is too large")
    }
    guard size == offsets[1] - offsets[0] else {
      throw SafetensorsError(
        message: "tensor \"\(name)\" needs \(size) bytes for \(type)\(shape), but has \(offsets[1] - offsets[0])")
    }
    return Entry(name: name, dtype: dtype, shape: shape, start: offsets[0], stop: offsets[1])
  }

  private static func naturals(_ value: JSONValue?) -> [Int]? {
    guard let elements = value?.elements else { return nil }
    var result: [Int] = []
    for element in elements {
      guard let number = element.integer, number >= 0 else { return nil }
      result.append(number)
    }
    return result
  }
}

/// Files that are often taken for safetensors, recognised by their first bytes.
private enum OtherFormat {
  private static let signatures: [(bytes: [UInt8], name: String)] = [
    ([0x93] + Array("NUMPY".utf8), "a NumPy array (.npy)"),
    (Array("PK\u{3}\u{4}".utf8), "a zip archive, such as .npz or a PyTorch checkpoint"),
    ([0x1F, 0x8B], "compressed with gzip"),
    (Array("GGUF".utf8), "a GGUF model"),
    (Array("PAR1".utf8), "a Parquet table"),
    ([0x89, 0x48, 0x44, 0x46], "an HDF5 file"),
  ]

  /// What the file is, as a phrase that follows "it is"; nil when it is not recognised, as safetensors never is.
  ///
  /// The first 8 bytes of safetensors are a length of at most ``Header/maximumLength``, so that bytes 4 to 7 are zero.
  /// Only files that break this rule are looked at, so that a length that happens to look like a signature is not
  /// mistaken for one.
  static func name(of file: UnsafeRawBufferPointer) -> String? {
    guard file.prefix(8).dropFirst(4).contains(where: { $0 != 0 }) else { return nil }
    if let known = signatures.first(where: { file.starts(with: $0.bytes) }) { return known.name }
    let beginning = file.prefix(64)
    guard beginning.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || (0x09...0x0D).contains($0) || $0 >= 0x80 }),
      // The last character may be cut off.
      (0...3).contains(where: { String(validating: beginning.dropLast($0), as: UTF8.self) != nil })
    else { return nil }
    let first = beginning.first { $0 > 0x20 }
    return first == 0x7B || first == 0x5B ? "JSON" : "text"
  }
}
