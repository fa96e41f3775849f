import VectorStore

/// A statement that is put together: its text from constants of this program, numbers that the database itself has given and limits,
/// and everything else as parameters. There is no way to put a string into the text, so nothing of a client's can get there.
struct PostgresStatement {
  private(set) var text: [UInt8] = []
  private(set) var values: [PostgresValue] = []
  /// Set where the same text is sent often, so that it is worth to be prepared where the session can keep it: what its plan is good for.
  /// With another number the database plans anew.
  var planned: Int?

  init(_ text: StaticString) {
    self.text.reserveCapacity(256)
    add(text)
  }

  /// Calls `body` with the text as C has it.
  func withText<Answer>(_ body: (UnsafePointer<CChar>?) -> Answer) -> Answer {
    (text + [0]).withUnsafeBufferPointer { bytes in
      bytes.withMemoryRebound(to: CChar.self) { body($0.baseAddress) }
    }
  }

  mutating func add(_ more: StaticString) {
    more.withUTF8Buffer { text.append(contentsOf: $0) }
  }

  /// Adds a parameter, which the text then refers to by its number.
  mutating func add(_ value: PostgresValue) {
    values.append(value)
    add("$")
    add(number: Int64(values.count))
  }

  mutating func add(_ table: VectorTable) {
    add("nearfar.vectors_")
    add(number: table.number)
  }

  /// A type with its dimension: `halfvec(384)`.
  mutating func add(_ storage: DatabaseStorage, dimension: Int) {
    add(storage)
    add("(")
    add(number: Int64(dimension))
    add(")")
  }

  mutating func add(_ storage: DatabaseStorage) {
    switch storage {
    case .halfvec: add("halfvec")
    case .vector: add("vector")
    }
  }

  /// How many rows are wanted. As a parameter it would be unknown when a statement is prepared, and the database would plan each call
  /// anew.
  mutating func addLimit(_ rows: Int) {
    add(" LIMIT ")
    add(number: Int64(rows))
  }

  private mutating func add(number: Int64) { text.append(contentsOf: String(number).utf8) }
}

/// The table of one collection, named after the number that the database gave the collection.
struct VectorTable {
  fileprivate let number: Int64

  init(_ collection: DatabaseCollection) { number = collection.id }

  /// - Parameter row: a row of nearfar.collections.
  init(row: Int64) { number = row }
}

extension PostgresStatement {
  /// A condition that holds for exactly those rows whose metadata the filter matches (``StoredFields``).
  ///
  /// Terms are there for the index: a row whose fields have one of the strings has its term, too.
  mutating func add(_ filter: Filter) {
    switch filter {
    case .all: add("true")
    case .anyOf(let field, let values): add(anyOf: values.map { StoredFields.string(field, $0) })
    case .exists(let field): add(anyOf: [StoredFields.presence(of: field)])
    case .range(let field, let order, let operand):
      guard let range = StoredFields.range(field, order, operand) else { return add("false") }
      add("EXISTS (SELECT FROM unnest(fields) AS held (value) WHERE held.value >= ")
      add(.bytes(range.from))
      add(" AND held.value < ")
      add(.bytes(range.to))
      add(")")
    case .and(let parts): add(parts, between: " AND ", whenNone: "true")
    case .or(let parts): add(parts, between: " OR ", whenNone: "false")
    case .not(let part):
      add("NOT (")
      add(part)
      add(")")
    }
  }

  private mutating func add(anyOf strings: [[UInt8]]) {
    add("(terms && ")
    add(.integers(strings.map(StoredFields.term)))
    add(" AND fields && ")
    add(.byteArrays(strings))
    add(")")
  }

  private mutating func add(_ parts: [Filter], between: StaticString, whenNone: StaticString) {
    guard !parts.isEmpty else { return add(whenNone) }
    add("(")
    for (place, part) in parts.enumerated() {
      if place > 0 { add(between) }
      add(part)
    }
    add(")")
  }
}
