/// A combining mark, before canonical ordering.
private struct Mark {
  var scalar: UInt32
  var combiningClass: UInt8
  /// Whether the decomposition of a scalar added it, so that it has no place of its own in the text.
  var isInserted: Bool
}

/// Combining marks that `strip_accents` keeps and that canonical ordering may move. With them moves the place in the
/// text that each is said to come from. This is rare, so the code is written for clarity, not for speed.
extension Scan {
  /// Reads a scalar whose fold is ``Fold/Kind/reorder``, and all marks around it.
  mutating func takeMarks() {
    let unicode = UnicodeTables.shared
    let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
    let parts = unicode.decomposition(of: scalar)
    var last: Span = (position, position + length)
    var marks: [Mark] = []
    var sources: [Span] = []
    if unicode.combiningClass(of: parts[0]) == 0 {
      let starters = parts.prefix(upTo: startOfMarks(parts))
      for starter in starters { putFolded(starter, last) }
      append(parts, from: starters.count, isFirstInserted: true, to: &marks)
      position = last.stop
    } else {
      // The marks since the last starter have been removed, but they keep their places in the order, so they are read
      // once more.
      if base >= 0 {
        let (scalar, length) = UTF8Scalars.scalar(in: text, at: base)
        let parts = unicode.decomposition(of: scalar)
        last = (base, base + length)
        append(parts, from: startOfMarks(parts), isFirstInserted: true, to: &marks)
      }
      position = marksStart
    }
    while position < text.count, !addedTokenStarts(at: position) {
      let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
      if !(pipeline.folding.normalizer.cleansText && unicode.properties(of: scalar).contains(.removed)) {
        let parts = unicode.decomposition(of: scalar)
        if unicode.combiningClass(of: parts[0]) == 0 { break }
        append(parts, from: 0, isFirstInserted: false, to: &marks)
        sources.append((position, position + length))
      }
      position += length
    }
    base = -1
    marksStart = position
    // The index makes the sort stable.
    let order = marks.indices.sorted { (marks[$0].combiningClass, $0) < (marks[$1].combiningClass, $1) }
    var next = 0
    for mark in order.map({ marks[$0] }) {
      if !mark.isInserted && next < sources.count {
        last = sources[next]
        next += 1
      }
      if !unicode.properties(of: mark.scalar).contains(.mark) { putFolded(mark.scalar, last) }
    }
  }

  /// The index after the last starter.
  private func startOfMarks(_ parts: [UInt32]) -> Int {
    (parts.lastIndex { UnicodeTables.shared.combiningClass(of: $0) == 0 } ?? -1) + 1
  }

  private func append(_ parts: [UInt32], from start: Int, isFirstInserted: Bool, to marks: inout [Mark]) {
    for (index, scalar) in parts.enumerated().dropFirst(start) {
      let value = UnicodeTables.shared.combiningClass(of: scalar)
      marks.append(Mark(scalar: scalar, combiningClass: value, isInserted: isFirstInserted || index > start))
    }
  }

  private mutating func putFolded(_ scalar: UInt32, _ span: Span) {
    let unicode = UnicodeTables.shared
    let outputs = pipeline.folding.normalizer.lowercases ? unicode.lowercase(scalar) : [scalar]
    for output in outputs { put(Fold(normalized: output, unicode), output, span) }
  }
}
