/// The field lines of a message: ordered, names compared case-insensitively, duplicates kept (RFC 9110, 5).
///
/// Names and values are kept as bytes in one buffer, and a `String` is built only for a value that is asked for: a
/// request with thirty field lines costs two allocations, not sixty. Fields that are put together for an answer cost one.
public struct HTTPFields: Sendable {
  /// Where the name and the value of one field line are in `bytes`.
  struct Line: Sendable {
    var nameStart: UInt32
    var nameEnd: UInt32
    var valueStart: UInt32
    var valueEnd: UInt32
  }

  private(set) var bytes: [UInt8]
  /// Where the lines are; nil where `bytes` is what these lines are in a message, and all of them may be sent. Then they are
  /// found when they are asked for, which hardly ever happens.
  private var places: [Line]?

  var isReadyToSend: Bool { places == nil }

  var lines: [Line] { places ?? Self.lines(bytes[...]) }

  /// No fields.
  public init() {
    bytes = []
    places = nil
  }

  /// The pairs in their order.
  public init(_ pairs: [(String, String)]) {
    self.init()
    makeRoom()
    for (name, value) in pairs { append(name, value) }
  }

  /// Makes room for what is usual in an answer, so that the storage need not grow with each line.
  public mutating func makeRoom() {
    bytes.reserveCapacity(224)
  }

  init(bytes: [UInt8], lines: [Line]) {
    self.bytes = bytes
    places = lines
  }

  /// The lines of bytes that are ready to be sent: no name has a colon, and no value a carriage return.
  private static func lines(_ bytes: ArraySlice<UInt8>) -> [Line] {
    var lines: [Line] = []
    var rest = bytes
    while let colon = rest.firstIndex(of: ASCII.colon), let end = rest[colon...].firstIndex(of: ASCII.cr) {
      lines.append(
        Line(
          nameStart: UInt32(truncatingIfNeeded: rest.startIndex), nameEnd: UInt32(truncatingIfNeeded: colon),
          valueStart: UInt32(truncatingIfNeeded: colon + 2), valueEnd: UInt32(truncatingIfNeeded: end)))
      rest = rest[min(end + 2, rest.endIndex)...]
    }
    return lines
  }

  /// Number of field lines.
  public var count: Int { lines.count }

  /// Adds a line behind the others, even where a line of that name is there already.
  public mutating func append(_ name: String, _ value: String) {
    append(name, byteCount: value.utf8.count) { $0.append(contentsOf: value.utf8) }
  }

  /// The same for a value in bytes, without making a `String` of them.
  public mutating func append(_ name: String, _ value: Span<UInt8>) {
    append(name, byteCount: value.count) { $0.append(copying: value) }
  }

  @inline(__always)
  private mutating func append(_ name: String, byteCount: Int, _ writeValue: (inout [UInt8]) -> Void) {
    precondition(bytes.count + name.utf8.count + byteCount + 4 <= UInt32.max, "fields hold less than 4 GiB")
    let nameStart = UInt32(truncatingIfNeeded: bytes.count)
    bytes.append(contentsOf: name.utf8)
    let nameEnd = UInt32(truncatingIfNeeded: bytes.count)
    bytes.append(": ")
    let valueStart = UInt32(truncatingIfNeeded: bytes.count)
    writeValue(&bytes)
    let valueEnd = UInt32(truncatingIfNeeded: bytes.count)
    bytes.append("\r\n")
    let line = Line(nameStart: nameStart, nameEnd: nameEnd, valueStart: valueStart, valueEnd: valueEnd)
    if places == nil {
      guard !maySend(line) else { return }
      places = Self.lines(bytes[..<Int(nameStart)])
    }
    places?.append(line)
  }

  /// Adds the lines of others, in their order.
  public mutating func append(_ others: HTTPFields) {
    if isReadyToSend, others.isReadyToSend, bytes.count + others.bytes.count <= UInt32.max {
      return bytes.append(copying: others.bytes.span)
    }
    for (name, value) in others.all { append(name, value) }
  }

  /// Replaces every line of that name by one.
  public mutating func set(_ name: String, _ value: String) {
    let lines = lines
    let others = lines.filter { !matches($0, name) }
    if others.count < lines.count { places = others }
    append(name, value)
  }

  /// The value; repeated lines joined by ", " (RFC 9110, 5.3).
  public subscript(name: String) -> String? {
    var joined: String?
    for line in lines where matches(line, name) {
      let value = value(of: line)
      joined = joined.map { $0 + ", " + value } ?? value
    }
    return joined
  }

  /// The values of every line of that name, in order.
  public func values(of name: String) -> [String] {
    lines.lazy.filter { matches($0, name) }.map(value(of:))
  }

  /// True when there is a line of that name.
  public func contains(_ name: String) -> Bool {
    lines.contains { matches($0, name) }
  }

  /// Name and value of every line, in order.
  public var all: [(name: String, value: String)] {
    lines.map { line in
      (String(decoding: bytes[Int(line.nameStart)..<Int(line.nameEnd)], as: UTF8.self), value(of: line))
    }
  }

  private func value(of line: Line) -> String {
    String(decoding: bytes[Int(line.valueStart)..<Int(line.valueEnd)], as: UTF8.self)
  }

  private func matches(_ line: Line, _ name: String) -> Bool {
    let utf8 = name.utf8
    guard utf8.count == Int(line.nameEnd &- line.nameStart) else { return false }
    var at = Int(line.nameStart)
    for byte in utf8 {
      if ASCII.lowercased(byte) != ASCII.lowercased(bytes[at]) { return false }
      at += 1
    }
    return true
  }
}

extension HTTPFields: Equatable {
  /// Same lines in the same order; names compared case-insensitively.
  public static func == (left: HTTPFields, right: HTTPFields) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left.all, right.all).allSatisfy { $0.name.lowercased() == $1.name.lowercased() && $0.value == $1.value }
  }
}
