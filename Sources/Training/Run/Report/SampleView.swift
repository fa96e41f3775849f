import JSON
import Platform
import SimilarityCore

/// How a few pairs look to a model: the similarities of all their queries and documents, and what is nearest to some queries.
/// It is taken before the first step and behind the last one, so that a person sees what training has changed.
package struct SampleView: Sendable, Equatable {
  package struct Neighbor: Sendable, Equatable {
    /// The row of the document.
    package var document: Int
    package var cosine: Float
  }

  /// The cosine of query i and the document of query j, for the first queries of the sample.
  package var similarities: [[Float]]
  /// The nearest documents of the first queries, the nearest first.
  package var neighbors: [[Neighbor]]

  /// The queries in the matrix, those whose neighbours are shown, and the neighbours of each.
  package static let matrixSize = 20
  package static let shownQueries = 8
  package static let shownNeighbors = 5

  init(similarities: [[Float]], neighbors: [[Neighbor]]) {
    self.similarities = similarities
    self.neighbors = neighbors
  }

  /// - Parameters:
  ///   - queries: [queries, d], of any length.
  ///   - documents: [documents, d]; among them are the neighbours.
  ///   - own: for each query the row of its document.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  package init(queries: Matrix, documents: Matrix, own: [Int]) throws(ProductFailure) {
    let count = min(Self.matrixSize, queries.rows)
    let documents = UnitRows(documents)
    let cosines = FloatBuffer(count * documents.count)
    try UnitRows(queries.rows(Array(0..<count))).cosines(of: 0..<count, with: documents, into: cosines)
    let rows = (0..<count).map { cosines[$0 * documents.count..<($0 + 1) * documents.count] }
    similarities = rows.map { row in own.prefix(count).map { row[$0] } }
    neighbors = rows.prefix(Self.shownQueries).map { row in
      // Equal cosines stand in the order of rows.
      row.enumerated().sorted { ($1.element, $0.offset) < ($0.element, $1.offset) }.prefix(Self.shownNeighbors)
        .map { Neighbor(document: $0.offset, cosine: $0.element) }
    }
  }
}

extension SampleView {
  /// The view as JSON: `{"similarities": [[…]], "neighbors": [[[document, cosine], …]]}`.
  var json: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("similarities")
    json.beginArray()
    for row in similarities { row.withUnsafeBufferPointer { json.floats($0) } }
    json.endArray()
    json.key("neighbors")
    json.beginArray()
    for list in neighbors {
      json.beginArray()
      for neighbor in list {
        json.beginArray()
        json.integer(neighbor.document)
        json.number(neighbor.cosine)
        json.endArray()
      }
      json.endArray()
    }
    json.endArray()
    json.endObject()
    return json.bytes
  }

  /// - Returns: nil for a text that is not such a view.
  init?(json bytes: [UInt8]) {
    guard let root = try? JSONDocument(bytes).root,
      let rows = root["similarities"]?.elements, let lists = root["neighbors"]?.elements
    else { return nil }
    similarities = rows.map { row in (row.elements ?? []).compactMap { $0.double.map { Float($0) } } }
    neighbors = lists.map { list in
      (list.elements ?? []).compactMap { entry in
        guard let pair = entry.elements, pair.count == 2, let document = pair[0].integer, let cosine = pair[1].double
        else { return nil }
        return Neighbor(document: document, cosine: Float(cosine))
      }
    }
  }

  /// Writes the view to a file, which is whole or as it was before.
  ///
  /// - Throws: ``RunError`` naming the file.
  package func write(_ name: String, in folder: String) throws(RunError) {
    let path = "\(folder)/\(name)"
    let reason = json.withUnsafeBytes { bytes in NewFile.write(path, in: folder) { $0(bytes) } }
    if let reason { throw RunError("cannot write \(path): \(reason)") }
  }

  /// The view in a file; nil where there is none that can be read. A report then shows the model behind training alone.
  package static func read(_ path: String) -> SampleView? {
    (try? WholeFile.read(path)).flatMap { SampleView(json: $0) }
  }
}
