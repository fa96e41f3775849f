import JSON
import Safetensors

/// A file of vectors whose number is known only when the last has been written. The head has room for any number and is written anew
/// at the end; until then the file has another name.
struct VectorOutput {
  /// The forms that a file's name asks for by its end.
  enum Form: String, CaseIterable {
    case safetensors
    case npy

    init?(path: String) {
      guard let form = Form.allCases.first(where: { path.hasSuffix(".\($0.rawValue)") }) else { return nil }
      self = form
    }
  }

  private let form: Form
  private let path: String
  private let dimension: Int
  private let model: String
  private let fingerprint: String
  private let file: SystemFile
  private(set) var rows: Int

  private var rowBytes: Int { dimension * MemoryLayout<Float>.stride }

  /// The name of the file until it is whole.
  static func part(of path: String) -> String { path + ".part" }

  /// - Parameter rows: rows that an earlier run has written and that stay; nil begins anew.
  /// - Throws: ``CommandError``, also when fewer rows are there.
  init(
    _ form: Form, _ path: String, dimension: Int, model: String, fingerprint: String, rows: Int?
  ) throws(CommandError) {
    self.form = form
    self.path = path
    self.dimension = dimension
    self.model = model
    self.fingerprint = fingerprint
    let part = Self.part(of: path)
    file = rows == nil ? try SystemFile.writing(part) : try SystemFile.updating(part)
    self.rows = rows ?? 0
    let head = try head()
    let size = head.count + self.rows * rowBytes
    if rows != nil, let found = file.size, found < size {
      throw CommandError("\(part) has \(found) bytes and should have \(size)")
    }
    try file.write(head, at: 0)
    try file.end(at: size)
  }

  mutating func append(_ bytes: [UInt8]) throws(CommandError) {
    try file.write(bytes[...])
    rows += bytes.count / rowBytes
  }

  /// Waits until the rows are on the disk.
  func flush() throws(CommandError) { try file.flush() }

  /// Gives the file its head and its name.
  func finish() throws(CommandError) {
    try file.write(try head(), at: 0)
    try file.publish(as: path)
  }

  private func head() throws(CommandError) -> [UInt8] {
    switch form {
    case .npy: npyHead
    case .safetensors: try safetensorsHead(rows)
    }
  }

  /// The head of version 1.0 of NumPy's format (NEP 1).
  private var npyHead: [UInt8] {
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(dimension)), }"
    let magic: [UInt8] = [0x93] + "NUMPY".utf8 + [1, 0, 118, 0]
    return magic + text.utf8 + [UInt8](repeating: 0x20, count: 117 - text.utf8.count) + [0x0A]
  }

  /// The head with room for numbers of any length: it is as long as without rows and 48 bytes more.
  private func safetensorsHead(_ rows: Int) throws(CommandError) -> [UInt8] {
    let metadata = [("model", model), ("fingerprint", fingerprint)].map { name, text in
      var writer = JSONWriter()
      writer.string(text)
      return (key: name, value: Array(writer.bytes.dropFirst().dropLast()))
    }
    func head(_ rows: Int, room: Int) throws(SafetensorsError) -> [UInt8] {
      Array(
        try SafetensorsHead.pieces(
          name: "embeddings", dtype: .f32, shape: [rows, dimension], escaped: metadata, room: room
        ).joined())
    }
    do throws(SafetensorsError) {
      let length = try head(0, room: 48).count
      return try head(rows, room: length - head(rows, room: 0).count)
    } catch {
      throw CommandError("\(path): \(error.message)")
    }
  }
}
