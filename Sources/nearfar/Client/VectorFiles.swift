import JSON
import Platform
import Safetensors

/// A safetensors file of vectors, as `nearfar export` writes it or with a tensor alone. The vectors stay in the mapped file.
struct ImportFile {
  let vectors: TensorView
  let rows: Int
  let dimension: Int
  /// Properties of the exported collection, where the file states them.
  let metric: String?
  let model: String?
  let recallTarget: Double?
  private let ids: [JSONValue]?
  private let metadata: [JSONValue]?
  private let texts: [JSONValue]?
  private let firstRow: Int

  /// - Parameter firstRow: the number of rows in the files before this one. Without ids, rows are counted from there.
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
      throw bad("there is no tensor 'vectors', nor a single tensor of another name")
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

  /// The id of a row; its number when the file has no ids.
  func id(_ row: Int) -> String { ids.map { $0[row].string ?? "" } ?? String(firstRow + row) }

  /// Checks what the service would refuse, so that no collection is made for rows that cannot be stored.
  ///
  /// - Parameter isCosine: rows of zeros are refused as well, since they have no direction.
  /// - Throws: ``CommandError`` naming the row.
  func check(_ range: Range<Int>, isCosine: Bool) throws(CommandError) {
    for row in range {
      if let ids, !(1...512).contains(ids[row].string?.utf8.count ?? 0) {
        throw CommandError("row \(row): ids: must be a string of 1 to 512 bytes")
      }
      let (isFinite, isZero) = values(row)
      guard isFinite else { throw CommandError("row \(row): vectors: holds a value that is not finite") }
      guard !isCosine || !isZero else { throw CommandError("row \(row): vectors: a vector of zeros has no direction") }
    }
  }

  private func values(_ row: Int) -> (isFinite: Bool, isZero: Bool) {
    // Infinities and NaNs are the values whose exponent is all ones.
    let (magnitude, exponent): (UInt32, UInt32) =
      switch vectors.dtype {
      case .f16: (0x7FFF, 0x7C00)
      case .bf16: (0x7FFF, 0x7F80)
      default: (0x7FFF_FFFF, 0x7F80_0000)
      }
    let size = vectors.dtype.size
    var (isFinite, isZero) = (true, true)
    for offset in (row * dimension)..<((row + 1) * dimension) {
      // SAFETY: unaligned loads within `vectors.bytes`, which holds `rows` × `dimension` elements.
      let bits =
        size == 2
        ? UInt32(UInt16(littleEndian: vectors.bytes.loadUnaligned(fromByteOffset: offset * 2, as: UInt16.self)))
        : UInt32(littleEndian: vectors.bytes.loadUnaligned(fromByteOffset: offset * 4, as: UInt32.self))
      if bits & exponent == exponent { isFinite = false }
      if bits & magnitude != 0 { isZero = false }
    }
    return (isFinite, isZero)
  }

  /// The body of `PUT /collections/{name}/points` for some rows.
  func body(_ range: Range<Int>) throws(CommandError) -> [UInt8] {
    var lists: [String: String] = [:]
    for (name, values) in [("ids", ids), ("metadata", metadata), ("texts", texts)] {
      guard values != nil || name == "ids" else { continue }
      var writer = JSONWriter()
      writer.beginArray()
      for row in range {
        if let values { writer.copy(values[row]) } else { writer.string(id(row)) }
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

/// The names of an export's several files: `out-00001-of-00003.safetensors` and so on for `out.safetensors`, as sharded
/// models are named.
struct ShardNames {
  private let folder: String
  private let base: String
  private let ending: String

  init(_ path: String) {
    let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    folder = String(path.dropLast(name.count))
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    base = String(name[..<dot])
    ending = String(name[dot...])
  }

  /// - Parameter number: from 1 to `count`.
  func path(_ number: Int, of count: Int) -> String {
    "\(folder)\(base)-\(Self.digits(number))-of-\(Self.digits(count))\(ending)"
  }

  /// The files that exist, in order.
  ///
  /// - Returns: an empty list when there is none.
  /// - Throws: ``CommandError`` when one of them is missing, or when there are files of several exports.
  func found() throws(CommandError) -> [String] {
    let names = Folder.names(in: folder.isEmpty ? "." : folder) ?? []
    let counts = Set(names.compactMap(count)).sorted()
    guard let count = counts.first else { return [] }
    let paths = (1...count).map { path($0, of: count) }
    guard counts.count == 1 else {
      throw CommandError(
        "\(counts.map { path(1, of: $0) }.joined(separator: " and ")) belong to different exports; remove the files of one of them"
      )
    }
    let here = Set(names.map { folder + $0 })
    if let missing = paths.first(where: { !here.contains($0) }) {
      throw CommandError("\(missing) is missing, although other files of that export exist")
    }
    return paths
  }

  /// How many files there are according to the name of one; nil for any other name.
  private func count(_ name: String) -> Int? {
    guard name.hasPrefix("\(base)-"), name.hasSuffix(ending) else { return nil }
    let parts = name.dropFirst(base.count + 1).dropLast(ending.count).split(separator: "-")
    guard parts.count == 3, parts[1] == "of", let number = Int(parts[0]), let count = Int(parts[2]),
      count > 0, (1...count).contains(number), folder + name == path(number, of: count)
    else { return nil }
    return count
  }

  /// Five digits, more for more files.
  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }
}
