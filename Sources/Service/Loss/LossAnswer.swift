import Contrastive
import HTTP1
import JSON
import Safetensors
import SimilarityCore

/// The answer of `/loss` in either format.
struct LossAnswer {
  let result: LossResult
  let options: LossOptions
  let input: LossInput
  let returnsPerRow: Bool

  /// - Throws: ``Problem`` when a number is not finite.
  func response(_ type: MediaType) throws -> Response {
    switch type {
    case .json: Response(try writer())
    case .safetensors: Response(.safetensors, try archive())
    }
  }

  /// - Throws: ``Problem`` when a number is not finite.
  func json(withGradients: Bool = true) throws(Problem) -> [UInt8] { try writer(withGradients: withGradients).bytes }

  private func writer(withGradients: Bool = true) throws(Problem) -> JSONWriter {
    var writer = JSONWriter(reserving: withGradients ? estimatedBytes : 512)
    write(to: &writer, withGradients: withGradients)
    guard !writer.sawNonFinite else { throw .internalError }
    return writer
  }

  /// An estimate of the bytes that the JSON takes.
  private var estimatedBytes: Int {
    let gradients = result.gradients.map {
      $0.queries.values.count + ($0.keys?.values.count ?? 0) + ($0.negatives?.values.count ?? 0)
    }
    return 512 + 13 * ((gradients ?? 0) + (returnsPerRow ? result.perRow.count : 0))
  }

  private func write(to writer: inout JSONWriter, withGradients: Bool) {
    writer.object { writer in
      writer.member("loss", result.loss)
      summarise(to: &writer)
      if returnsPerRow {
        writer.key("per_row")
        result.perRow.withUnsafeBufferPointer { writer.floats($0) }
      }
      if withGradients, let gradients = result.gradients {
        writer.key("gradients")
        writer.object { write(gradients, to: &$0) }
      }
      if let diagnostics = result.diagnostics {
        writer.key("diagnostics")
        diagnostics.write(to: &writer)
      }
    }
  }

  /// Writes what both formats hold beside the rows.
  private func summarise(to writer: inout JSONWriter) {
    writer.member("objective", options.objective.rawValue)
    writer.member("rows", input.queries.rows)
    writer.member("candidates", result.candidates)
    writer.member("dim", input.queries.columns)
    if options.objective.options.contains(.temperature) { writer.member("temperature", options.temperature) }
    guard !result.excluded.isEmpty else { return }
    writer.key("excluded")
    writer.array { for row in result.excluded { $0.integer(row) } }
  }

  private func write(_ gradients: LossGradients, to writer: inout JSONWriter) {
    for (name, matrix) in [
      ("queries", gradients.queries), ("keys", gradients.keys), ("negatives", gradients.negatives),
    ] {
      guard let matrix else { continue }
      writer.key(name)
      let group = name == "negatives" ? negativesPerQuery : nil
      writer.rows(of: matrix, inGroupsOf: group)
    }
    if let value = gradients.temperature { writer.member("temperature", value) }
    if let value = gradients.bias { writer.member("bias", value) }
  }

  private var negativesPerQuery: Int? {
    if case .paired(_, let perQuery) = input.negatives { return perQuery }
    return nil
  }

  /// Tensors `loss`, `per_row`, `gradients.…`; the rest as JSON in the metadata.
  ///
  /// - Throws: ``Problem`` when a number is not finite.
  func archive() throws -> [UInt8] {
    var writer = SafetensorsWriter()
    try writer.add("loss", [], [Float(result.loss)])
    if returnsPerRow { try writer.add("per_row", [result.perRow.count], result.perRow) }
    if let gradients = result.gradients {
      try writer.add("gradients.queries", gradients.queries)
      if let matrix = gradients.keys { try writer.add("gradients.keys", matrix) }
      if let matrix = gradients.negatives {
        let shape =
          negativesPerQuery.map { [input.queries.rows, $0, matrix.columns] } ?? [matrix.rows, matrix.columns]
        try writer.add("gradients.negatives", shape, matrix.values)
      }
      if let value = gradients.temperature { try writer.add("gradients.temperature", [], [Float(value)]) }
      if let value = gradients.bias { try writer.add("gradients.bias", [], [Float(value)]) }
    }
    return writer.serialize(metadata: try metadata())
  }

  private func metadata() throws -> [String: String] {
    var writer = JSONWriter()
    writer.object { summarise(to: &$0) }
    var metadata: [String: String] = [:]
    for (name, value) in try JSONDocument(writer.bytes).root.members ?? [] {
      var text = JSONWriter()
      text.copy(value)
      metadata[name] = value.string ?? String(decoding: text.bytes, as: UTF8.self)
    }
    if let diagnostics = result.diagnostics {
      var text = JSONWriter()
      diagnostics.write(to: &text)
      guard !text.sawNonFinite else { throw Problem.internalError }
      metadata["diagnostics"] = String(decoding: text.bytes, as: UTF8.self)
    }
    return metadata
  }
}

extension SafetensorsWriter {
  fileprivate mutating func add(_ name: String, _ shape: [Int], _ values: [Float]) throws {
    guard values.isFinite else { throw Problem.internalError }
    try add(name: name, shape: shape, floats: values)
  }

  mutating func add(_ name: String, _ matrix: Matrix) throws {
    try add(name, [matrix.rows, matrix.columns], matrix.values)
  }
}

extension JSONWriter {
  /// [[…], …], or [[[…], …], …] in groups of so many rows.
  mutating func rows(of matrix: Matrix, inGroupsOf group: Int?) {
    array { writer in
      for index in 0..<matrix.rows {
        if let group, index % group == 0 { writer.beginArray() }
        matrix.withRow(index) { writer.floats($0) }
        if let group, index % group == group - 1 { writer.endArray() }
      }
    }
  }
}

extension LossDiagnostics {
  /// Writes an object of the diagnostics that are defined.
  func write(to writer: inout JSONWriter) {
    writer.object { writer in
      for (name, value) in [
        ("accuracy_top1", accuracyTop1), ("accuracy_top5", accuracyTop5), ("mean_reciprocal_rank", meanReciprocalRank),
        ("mutual_information_bound", mutualInformationBound), ("alignment", alignment),
        ("uniformity_queries", uniformityQueries), ("uniformity_keys", uniformityKeys),
        ("positive_similarity", positiveSimilarity), ("negative_similarity", negativeSimilarity),
        ("hardest_negative_similarity", hardestNegativeSimilarity), ("softmax_entropy", softmaxEntropy),
        ("perplexity", perplexity),
      ] {
        if let value { writer.member(name, value) }
      }
      guard let pairs = likelyFalseNegatives else { return }
      writer.key("likely_false_negatives")
      writer.array { writer in
        for pair in pairs {
          writer.array { for index in pair { $0.integer(index) } }
        }
      }
    }
  }
}
