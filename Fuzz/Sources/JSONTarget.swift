import JSON

/// JSON texts: a text that is read and written again must be read as the same value.
enum JSONTarget {
  static func run(_ input: [UInt8]) {
    guard let first = try? JSONDocument(input, maxDepth: 32, mayHaveByteOrderMark: true) else { return }
    visit(first.root)
    let once = written(first.root)
    let second: JSONDocument
    do {
      second = try JSONDocument(once, maxDepth: 32)
    } catch {
      finding("what was written cannot be read: \(error.describing())")
    }
    require(written(second.root) == once, "written twice, the text differs")
  }

  private static func written(_ value: JSONValue) -> [UInt8] {
    var writer = JSONWriter()
    writer.copy(value)
    require(!writer.sawNonFinite, "a text states a number that is not finite")
    return writer.bytes
  }

  /// Reads every value in every way that there is.
  private static func visit(_ value: JSONValue) {
    for rank in 0...3 {
      guard let tensor = try? value.tensor(maximumRank: rank) else { continue }
      let count = tensor.shape.reduce(1) { $0 &* $1 }
      require(tensor.values.count == count && tensor.shape.count <= rank, "a tensor of the shape \(tensor.shape)")
      require(tensor.values.allSatisfy(\.isFinite), "a tensor with a value that is not finite")
    }
    if let strings = try? value.strings() { require(strings.count == value.count, "\(strings.count) strings") }
    if let number = value.double { require(number.isFinite, "the number \(number)") }
    if let integer = value.integer { require(value.natural == nil || integer >= 0, "\(integer) is natural") }
    if let members = value.members {
      require(members.count == value.count, "\(members.count) members")
      for (key, member) in members {
        require(value[key]?.kind == member.kind, "the member \(key) is not found")
        visit(member)
      }
    } else if let elements = value.elements {
      require(elements.count == value.count, "\(elements.count) elements")
      for element in elements { visit(element) }
    } else {
      _ = value.string
      _ = value.bool
    }
  }
}
