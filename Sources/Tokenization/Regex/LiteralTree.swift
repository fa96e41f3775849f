extension RegexNode {
  /// Alternatives of which each is a text, as a tree in which texts share their beginnings; nil for other alternatives.
  ///
  /// Files made of SentencePiece models split at thousands of such texts, and to try one after another would take as many
  /// steps for each character. Of texts that begin with different bytes at most one can match, so that only those with
  /// the same beginning have to keep their order.
  static func tree(_ alternatives: [RegexNode]) -> RegexNode? {
    var texts: [ArraySlice<UInt8>] = []
    for node in alternatives {
      switch node {
      case .text(let bytes): texts.append(bytes[...])
      case .empty: texts.append([])
      default: return nil
      }
    }
    return tree(texts)
  }

  private static func tree(_ texts: [ArraySlice<UInt8>]) -> RegexNode {
    var nodes: [RegexNode] = []
    // An empty text matches anywhere, so that no other may change places with it.
    for (number, group) in texts.split(omittingEmptySubsequences: false, whereSeparator: \.isEmpty).enumerated() {
      if number > 0 { nodes.append(.empty) }
      var order: [UInt8] = []
      var byFirst: [UInt8: [ArraySlice<UInt8>]] = [:]
      for text in group {
        guard let first = text.first else { continue }
        if byFirst[first] == nil { order.append(first) }
        byFirst[first, default: []].append(text)
      }
      for first in order { nodes.append(branch(byFirst[first] ?? [])) }
    }
    return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
  }

  /// Texts with the same first byte: what they begin with, and a tree of what follows.
  private static func branch(_ texts: [ArraySlice<UInt8>]) -> RegexNode {
    guard let first = texts.first else { return .empty }
    if texts.count == 1 { return .text(Array(first)) }
    var shared = first.count
    for text in texts { shared = zip(first.prefix(shared), text).prefix { $0 == $1 }.count }
    return .sequence([.text(Array(first.prefix(shared))), tree(texts.map { $0.dropFirst(shared) })])
  }
}
