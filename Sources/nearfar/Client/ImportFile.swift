import JSON
import Safetensors

/// A safetensors file of vectors, as `nearfar export` writes it or with a tensor alone. The vectors are mapped.
struct ImportFile {
  let vectors: TensorView
  let rows: Int
  let dimension: Int
  /// What the collection was, where the file says so.
  let metric: String?
  let model: String?
  let recallTarget: Double?
  private let ids: [JSONValue]?
  private let metadata: [JSONValue]?
  private let texts: [JSONValue]?
  private let firstRow: Int

  /// - Parameter firstRow: rows of files before this one; ids of a file that has none count on.
  init(_ path: String, firstRow: Int) throws(CommandError) {
    self.firstRow = firstRow
    func bad(_ what: String) -> CommandError { CommandError("\(path): \(what)") }
    let archive: SafetensorsArchive
    do throws(SafetensorsError) {
      archive = try SafetensorsArchive(memoryMapping: path)
    } catch {
      throw CommandError(error.message)
    }
    let only = archive.names.count == 1 ? archive.names.first : nil
    guard let tensor = archive.tensor("vectors") ?? only.flatMap(archive.tensor) else {
      throw bad("there is no tensor 'vectors' and not a single one")
    }
    guard [.f32, .f16, .bf16].contains(tensor.dtype), tensor.shape.count == 2, tensor.shape[1] > 0 else {
      throw bad("the tensor '\(tensor.name)' is \(tensor.dtype.rawValue)\(tensor.shape), not rows of F32, F16 or BF16")
    }
    vectors = tensor
    rows = tensor.shape[0]
    dimension = tensor.shape[1]
    let count = rows
    func list(_ name: String) throws(CommandError) -> [JSONValue]? {
      guard let text = archive.metadata[name] else { return nil }
      guard let value = try? JSONDocument(Array(text.utf8), maxDepth: 1024).root, let elements = value.elements else {
        throw bad("'\(name)' in __metadata__ is not a JSON array")
      }
      guard elements.count == count else { throw bad("'\(name)' has \(elements.count) entries for \(count) rows") }
      return elements
    }
    ids = try list("ids")
    metadata = try list("metadata")
    texts = try list("texts")
    let collection = archive.metadata["collection"].flatMap { try? JSONDocument(Array($0.utf8)).root }
    metric = collection?["metric"]?.string
    model = collection?["model"]?.string
    recallTarget = collection?["recall_target"]?.double
  }

  /// The body of `PUT /collections/{name}/points` for some rows.
  func body(_ range: Range<Int>) throws(CommandError) -> [UInt8] {
    var lists: [String: String] = [:]
    for (name, values) in [("ids", ids), ("metadata", metadata), ("texts", texts)] {
      guard values != nil || name == "ids" else { continue }
      var writer = JSONWriter()
      writer.beginArray()
      for row in range {
        // Without ids, rows are counted from 0.
        if let values { writer.copy(values[row]) } else { writer.string(String(firstRow + row)) }
      }
      writer.endArray()
      lists[name] = String(decoding: writer.bytes, as: UTF8.self)
    }
    if let model {
      var writer = JSONWriter()
      writer.beginObject()
      writer.key("model")
      writer.string(model)
      writer.endObject()
      lists["collection"] = String(decoding: writer.bytes, as: UTF8.self)
    }
    let width = dimension * vectors.dtype.size
    let bytes = UnsafeRawBufferPointer(rebasing: vectors.bytes[(range.lowerBound * width)..<(range.upperBound * width)])
    do throws(SafetensorsError) {
      var archive = SafetensorsWriter()
      // SAFETY: the mapping lives as long as `vectors`, and the bytes are copied.
      try archive.add(name: "vectors", dtype: vectors.dtype, shape: [range.count, dimension], bytes: bytes)
      return archive.serialize(metadata: lists)
    } catch {
      throw CommandError(error.message)
    }
  }
}
