import JSON

/// One tensor as the header states it; offsets are relative to the data.
struct Entry: Sendable {
  var name: String
  var dtype: DType
  var shape: [Int]
  var start: Int
  var stop: Int
}

/// The checked header: 8 bytes of length (little-endian), JSON, then the data.
struct Header: Sendable {
  /// Longest header that the format's reference implementation reads.
  static let maximumLength = 100_000_000

  var entries: [Entry] = []
  var metadata: [String: String] = [:]
  var dataStart: Int

  init(_ file: UnsafeRawBufferPointer) throws(SafetensorsError) {
    guard file.count >= 8 else { throw SafetensorsError(message: "\(file.count) bytes are too few for a header") }
    let stated = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard stated <= UInt64(Self.maximumLength) else {
      throw SafetensorsError(message: "a header of \(stated) bytes is over the limit of \(Self.maximumLength)")
    }
    let length = Int(stated)
    guard length <= file.count - 8 else {
      throw SafetensorsError(message: "a header of \(length) bytes does not fit in \(file.count) bytes")
    }
    dataStart = 8 + length
    let text = file[8..<dataStart]
    guard text.first == 0x7B else { throw SafetensorsError(message: "the header does not start with {") }
    let root: JSONValue
    do {
      root = try JSONDocument(Array(text), maxDepth: 8).root
    } catch {
      let place = error.byteOffset.map { " at byte \($0) of the header" } ?? ""
      throw SafetensorsError(message: "the header is not valid JSON: \(error.message)\(place)")
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
        throw SafetensorsError(message: "tensor \"\(entry.name)\" starts at \(entry.start), expected \(covered)")
      }
      covered = entry.stop
    }
    guard covered == dataCount else {
      throw SafetensorsError(message: "the tensors cover \(covered) bytes of data, the file has \(dataCount)")
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
      throw SafetensorsError(message: "tensor \"\(name)\": shape is not a list of natural numbers")
    }
    guard let offsets = naturals(value["data_offsets"]), offsets.count == 2, offsets[0] <= offsets[1] else {
      throw SafetensorsError(message: "tensor \"\(name)\": data_offsets is not a pair of rising natural numbers")
    }
    guard let size = byteCount(of: shape, dtype) else {
      throw SafetensorsError(message: "tensor \"\(name)\": the shape \(shape) is too large")
    }
    guard size == offsets[1] - offsets[0] else {
      throw SafetensorsError(
        message: "tensor \"\(name)\" needs \(size) bytes for \(type)\(shape), its range has \(offsets[1] - offsets[0])")
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
