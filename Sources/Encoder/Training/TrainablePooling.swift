import SimilarityCore

/// The poolings of a model, whose results stand one after another in a row. They have no parameters.
struct TrainablePooling: Sendable {
  let poolings: [Pooling]
  let width: Int

  func forward(_ rows: TokenRows, _ states: UnsafePointer<Float>, _ kernels: Kernels) -> Matrix {
    poolings.rows(of: rows.sequences, states, width: width, kernels)
  }

  /// The rows of the largest values, counted from the first of each text: [texts, width]; empty where no pooling needs
  /// them.
  func largest(_ rows: TokenRows, _ states: UnsafePointer<Float>) -> [Int32] {
    guard poolings.contains(.max) else { return [] }
    var found = [Int32](repeating: 0, count: rows.sequences.count * width)
    for (text, sequence) in rows.sequences.enumerated() {
      let start = states + rows.starts[text] * width
      let first = Pooling.first(sequence.unpooled, of: sequence.count)
      for column in 0..<width {
        var best = first
        for row in first..<sequence.count where start[row * width + column] > start[best * width + column] {
          best = row
        }
        found[text * width + column] = Int32(best)
      }
    }
    return found
  }

  /// Writes the derivatives by the hidden states, [tokens, width].
  ///
  /// - Parameters:
  ///   - pooled: the derivatives by the pooled rows.
  ///   - largest: of the forward pass.
  func backward(
    _ pooled: Matrix, _ rows: TokenRows, largest: [Int32], into states: UnsafeMutablePointer<Float>
  ) {
    states.update(repeating: 0, count: rows.count * width)
    pooled.values.withUnsafeBufferPointer { all in
      guard var dy = all.baseAddress else { return }
      for (text, sequence) in rows.sequences.enumerated() {
        let start = states + rows.starts[text] * width
        for pooling in poolings {
          switch pooling {
          case .max:
            for column in 0..<width {
              start[Int(largest[text * width + column]) * width + column] += dy[column]
            }
          case .cls, .lastToken, .mean, .meanSquareRoot, .weightedMean:
            add(
              dy, pooling, first: Pooling.first(sequence.unpooled, of: sequence.count), count: sequence.count, to: start
            )
          }
          dy += width
        }
      }
    }
  }

  /// Adds what a pooling gives each row of a text: dy times the row's weight.
  private func add(
    _ dy: UnsafePointer<Float>, _ pooling: Pooling, first: Int, count: Int, to states: UnsafeMutablePointer<Float>
  ) {
    let pooled = Float(count - first)
    let total = (Float(count) * Float(count + 1) - Float(first) * Float(first + 1)) / 2
    let chosen = pooling == .cls ? first..<first + 1 : pooling == .lastToken ? count - 1..<count : first..<count
    for row in chosen {
      let weight: Float =
        switch pooling {
        case .mean: 1 / pooled
        case .meanSquareRoot: 1 / pooled.squareRoot()
        case .weightedMean: Float(row + 1) / total
        case .cls, .lastToken, .max: 1
        }
      let target = states + row * width
      for column in 0..<width { target[column] += weight * dy[column] }
    }
  }
}
