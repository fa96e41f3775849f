import JSON
import VectorIndex

/// An index of the metadata of a collection's points, from which filters are answered without reading the metadata.
///
/// It is a value type: copying it takes constant time, a copy keeps giving the same answers, and a change to one of two
/// copies copies only the nodes that it touches. Memory grows with the number of stored values, by a few bytes for each
/// slot that has a value.
public struct MetadataIndex: Sendable {
  private var fields = SortedTree<ByteText, FieldIndex>()

  public init() {}

  /// Adds the metadata of a slot that is not in the index.
  ///
  /// - Parameters:
  ///   - slot: from 0 to 2^32 − 1; any other is ignored.
  ///   - metadata: a JSON object. Nil, bytes that are no JSON object, and objects nested more than 64 deep are taken as `{}`.
  public mutating func insert(slot: Int, metadata: [UInt8]?) {
    guard let slot = UInt32(exactly: slot) else { return }
    MetadataFields.forEach(in: metadata) { field, value in
      fields.update(field, orInsert: FieldIndex()) { index in
        index.insert(slot, value)
        return true
      }
    }
  }

  /// Removes the metadata of a slot.
  ///
  /// - Parameter metadata: the same bytes that were inserted for the slot.
  public mutating func remove(slot: Int, metadata: [UInt8]?) {
    guard let slot = UInt32(exactly: slot) else { return }
    MetadataFields.forEach(in: metadata) { field, value in
      fields.update(field, orInsert: nil) { index in
        index.remove(slot, value)
        return !index.present.isEmpty
      }
    }
  }

  /// The slots of `live` for which `filter` holds.
  public func matches(_ filter: Filter, among live: SlotSet) -> SlotSet {
    if case .all = filter { return live }
    var words = words(filter, live.words)
    for index in words.indices { words[index] &= live.words[index] }
    return SlotSet(words: words)
  }

  /// The slots for which `filter` holds, as a bitmap of as many words as `live`; bits of slots that are not live may be set.
  private func words(_ filter: Filter, _ live: [UInt64]) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: live.count)
    switch filter {
    case .all: return live
    case .anyOf(let field, let values): fields[ByteText(field)]?.addSlots(withAnyOf: values, to: &words)
    case .range(let field, let order, let operand):
      fields[ByteText(field)]?.addSlots(order, operand, to: &words)
    case .exists(let field): fields[ByteText(field)]?.present.add(to: &words)
    case .and(let filters):
      words = live
      for filter in filters where words.contains(where: { $0 != 0 }) {
        let others = self.words(filter, live)
        for index in words.indices { words[index] &= others[index] }
      }
    case .or(let filters):
      for filter in filters {
        let others = self.words(filter, live)
        for index in words.indices { words[index] |= others[index] }
      }
    case .not(let filter):
      let others = self.words(filter, live)
      for index in words.indices { words[index] = live[index] & ~others[index] }
    }
    return words
  }
}

/// The slots that have a certain field, by its values.
struct FieldIndex: Sendable {
  /// Slots that have the field, whatever its value.
  var present = Postings.none
  private var null = Postings.none
  private var yes = Postings.none
  private var no = Postings.none
  private var numbers = SortedTree<FilterNumber, Postings>()
  private var strings = SortedTree<ByteText, Postings>()

  init() {}

  mutating func insert(_ slot: UInt32, _ value: FilterValue?) {
    present.insert(slot)
    guard let value else { return }
    change(value, orInsert: Postings.none) { $0.insert(slot) }
  }

  mutating func remove(_ slot: UInt32, _ value: FilterValue?) {
    present.remove(slot)
    guard let value else { return }
    change(value, orInsert: nil) { $0.remove(slot) }
  }

  private mutating func change(_ value: FilterValue, orInsert fresh: Postings?, _ body: (inout Postings) -> Void) {
    func changed(_ postings: inout Postings) -> Bool {
      body(&postings)
      return !postings.isEmpty
    }
    switch value {
    case .null: body(&null)
    case .bool(true): body(&yes)
    case .bool(false): body(&no)
    case .number(let number): numbers.update(number, orInsert: fresh, changed)
    case .string(let string): strings.update(ByteText(string), orInsert: fresh, changed)
    }
  }

  /// Sets the bits of the slots that have at least one of these values.
  func addSlots(withAnyOf values: [FilterValue], to words: inout [UInt64]) {
    // Repeated values are skipped, since adding the postings of a common value takes long.
    var (seenNull, seenYes, seenNo) = (false, false, false)
    var seenNumbers: Set<FilterNumber> = []
    var seenStrings: Set<ByteText> = []
    for value in values {
      switch value {
      case .null: seenNull = true
      case .bool(true): seenYes = true
      case .bool(false): seenNo = true
      case .number(let number):
        if seenNumbers.insert(number).inserted { numbers[number]?.add(to: &words) }
      case .string(let string):
        let text = ByteText(string)
        if seenStrings.insert(text).inserted { strings[text]?.add(to: &words) }
      }
    }
    if seenNull { null.add(to: &words) }
    if seenYes { yes.add(to: &words) }
    if seenNo { no.add(to: &words) }
  }

  /// Sets the bits of the slots that have a value of the operand's type which stands in this order to it.
  func addSlots(_ order: FilterOrder, _ operand: FilterValue, to words: inout [UInt64]) {
    switch operand {
    case .null, .bool: return
    case .number(let number):
      numbers.forEachRun(order, number) { run in
        for entry in run { entry.value.add(to: &words) }
      }
    case .string(let string):
      strings.forEachRun(order, ByteText(string)) { run in
        for entry in run { entry.value.add(to: &words) }
      }
    }
  }
}

/// Reads the fields of metadata, as ``Filter`` defines them.
enum MetadataFields {
  /// The deepest nesting of arrays and objects that is read.
  static let depth = 64

  /// Calls `emit` with each field and one of its values, or with nil where a member holds an array or an object. A field
  /// with several values is emitted once for each of them, and the same value may be emitted twice. Bytes that are no JSON
  /// object have no fields.
  static func forEach(in metadata: [UInt8]?, _ emit: (ByteText, FilterValue?) -> Void) {
    guard let metadata, let document = try? JSONDocument(metadata, maxDepth: depth) else { return }
    members(of: document.root, of: nil, emit)
  }

  private static func members(
    of object: JSONValue, of parent: String?, _ emit: (ByteText, FilterValue?) -> Void
  ) {
    for (key, value) in object.members ?? [] {
      let path = parent.map { "\($0).\(key)" } ?? key
      guard path.utf8.count <= FilterLimits.fieldBytes else { continue }
      let scalar = FilterValue(value)
      emit(ByteText(path), scalar)
      if scalar == nil { contents(of: value, path, emit) }
    }
  }

  /// Emits the values inside the array or object that a field holds.
  private static func contents(of value: JSONValue, _ path: String, _ emit: (ByteText, FilterValue?) -> Void) {
    guard let elements = value.elements else { return members(of: value, of: path, emit) }
    for element in elements {
      if let scalar = FilterValue(element) {
        emit(ByteText(path), scalar)
      } else {
        contents(of: element, path, emit)
      }
    }
  }
}
