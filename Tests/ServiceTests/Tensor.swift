import Foundation

/// An F32 tensor, with a reader and a writer of safetensors that share no code with the service's.
struct Tensor: Equatable {
  let name: String
  let shape: [Int]
  let values: [Float]

  init(_ name: String, _ shape: [Int], _ values: [Float]) {
    self.name = name
    self.shape = shape
    self.values = values
  }

  static func file(_ tensors: [Tensor], _ metadata: [String: String]) -> [UInt8] {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var data: [UInt8] = []
    for tensor in tensors {
      let start = data.count
      tensor.values.withUnsafeBytes { data += $0 }
      let entry: [String: Any] = ["dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.count]]
      header[tensor.name] = entry
    }
    let text = (try? JSONSerialization.data(withJSONObject: header)) ?? Data()
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text + data
  }

  static func read(_ bytes: [UInt8]) -> (tensors: [String: Tensor], metadata: [String: String])? {
    guard bytes.count >= 8 else { return nil }
    let start = 8 + bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard start <= bytes.count,
      let header = try? JSONSerialization.jsonObject(with: Data(bytes[8..<start])) as? [String: Any]
    else { return nil }
    var tensors: [String: Tensor] = [:]
    for (name, entry) in header where name != "__metadata__" {
      guard let entry = entry as? [String: Any], entry["dtype"] as? String == "F32",
        let shape = entry["shape"] as? [Int], let range = entry["data_offsets"] as? [Int], range.count == 2
      else { return nil }
      let values = bytes[start + range[0]..<start + range[1]].withUnsafeBytes { part in
        (0..<part.count / 4).map { part.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
      }
      tensors[name] = Tensor(name, shape, values)
    }
    return (tensors, header["__metadata__"] as? [String: String] ?? [:])
  }
}
