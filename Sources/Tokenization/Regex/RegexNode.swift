/// A part of a regular expression.
indirect enum RegexNode {
  enum Greed { case greedy, lazy, possessive }
  enum Anchor { case textStart, textEnd, lastLineEnd, lineStart, lineEnd, wordBoundary, noWordBoundary }

  case empty
  case set(ScalarSet)
  case text([UInt8])
  case sequence([RegexNode])
  case alternatives([RegexNode])
  case repeated(RegexNode, min: Int, max: Int?, Greed)
  case atomic(RegexNode)
  case look(RegexNode, ahead: Bool, negated: Bool)
  case anchor(Anchor)

  /// Whether it can match nothing at all.
  var matchesNothing: Bool {
    switch self {
    case .empty, .look, .anchor: true
    case .set: false
    case .text(let bytes): bytes.isEmpty
    case .sequence(let nodes): nodes.allSatisfy(\.matchesNothing)
    case .alternatives(let nodes): nodes.contains(where: \.matchesNothing)
    case .repeated(let node, let min, _, _): min == 0 || node.matchesNothing
    case .atomic(let node): node.matchesNothing
    }
  }

  /// The number of scalars of every match; nil when matches differ.
  var width: Int? {
    switch self {
    case .empty, .look, .anchor: return 0
    case .set: return 1
    case .text(let bytes): return bytes.reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }
    case .sequence(let nodes):
      var sum = 0
      for node in nodes {
        guard let width = node.width else { return nil }
        sum += width
      }
      return sum
    case .alternatives(let nodes):
      guard let first = nodes.first?.width, nodes.allSatisfy({ $0.width == first }) else { return nil }
      return first
    case .repeated(let node, let min, let max, _):
      guard min == max, let width = node.width else { return nil }
      let (product, overflow) = width.multipliedReportingOverflow(by: min)
      return overflow ? nil : product
    case .atomic(let node): return node.width
    }
  }
}
