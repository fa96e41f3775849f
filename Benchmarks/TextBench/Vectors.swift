import JSON
import Safetensors

/// 1,024 vectors of 384 values and of length 1, and how fast they are written in each form of an answer. The rates are
/// of the bytes that are made.
enum Vectors {
  private static let rows = 1024
  private static let columns = 384

  static func measurements() -> [Measurement] {
    let values = self.values()
    func measurement(_ name: String, _ work: @escaping () throws -> Int) -> Measurement {
      Measurement(name: name, unit: "MB/s", asked: 400, work: work)
    }
    func json(_ write: @escaping (inout JSONWriter, UnsafeBufferPointer<Float>) -> Void) -> () -> Int {
      return {
        var writer = JSONWriter(reserving: values.count * 13 + 64)
        writer.beginArray()
        values.withUnsafeBufferPointer { all in
          for row in 0..<rows {
            write(&writer, UnsafeBufferPointer(rebasing: all[row * columns..<(row + 1) * columns]))
          }
        }
        writer.endArray()
        return writer.bytes.count
      }
    }
    return [
      measurement("vectors, JSON", json { $0.floats($1) }),
      measurement("vectors, base64 in JSON", json { $0.base64($1) }),
      measurement("vectors, safetensors") {
        var archive = SafetensorsWriter()
        try archive.add(name: "embeddings", shape: [rows, columns], floats: values)
        return archive.serialize().count
      },
    ]
  }

  /// Rows of nearly normally distributed values (each the sum of twelve uniform ones), divided by the length of the row,
  /// as embeddings are.
  private static func values() -> [Float] {
    var numbers = Numbers()
    var values: [Float] = []
    for _ in 0..<rows {
      let row = (0..<columns).map { _ in
        (0..<12).reduce(Float(-6)) { sum, _ in sum + Float(numbers.next() >> 40) * 0x1p-24 }
      }
      let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      values += row.map { $0 / length }
    }
    return values
  }
}
