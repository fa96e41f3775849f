import SimilarityCore

/// The sum of a token's vectors by word, position and type, a norm and dropout.
struct TrainableEmbedding: Sendable {
  /// Where a pass keeps the sums and the statistics of the norm, where there is one.
  struct Places: Sendable {
    var sum: Int
    var statistics: Int
  }

  let width: Int
  /// Where each table begins.
  let words: Int
  let positions: Int?
  let types: Int?
  /// What word vectors are multiplied by.
  let scale: Float
  /// The row of the first position.
  let firstPosition: Int
  let norm: TrainableNorm?
  let dropout: DropoutSite?
  let places: Places

  /// The hidden states before the first layer, for the rows `part`.
  func forward(
    _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext, _ scratch: TrainingWorkspace.Scratch,
    into states: UnsafeMutablePointer<Float>
  ) {
    let sums = norm == nil ? states : kept.rows(places.sum, width, part)
    add(part, context, into: sums)
    norm?.forward(
      sums, rows: part.count, context, scratch: scratch.norm,
      statistics: kept.rows(places.statistics, norm?.statistics ?? 0, part), into: states)
    context.drop(states, part, width: width, dropout, into: states)
  }

  private func add(_ part: Range<Int>, _ context: PassContext, into sums: UnsafeMutablePointer<Float>) {
    let (kernels, values) = (context.kernels, context.values)
    context.rows.forEachText(in: part) { text, row, position, count in
      let sequence = context.rows.sequences[text]
      for index in 0..<count {
        let target = sums + (row - part.lowerBound + index) * width
        // SAFETY: ids, types and lengths have been checked against the sizes of the tables.
        let word = values + words + Int(sequence.ids[position + index]) * width
        target.update(from: word, count: width)
        if scale != 1 { for place in 0..<width { target[place] *= scale } }
        if let types {
          kernels.add(values + types + sequence.type(at: position + index) * width, count: width, to: target)
        }
        if let positions {
          kernels.add(
            values + positions + (firstPosition + position + index) * width, count: width, to: target)
        }
      }
    }
  }

  /// The hidden states once more.
  func restore(
    _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext, _ scratch: TrainingWorkspace.Scratch,
    into states: UnsafeMutablePointer<Float>
  ) {
    if let norm {
      norm.forward(
        kept.rows(places.sum, width, part), rows: part.count, context, scratch: scratch.norm,
        statistics: scratch.statistics, into: states)
    } else {
      add(part, context, into: states)
    }
    context.drop(states, part, width: width, dropout, into: states)
  }

  /// The derivatives by the hidden states become those by the sums.
  func backward(
    _ states: UnsafeMutablePointer<Float>, _ kept: KeptRows, _ part: Range<Int>, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, partial: UnsafeMutablePointer<Float>
  ) {
    let dy = states + part.lowerBound * width
    context.drop(dy, part, width: width, dropout, into: dy)
    guard let norm else { return }
    norm.backward(
      dy, kept.rows(places.sum, width, part), statistics: kept.rows(places.statistics, norm.statistics, part),
      rows: part.count, context, scratch: scratch.norm, into: dy, partial: partial)
  }

  /// Adds the derivatives by the sums, [tokens, width], to the gradients of the tables, token after token.
  func scatter(_ sums: UnsafePointer<Float>, _ context: PassContext, to gradients: UnsafeMutablePointer<Float>) {
    let kernels = context.kernels
    var dy = sums
    for sequence in context.rows.sequences {
      for (position, id) in sequence.ids.enumerated() {
        let word = gradients + words + Int(id) * width
        if scale == 1 {
          kernels.add(dy, count: width, to: word)
        } else {
          kernels.addScaled(dy, scale: scale, count: width, to: word)
        }
        if let types { kernels.add(dy, count: width, to: gradients + types + sequence.type(at: position) * width) }
        if let positions {
          kernels.add(dy, count: width, to: gradients + positions + (firstPosition + position) * width)
        }
        dy += width
      }
    }
  }
}

extension TokenSequence {
  /// The type of a token.
  fileprivate func type(at position: Int) -> Int { types.isEmpty ? 0 : Int(types[position]) }
}
