import JSON
import Platform
import SimilarityCore

/// How the vectors of tokens become one vector.
public enum Pooling: String, Sendable, CaseIterable {
  /// The vector of the first token, `[CLS]`.
  case cls
  /// The maximum of each value.
  case max
  case mean
  /// The sum divided by the square root of the number of tokens.
  case meanSquareRoot = "mean_sqrt_len_tokens"
  /// The mean with weights 1, 2, 3 and so on (Muennighoff 2022, arXiv 2202.08904).
  case weightedMean = "weightedmean"
  case lastToken = "lasttoken"

  /// The names of several poolings as one.
  public static func name(of poolings: [Pooling]) -> String { poolings.map(\.rawValue).joined(separator: "+") }

  /// The key in files of Sentence Transformers that have a flag for each.
  package var flag: String {
    switch self {
    case .cls: "pooling_mode_cls_token"
    case .max: "pooling_mode_max_tokens"
    case .mean: "pooling_mode_mean_tokens"
    case .meanSquareRoot: "pooling_mode_mean_sqrt_len_tokens"
    case .weightedMean: "pooling_mode_weightedmean_tokens"
    case .lastToken: "pooling_mode_lasttoken"
    }
  }

  /// The poolings of a Pooling module's `config.json`, whose results stand one after another: `pooling_mode`, a name or
  /// a list of names, or else a flag for each.
  ///
  /// - Throws: ``FieldError`` for a pooling that is not supported, and where there is none.
  static func read(_ file: JSONField) throws(FieldError) -> [Pooling] {
    if let mode = file.optional("pooling_mode") {
      let names = allCases.map(\.rawValue)
      let fields = mode.value.string == nil ? try mode.elements() : [mode]
      var poolings: [Pooling] = []
      for field in fields {
        if let pooling = Pooling(rawValue: try field.string(oneOf: names)) { poolings.append(pooling) }
      }
      guard !poolings.isEmpty else { throw mode.refused("names no pooling") }
      return poolings
    }
    for (key, value) in file.value.members ?? [] where key.hasPrefix("pooling_mode") && value.bool == true {
      guard allCases.contains(where: { $0.flag == key }) else {
        throw file.refused(key, "is not supported; supported: \(allCases.map(\.flag).sorted().joined(separator: ", "))")
      }
    }
    let poolings = allCases.filter { file.value[$0.flag]?.bool == true }
    guard !poolings.isEmpty else { throw file.refused("pooling_mode", "at least one mode must be true") }
    return poolings
  }

  /// The row that comes first where those before `unpooled` are left out, since at least one of the rows is pooled.
  static func first(_ unpooled: Int, of rows: Int) -> Int { min(Swift.max(unpooled, 0), rows - 1) }

  /// Pools the vectors of one sequence, [rows, out.count], with at least one row.
  ///
  /// - Parameter first: the row that comes first; those before it are left out, but the weights of ``weightedMean`` count
  ///   from row 0, as in Sentence Transformers. At least one row is pooled. Without rows, `out` is left as it is.
  fileprivate func pool(
    _ states: UnsafePointer<Float>, rows: Int, from first: Int = 0, _ kernels: Kernels,
    into out: UnsafeMutableBufferPointer<Float>
  ) {
    guard rows > 0 else { return }
    let first = Self.first(first, of: rows)
    let (pooled, count) = (states + first * out.count, rows - first)
    switch self {
    case .cls: _ = out.update(from: UnsafeBufferPointer(start: pooled, count: out.count))
    case .max: kernels.maximum(pooled, rows: count, into: out)
    case .mean: kernels.mean(pooled, rows: count, into: out)
    case .meanSquareRoot:
      kernels.mean(pooled, rows: count, into: out)
      let factor = Float(count).squareRoot()
      for index in out.indices { out[index] *= factor }
    case .weightedMean:
      let total = (Float(rows) * Float(rows + 1) - Float(first) * Float(first + 1)) / 2
      for index in out.indices {
        var sum: Float = 0
        for row in first..<rows { sum += Float(row + 1) * states[row * out.count + index] }
        out[index] = sum / total
      }
    case .lastToken:
      _ = out.update(from: UnsafeBufferPointer(start: states + (rows - 1) * out.count, count: out.count))
    }
  }
}

extension [Pooling] {
  /// Pools the vectors of each sequence into a row, in which the results of these poolings stand one after another.
  ///
  /// - Parameters:
  ///   - states: the vectors of all sequences one after another, [sum of counts, width].
  ///   - count: the number of vectors of a sequence; by default one for each token.
  func rows(
    of sequences: [TokenSequence], _ states: UnsafePointer<Float>, width: Int, _ kernels: Kernels,
    count: (TokenSequence) -> Int = { $0.count }
  ) -> Matrix {
    Matrix(rows: sequences.count, columns: width * self.count) { out in
      var (states, start) = (states, 0)
      for sequence in sequences {
        let rows = count(sequence)
        for pooling in self {
          let part = UnsafeMutableBufferPointer(rebasing: out[start..<start + width])
          pooling.pool(states, rows: rows, from: sequence.unpooled, kernels, into: part)
          start += width
        }
        states += rows * width
      }
    }
  }
}
