/// A pair of texts that belong together, and texts that do not.
package struct TrainingExample: Sendable, Equatable {
  package var query: String
  /// nil for unsupervised training, where the query itself is embedded once more under another dropout mask (SimCSE, Gao,
  /// Yao and Chen 2021, arXiv 2104.08821).
  package var positive: String?
  package var negatives: [String]
  /// The name of its class.
  package var label: String?

  package init(query: String, positive: String?, negatives: [String] = [], label: String? = nil) {
    self.query = query
    self.positive = positive
    self.negatives = negatives
    self.label = label
  }
}

/// Training examples, with each different text stored once.
package struct ExampleSet: Sendable {
  /// The file that they come from, for errors.
  package let file: String
  var texts = TextTable()
  /// The numbers of the queries in ``texts``.
  private(set) var queries: [Int32] = []
  /// The numbers of the positives; empty where ``isUnsupervised``.
  private(set) var positives: [Int32] = []
  /// The numbers of all negatives, example after example.
  private var negatives: [Int32] = []
  /// One past the last negative of each example; empty as long as there are none.
  private var negativeEnds: [Int] = []
  /// The class of each example; empty where they have none.
  package private(set) var labels: [Int32] = []
  /// The names of the classes, in the order in which they first appear.
  package private(set) var classes: [String] = []
  private var classNumbers: [String: Int32] = [:]
  private var lines: [Int] = []

  /// Whether examples are single texts.
  package let isUnsupervised: Bool

  init(file: String, isUnsupervised: Bool) {
    self.file = file
    self.isUnsupervised = isUnsupervised
  }

  /// A set of examples that do not come from a file; `lines` in errors are their places, counted from 1.
  ///
  /// - Throws: ``DataError`` as for a file.
  package init(_ examples: [TrainingExample], named name: String = "the examples") throws(DataError) {
    self.init(file: name, isUnsupervised: examples.first.map { $0.positive == nil } ?? false)
    for (index, example) in examples.enumerated() { try add(example, line: index + 1) }
    try finish()
  }

  package var count: Int { queries.count }

  /// Whether any example has negatives.
  package var hasNegatives: Bool { !negatives.isEmpty }

  /// The number of different texts.
  package var differentTexts: Int { texts.count }

  /// The line of the file that an example stands in, counted from 1.
  package func line(of example: Int) -> Int { lines[example] }

  package subscript(example: Int) -> TrainingExample {
    TrainingExample(
      query: texts[Int(queries[example])], positive: isUnsupervised ? nil : texts[Int(positives[example])],
      negatives: negatives(of: example).map { texts[Int($0)] },
      label: labels.isEmpty ? nil : classes[Int(labels[example])])
  }

  /// The numbers of an example's negatives.
  func negatives(of example: Int) -> ArraySlice<Int32> {
    guard !negativeEnds.isEmpty else { return [] }
    return negatives[(example == 0 ? 0 : negativeEnds[example - 1])..<negativeEnds[example]]
  }

  /// The same set without the texts, of which only the numbers are left.
  var withoutTexts: ExampleSet {
    var copy = self
    copy.texts = TextTable()
    return copy
  }

  /// Adds an example.
  ///
  /// - Throws: ``DataError`` for a text without content, and where only some examples have a positive or a label.
  mutating func add(_ example: TrainingExample, line: Int) throws(DataError) {
    func refused(_ message: String) -> DataError { DataError(file, line: line, message) }
    guard count < Int(Int32.max) else { throw refused("there are more than \(Int32.max) examples") }
    guard (example.positive == nil) == isUnsupervised else {
      throw refused(isUnsupervised ? "has a positive, and the first example has none" : "has no positive")
    }
    guard count == 0 || (example.label == nil) == labels.isEmpty else {
      throw refused(
        labels.isEmpty
          ? "has a label, and the examples before it have none" : "has no label, and the examples before it have one")
    }
    queries.append(try number(of: example.query, "the query", line))
    if let positive = example.positive { positives.append(try number(of: positive, "the positive", line)) }
    if !example.negatives.isEmpty, negativeEnds.isEmpty {
      negativeEnds = [Int](repeating: 0, count: count - 1)
    }
    for (index, text) in example.negatives.enumerated() {
      negatives.append(try number(of: text, "negative \(index + 1)", line))
    }
    if !negatives.isEmpty { negativeEnds.append(negatives.count) }
    if let label = example.label { labels.append(classNumber(of: label)) }
    lines.append(line)
  }

  /// To be called behind the last example.
  ///
  /// - Throws: ``DataError`` where there is none.
  mutating func finish() throws(DataError) {
    guard count > 0 else { throw DataError(file, "has no examples") }
    texts.finish()
    classNumbers = [:]
  }

  private mutating func number(of text: String, _ role: String, _ line: Int) throws(DataError) -> Int32 {
    guard text.utf8.contains(where: { $0 > 0x20 }) else { throw DataError(file, line: line, "\(role) is empty") }
    guard let number = texts.number(of: text.utf8) else {
      throw DataError(file, line: line, "there are more than \(Int32.max) different texts")
    }
    return number
  }

  private mutating func classNumber(of label: String) -> Int32 {
    if let known = classNumbers[label] { return known }
    // There are no more classes than examples, which fit.
    let number = Int32(truncatingIfNeeded: classes.count)
    classNumbers[label] = number
    classes.append(label)
    return number
  }
}
