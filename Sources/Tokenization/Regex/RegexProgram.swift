/// A regular expression as steps of a machine that backtracks.
final class RegexProgram: Sendable {
  enum Step: Sendable {
    /// One scalar of a set.
    case set(Int)
    /// The bytes of ``texts``.
    case text(Int)
    /// Scalars of a set.
    case run(set: Int, min: Int, max: Int, RegexNode.Greed)
    /// The alternatives of ``choices`` in their order.
    case choose(Int)
    case jump(Int)
    /// `first`, and `second` when what follows does not match.
    case split(first: Int, second: Int)
    /// The steps up to `end`, matched on their own; `width` scalars back where it looks behind.
    case look(end: Int, width: Int?, negated: Bool)
    /// The steps up to `end`, whose first match is final.
    case atomic(end: Int)
    case anchor(RegexNode.Anchor)
    case accept
  }

  /// Alternatives, and which of them may match where the next byte is the index: one bit each. The last entry is for the
  /// end of the text.
  struct Choice: Sendable {
    var targets: [Int]
    var masks: [UInt32]
  }

  let steps: [Step]
  let classes: [ScalarClass]
  let texts: [[UInt8]]
  let choices: [Choice]
  /// The bytes that a match may start with, and whether it may be empty.
  let starts: LeadBytes
  let mayBeEmpty: Bool

  convenience init(_ pattern: String) throws(RegexError) {
    try self.init(try RegexParser.parse(pattern))
  }

  init(_ node: RegexNode) throws(RegexError) {
    var compiler = RegexCompiler()
    try compiler.add(node)
    steps = compiler.steps + [.accept]
    classes = compiler.classes
    texts = compiler.texts
    choices = compiler.choices
    let first = RegexCompiler.first(node)
    starts = first.leads
    mayBeEmpty = first.mayBeEmpty
  }

  /// A program that finds a text as it is.
  static func literal(_ text: String) throws(RegexError) -> RegexProgram {
    try RegexProgram(text.isEmpty ? .empty : .text(Array(text.utf8)))
  }
}

/// Turns the parts of a regular expression into steps.
private struct RegexCompiler {
  typealias Step = RegexProgram.Step
  typealias Choice = RegexProgram.Choice

  private(set) var steps: [Step] = []
  private(set) var classes: [ScalarClass] = []
  private(set) var texts: [[UInt8]] = []
  private(set) var choices: [Choice] = []
  private var known: [(ScalarSet, Int)] = []

  /// As many alternatives are tried one after another even if all of them are texts.
  private static let fewTexts = 8

  init() {}

  mutating func add(_ node: RegexNode) throws(RegexError) {
    guard steps.count <= 50_000 else { throw RegexError(message: "is too large a regular expression") }
    switch node {
    case .empty: break
    case .set(let set): steps.append(.set(try number(of: set)))
    case .text(let bytes):
      texts.append(bytes)
      steps.append(.text(texts.count - 1))
    case .sequence(let nodes): for node in nodes { try add(node) }
    case .alternatives(let nodes):
      if nodes.count > Self.fewTexts, let tree = RegexNode.tree(nodes) { return try addTree(tree) }
      try choose(nodes)
    case .repeated(let node, let min, let max, let greed): try repeated(node, min, max, greed)
    case .atomic(let node): try enclosed(node) { .atomic(end: $0) }
    case .look(let node, let ahead, let negated):
      let width = ahead ? nil : node.width
      try enclosed(node) { .look(end: $0, width: width, negated: negated) }
    case .anchor(let anchor): steps.append(.anchor(anchor))
    }
  }

  private mutating func number(of set: ScalarSet) throws(RegexError) -> Int {
    if let index = known.first(where: { $0.0 == set })?.1 { return index }
    guard classes.count < 256 else { throw RegexError(message: "has more than 256 different sets") }
    classes.append(ScalarClass(set))
    known.append((set, classes.count - 1))
    return classes.count - 1
  }

  private mutating func enclosed(_ node: RegexNode, _ step: (Int) -> Step) throws(RegexError) {
    let place = steps.count
    steps.append(.accept)
    try add(node)
    steps.append(.accept)
    steps[place] = step(steps.count)
  }

  /// Adds a tree of texts, whose alternatives differ in their first bytes.
  private mutating func addTree(_ node: RegexNode) throws(RegexError) {
    switch node {
    case .alternatives(let nodes): try choose(nodes)
    default: try add(node)
    }
  }

  private mutating func choose(_ nodes: [RegexNode]) throws(RegexError) {
    if nodes.count > 32 {
      // A choice has 32 bits for its alternatives. More of them become a choice of choices.
      let size = (nodes.count + 31) / 32
      return try choose(
        stride(from: 0, to: nodes.count, by: size).map { .alternatives(Array(nodes[$0..<min($0 + size, nodes.count)])) }
      )
    }
    guard choices.count < 4000 else { throw RegexError(message: "has more than 4000 groups of alternatives") }
    var masks = [UInt32](repeating: 0, count: 257)
    for (index, node) in nodes.enumerated() {
      let first = Self.first(node)
      let bit: UInt32 = 1 << UInt32(index)
      for byte in 0..<256 where first.mayBeEmpty || first.leads.contains(UInt8(byte)) { masks[byte] |= bit }
      if first.mayBeEmpty { masks[256] |= bit }
    }
    let choice = choices.count
    choices.append(Choice(targets: [], masks: masks))
    steps.append(.choose(choice))
    var targets: [Int] = []
    var ends: [Int] = []
    for node in nodes {
      targets.append(steps.count)
      try add(node)
      ends.append(steps.count)
      steps.append(.jump(0))
    }
    for end in ends { steps[end] = .jump(steps.count) }
    choices[choice].targets = targets
  }

  private mutating func repeated(
    _ node: RegexNode, _ min: Int, _ max: Int?, _ greed: RegexNode.Greed
  ) throws(RegexError) {
    if case .set(let set) = node {
      steps.append(.run(set: try number(of: set), min: min, max: max ?? .max, greed))
      return
    }
    if greed == .possessive {
      return try add(.atomic(.repeated(node, min: min, max: max, .greedy)))
    }
    for _ in 0..<min { try add(node) }
    guard let max else {
      let place = steps.count
      steps.append(.accept)
      try add(node)
      steps.append(.jump(place))
      steps[place] = split(body: place + 1, after: steps.count, greed)
      return
    }
    var places: [Int] = []
    for _ in 0..<Swift.max(0, max - min) {
      places.append(steps.count)
      steps.append(.accept)
      try add(node)
    }
    for place in places { steps[place] = split(body: place + 1, after: steps.count, greed) }
  }

  private func split(body: Int, after: Int, _ greed: RegexNode.Greed) -> Step {
    greed == .lazy ? .split(first: after, second: body) : .split(first: body, second: after)
  }

  /// What a match may start with.
  static func first(_ node: RegexNode) -> (leads: LeadBytes, mayBeEmpty: Bool) {
    switch node {
    case .empty, .look, .anchor: return (LeadBytes(), true)
    case .set(let set): return (set.leads, false)
    case .text(let bytes):
      var leads = LeadBytes()
      if let byte = bytes.first { leads.insert(byte) }
      return (leads, bytes.isEmpty)
    case .sequence(let nodes):
      var leads = LeadBytes()
      for node in nodes {
        let next = first(node)
        leads = leads.union(next.leads)
        if !next.mayBeEmpty { return (leads, false) }
      }
      return (leads, true)
    case .alternatives(let nodes):
      var leads = LeadBytes()
      var mayBeEmpty = false
      for node in nodes {
        let next = first(node)
        leads = leads.union(next.leads)
        mayBeEmpty = mayBeEmpty || next.mayBeEmpty
      }
      return (leads, mayBeEmpty)
    case .repeated(let node, let min, let max, _):
      if max == 0 { return (LeadBytes(), true) }
      let next = first(node)
      return (next.leads, next.mayBeEmpty || min == 0)
    case .atomic(let node): return first(node)
    }
  }
}
