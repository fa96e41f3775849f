/// A text that normalisers change, and the part of the original text that each of its bytes comes from.
struct AlignedText {
  typealias Span = WordBuffer.Span

  private(set) var bytes: [UInt8] = []
  /// The place of each byte's origin; empty when places are not needed.
  private(set) var spans: [Span] = []
  let isTraced: Bool
  /// The start of the segment in the original text: the place of what is put before everything else.
  let start: Int

  /// The text `original[range]` before any change.
  init(_ original: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, isTraced: Bool) {
    self.isTraced = isTraced
    start = range.lowerBound
    bytes.append(contentsOf: UnsafeBufferPointer(rebasing: original[range]))
    guard isTraced else { return }
    spans.reserveCapacity(bytes.count)
    var position = range.lowerBound
    while position < range.upperBound {
      let length = UTF8Scalars.scalar(in: original, at: position).length
      for _ in 0..<length { spans.append((position, position + length)) }
      position += length
    }
  }

  /// A text with nothing in it, to be filled with what becomes of `other`.
  init(rewriting other: borrowing AlignedText) {
    self.init(emptied: other)
    reserve(other.bytes.count)
  }

  /// As ``init(rewriting:)``, without room for anything.
  private init(emptied other: borrowing AlignedText) {
    isTraced = other.isTraced
    start = other.start
  }

  /// Makes room for a text of `count` bytes that may grow a little.
  private mutating func reserve(_ count: Int) {
    bytes.reserveCapacity(count + count / 8 + 16)
    if isTraced { spans.reserveCapacity(bytes.capacity) }
  }

  /// Whether every byte is ASCII.
  var isASCII: Bool {
    bytes.withUnsafeBufferPointer { text in
      var all: UInt8 = 0
      for byte in text { all |= byte }
      return all < 0x80
    }
  }

  /// Appends the bytes `range` of another text with their places.
  mutating func append(_ other: borrowing AlignedText, _ range: Range<Int>) {
    bytes.append(contentsOf: other.bytes[range])
    if isTraced { spans.append(contentsOf: other.spans[range]) }
  }

  /// Appends a scalar that comes from `span`.
  @inline(__always)
  mutating func append(_ scalar: UInt32, _ span: @autoclosure () -> Span) {
    if scalar < 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: scalar))
      if isTraced { spans.append(span()) }
      return
    }
    UTF8Scalars.append(scalar, to: &bytes)
    guard isTraced else { return }
    let origin = span()
    while spans.count < bytes.count { spans.append(origin) }
  }

  /// Appends bytes that all come from `span`.
  mutating func append(bytes more: some Sequence<UInt8>, _ span: @autoclosure () -> Span) {
    bytes.append(contentsOf: more)
    guard isTraced else { return }
    let origin = span()
    while spans.count < bytes.count { spans.append(origin) }
  }

  /// Keeps the bytes `range` alone.
  mutating func keep(_ range: Range<Int>) {
    if range.count == bytes.count { return }
    bytes = Array(bytes[range])
    if isTraced { spans = Array(spans[range]) }
  }

  /// The place of the origin of the byte at `position`. Only when traced.
  func span(at position: Int) -> Span {
    position >= 0 && position < spans.count ? spans[position] : spans.last ?? (start, start)
  }

  /// Calls `body` with each scalar, its place in the bytes and its length.
  func scalars(_ body: (_ scalar: UInt32, _ position: Int, _ length: Int) -> Void) {
    bytes.withUnsafeBufferPointer { text in
      var position = 0
      while position < text.count {
        let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
        body(scalar, position, length)
        position &+= length
      }
    }
  }

  /// What becomes of one scalar.
  enum Change {
    case kept
    case removed
    case scalar(UInt32)
    /// The scalar itself with a space on each side.
    case setApart
    case scalars(ArraySlice<UInt32>)
  }

  /// The text in which each scalar has become what `change` says. All that a scalar becomes has its place.
  func mapping(_ change: (UInt32) -> Change) -> AlignedText {
    var result = AlignedText(emptied: self)
    var isChanged = false
    var copied = 0
    scalars { scalar, position, length in
      let change = change(scalar)
      if case .kept = change { return }
      if !isChanged {
        isChanged = true
        result.reserve(bytes.count)
      }
      result.append(self, copied..<position)
      copied = position &+ length
      switch change {
      case .kept, .removed: break
      case .scalar(let other): result.append(other, span(at: position))
      case .setApart: for part in [0x20, scalar, 0x20] { result.append(part, span(at: position)) }
      case .scalars(let parts): for part in parts { result.append(part, span(at: position)) }
      }
    }
    guard isChanged else { return self }
    result.append(self, copied..<bytes.count)
    return result
  }

  /// Makes ASCII letters lowercase.
  mutating func lowercaseASCII() {
    bytes.withUnsafeMutableBufferPointer { text in
      for index in text.indices {
        let byte = text[index]
        text[index] = byte &- 0x41 < 26 ? byte | 0x20 : byte
      }
    }
  }
}

/// One scalar of a changed text: what it is, and how it came about.
struct TextChange {
  var scalar: UInt32
  /// 1 for a scalar that is added, which takes its place from the one before; −N for one that replaces a scalar before N
  /// others that are removed; 0 for one that replaces a scalar.
  var change: Int
}

/// Rewrites a text from left to right by changes that only say how many scalars they replace, as the reference does. A
/// scalar therefore has the place of whatever stood at its index, even where canonical ordering moved it.
struct TextRewriter {
  private let old: AlignedText
  private(set) var result: AlignedText
  /// The byte of the old text that is replaced next. Only when traced.
  private var position = 0

  init(_ old: AlignedText) {
    self.old = old
    result = AlignedText(rewriting: old)
  }

  /// Copies the bytes `range` of the old text, which are those that come next.
  mutating func copy(_ range: Range<Int>) {
    result.append(old, range)
    position = range.upperBound
  }

  mutating func put(_ item: TextChange) {
    guard result.isTraced else { return result.append(item.scalar, (0, 0)) }
    if item.change > 0 {
      result.append(item.scalar, position < 1 ? (old.start, old.start) : old.span(at: position - 1))
    } else {
      result.append(item.scalar, old.span(at: position))
      skip(scalars: 1 - item.change)
    }
  }

  private mutating func skip(scalars count: Int) {
    old.bytes.withUnsafeBufferPointer { text in
      var left = count
      while left > 0 && position < text.count {
        position += UTF8Scalars.scalar(in: text, at: position).length
        left -= 1
      }
    }
  }
}
