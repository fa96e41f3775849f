import JSON

/// Reads files of training examples. Blank lines are left out. Every error names the file and, where one is at fault, the line.
extension ExampleSet {
  /// Reads pairs: where the name ends in `.tsv`, lines of `query<TAB>positive[<TAB>negative…]`; otherwise JSON Lines, objects
  /// with the members `query`, `positive`, and as options `negatives` (a list of texts) and `label` (a string or an integer).
  /// Other members are ignored.
  ///
  /// - Throws: ``DataError`` for a file that cannot be read or has no examples, and for the first line that is not as it should
  ///   be.
  package init(pairs path: String) throws(DataError) {
    self.init(file: path, isUnsupervised: false)
    if path.lowercased().hasSuffix(".tsv") {
      try read { text throws(DataError.Cause) in try Self.example(columns: text) }
    } else {
      try read { line throws(DataError.Cause) in try Self.example(object: line) }
    }
  }

  /// Reads texts for unsupervised training: where the name ends in `.jsonl`, JSON objects with a member `text`; otherwise one
  /// text in each line.
  ///
  /// - Throws: ``DataError`` as ``init(pairs:)``.
  package init(texts path: String) throws(DataError) {
    self.init(file: path, isUnsupervised: true)
    let isJSON = path.lowercased().hasSuffix(".jsonl")
    try read { line throws(DataError.Cause) in
      let text = isJSON ? try Self.object(line).required("text") : try Self.text(line)
      return TrainingExample(query: text, positive: nil)
    }
  }

  private mutating func read(
    _ parse: ([UInt8]) throws(DataError.Cause) -> TrainingExample
  ) throws(DataError) {
    var lines = try LineFile(file)
    texts.reserve(bytes: lines.size)
    while let line = try lines.next() {
      // Everything up to the space is a space or a control character.
      if line.allSatisfy({ $0 <= 0x20 }) { continue }
      let example: TrainingExample
      do throws(DataError.Cause) {
        example = try parse(line)
      } catch {
        throw DataError(file, line: lines.number, error.message)
      }
      try add(example, line: lines.number)
    }
    try finish()
  }

  private static func example(columns line: [UInt8]) throws(DataError.Cause) -> TrainingExample {
    let columns = try text(line).split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard columns.count >= 2 else { throw .init("has no tab between a query and a positive") }
    return TrainingExample(query: columns[0], positive: columns[1], negatives: Array(columns[2...]))
  }

  private static func example(object line: [UInt8]) throws(DataError.Cause) -> TrainingExample {
    let object = try object(line)
    var example = TrainingExample(query: try object.required("query"), positive: try object.required("positive"))
    if object.member("negative") != nil {
      throw .init("\"negative\" is not known; \"negatives\" is a list of texts")
    }
    if let list = object.member("negatives") {
      do throws(JSONTensorError) {
        example.negatives = try list.strings()
      } catch {
        throw .init("\"negatives\" must be a list of texts")
      }
    }
    if let label = object.member("label") {
      guard let name = label.string ?? label.integer.map(String.init) else {
        throw .init("\"label\" must be a string or an integer")
      }
      example.label = name
    }
    return example
  }

  private static func object(_ line: [UInt8]) throws(DataError.Cause) -> JSONValue {
    let root: JSONValue
    do throws(JSONParseError) {
      root = try JSONDocument(line).root
    } catch {
      throw .init(error.describing())
    }
    guard root.kind == .object else { throw .init("is not a JSON object") }
    return root
  }

  private static func text(_ line: [UInt8]) throws(DataError.Cause) -> String {
    guard let text = String(validating: line, as: UTF8.self) else { throw .init("is not valid UTF-8") }
    return text
  }
}

extension DataError {
  /// What is wrong with a line, before it is known which one it is.
  fileprivate struct Cause: Error {
    let message: String

    init(_ message: String) { self.message = message }
  }
}

extension JSONValue {
  /// The member `name`, where null counts as missing.
  fileprivate func member(_ name: String) -> JSONValue? {
    guard let value = self[name], !value.isNull else { return nil }
    return value
  }

  fileprivate func required(_ name: String) throws(DataError.Cause) -> String {
    guard let value = member(name) else { throw .init("\"\(name)\" is missing") }
    guard let text = value.string else { throw .init("\"\(name)\" must be a string") }
    return text
  }
}
