/// Which slots have a field, and with which values.
struct FieldIndex: Sendable {
  /// Slots that have the field, whatever it holds.
  var present = Postings.none
  private var null = Postings.none
  private var yes = Postings.none
  private var no = Postings.none
  private var numbers = SortedTree<Double, Postings>()
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

  /// Sets the bits of the slots that have one of these values.
  func addSlots(withAnyOf values: [FilterValue], to words: inout [UInt64]) {
    // Each value once: a list may repeat one that very many slots have.
    var (seenNull, seenYes, seenNo) = (false, false, false)
    var seenNumbers: Set<Double> = []
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

  /// Sets the bits of the slots that have a value of the operand's type in this order to it.
  func addSlots(_ order: FilterOrder, _ operand: FilterValue, to words: inout [UInt64]) {
    switch operand {
    case .null, .bool: return
    case .number(let number):
      guard !number.isNaN else { return }
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
