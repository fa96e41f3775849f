import JSON

/// The normaliser of a SentencePiece model, `Precompiled` in tokenizer.json: a double array (Aoe 1989) of the strings to
/// replace, and the texts that replace them, each ended by a zero byte.
///
/// A unit of the double array has the label of the edge that leads to it in its low 8 bits (with bit 31, which marks a
/// leaf that holds a value), the flag that such a leaf follows in bit 8, and the distance to its children in bits 10 to
/// 30, times 256 where bit 9 is set.
struct Precompiled: Sendable {
  private let units: [UInt32]
  private let texts: [UInt8]
  /// The number of bytes of the longest text.
  let longest: Int
  /// Whether each ASCII character stays as it is where it is a grapheme cluster of its own.
  private var keptASCII = [Bool](repeating: false, count: 128)

  /// - Returns: nil when the bytes are not such a table.
  init?(_ bytes: [UInt8]) {
    func word(_ at: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) }
    }
    guard bytes.count >= 4 else { return nil }
    let count = Int(word(0)) / 4
    guard count > 0, count <= (bytes.count - 4) / 4 else { return nil }
    units = (0..<count).map { word(4 + 4 * $0) }
    texts = Array(bytes[(4 + 4 * count)...])
    guard String(validating: texts, as: UTF8.self) != nil else { return nil }
    longest = texts.split(separator: 0).map(\.count).max() ?? 0
    for character in 0..<UInt8(128) { keptASCII[Int(character)] = keeps(character) }
  }

  /// The range in ``texts`` of what replaces the bytes `range`, by the shortest string of the table that they start
  /// with; nil when there is none.
  private func replacement(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Range<Int>? {
    var place = distance(units[0])
    for byte in bytes[range] {
      if byte == 0 { return nil }
      place ^= Int(byte)
      guard place < units.count else { return nil }
      let unit = units[place]
      if unit & 0x8000_00FF != UInt32(byte) { return nil }
      place ^= distance(unit)
      if unit >> 8 & 1 == 1 {
        guard place < units.count else { return nil }
        let start = Int(units[place] & 0x7FFF_FFFF)
        guard start <= texts.count, start == texts.count || texts[start] & 0xC0 != 0x80 else { return nil }
        var stop = start
        while stop < texts.count && texts[stop] != 0 { stop += 1 }
        return start..<stop
      }
    }
    return nil
  }

  private func distance(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 512) >> 6) }

  /// Whether the ASCII character stays as it is where it is a grapheme cluster of its own.
  func keeps(_ character: UInt8) -> Bool {
    [character].withUnsafeBufferPointer { bytes in
      guard let found = replacement(bytes, 0..<1) else { return true }
      return texts[found].elementsEqual([character])
    }
  }

  /// Replaces the grapheme clusters of fewer than six bytes that the table has, and otherwise the single scalars that it
  /// has.
  func apply(to text: AlignedText) -> AlignedText {
    var changes: [TextChange] = []
    var plain = AlignedText(rewriting: text)
    let isTraced = text.isTraced
    var isChanged = false
    text.bytes.withUnsafeBufferPointer { bytes in
      func put(_ range: Range<Int>) -> Bool {
        guard let found = replacement(bytes, range) else { return false }
        isChanged = true
        if isTraced {
          Self.replace(bytes[range], texts[found], &changes)
        } else {
          plain.append(bytes: texts[found], (0, 0))
        }
        return true
      }
      func keep(_ range: Range<Int>) {
        if isTraced {
          var at = range.lowerBound
          while at < range.upperBound {
            let (scalar, length) = UTF8Scalars.scalar(in: bytes, at: at)
            changes.append(TextChange(scalar: scalar, change: 0))
            at += length
          }
        } else {
          plain.append(text, range)
        }
      }
      var position = 0
      while position < bytes.count {
        // Most of most texts is ASCII that stays as it is.
        var plainEnd = position
        while plainEnd + 1 < bytes.count, bytes[plainEnd + 1] < 0x80, bytes[plainEnd] < 0x80,
          keptASCII[Int(bytes[plainEnd])], bytes[plainEnd] != 0x0D
        {
          plainEnd &+= 1
        }
        if plainEnd > position {
          keep(position..<plainEnd)
          position = plainEnd
        }
        let length = UTF8Scalars.scalar(in: bytes, at: position).length
        // Almost all clusters are single scalars.
        let stop = GraphemeClusters.end(in: bytes, from: position)
        if stop - position > length && stop - position < 6 && put(position..<stop) {
          position = stop
          continue
        }
        var at = position
        while at < stop {
          let next = at + UTF8Scalars.scalar(in: bytes, at: at).length
          if !put(at..<next) { keep(at..<next) }
          at = next
        }
        position = stop
      }
    }
    guard isChanged else { return text }
    guard isTraced else { return plain }
    var rewriter = TextRewriter(text)
    for item in changes { rewriter.put(item) }
    return rewriter.result
  }

  /// Records that `old` becomes `new`. What is removed counts with the scalar before it, even if that scalar comes from
  /// another replacement.
  private static func replace(
    _ old: Slice<UnsafeBufferPointer<UInt8>>, _ new: ArraySlice<UInt8>, _ changes: inout [TextChange]
  ) {
    let removed = old.reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }
    let before = changes.count
    for scalar in String(decoding: new, as: UTF8.self).unicodeScalars {
      changes.append(TextChange(scalar: scalar.value, change: changes.count - before < removed ? 0 : 1))
    }
    let added = changes.count - before
    if added < removed, !changes.isEmpty { changes[changes.count - 1].change -= removed - added }
  }
}

/// Grapheme clusters (Unicode Standard Annex 29), as far as they matter for clusters of fewer than six bytes: regional
/// indicators, emoji with joiners and conjuncts only make clusters that are longer.
enum GraphemeClusters {
  /// The end of the cluster that starts at `position`.
  static func end(in text: UnsafeBufferPointer<UInt8>, from position: Int) -> Int {
    let forms = UnicodeForms.shared
    let first = text[position]
    // No rule but that for a carriage return joins an ASCII character to another.
    if first < 0x80 {
      let next = position + 1
      if next == text.count { return next }
      if text[next] < 0x80 { return first == 0x0D && text[next] == 0x0A ? next + 1 : next }
    }
    var (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
    var stop = position + length
    var flags = forms.flags(of: scalar)
    while stop < text.count && !flags.contains(.control) {
      let next = UTF8Scalars.scalar(in: text, at: stop)
      let nextFlags = forms.flags(of: next.value)
      let joins =
        !nextFlags.contains(.control)
        && (nextFlags.contains(.extending) || flags.contains(.prepended) || isHangul(scalar, next.value))
      if !joins { break }
      scalar = next.value
      flags = nextFlags
      stop += next.length
    }
    return stop
  }

  /// Whether two scalars belong to one Hangul syllable.
  private static func isHangul(_ first: UInt32, _ second: UInt32) -> Bool {
    let isLead = (0x1100...0x115F).contains(first) || (0xA960...0xA97C).contains(first)
    let isSyllable = UnicodeTables.hangul.contains(first)
    let hasVowel = (0x1160...0x11A7).contains(first) || (0xD7B0...0xD7C6).contains(first)
    let hasTrail = (0x11A8...0x11FF).contains(first) || (0xD7CB...0xD7FB).contains(first)
    let isVowel = (0x1160...0x11A7).contains(second) || (0xD7B0...0xD7C6).contains(second)
    let isTrail = (0x11A8...0x11FF).contains(second) || (0xD7CB...0xD7FB).contains(second)
    if isLead {
      return isVowel || UnicodeTables.hangul.contains(second) || (0x1100...0x115F).contains(second)
        || (0xA960...0xA97C).contains(second)
    }
    if isSyllable { return isTrail || isVowel && (first - 0xAC00) % 28 == 0 }
    return hasVowel && (isVowel || isTrail) || hasTrail && isTrail
  }
}

extension Precompiled {
  init(_ section: JSONField) throws(FieldError) {
    let map = try section.required("precompiled_charsmap")
    guard let bytes = Base64.decode(try map.string()), let table = Precompiled(bytes) else {
      throw map.refused("is not the table of a SentencePiece normaliser in base64")
    }
    self = table
  }
}

/// Base64 (RFC 4648, section 4).
enum Base64 {
  /// - Returns: nil when the text is not base64 with padding.
  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 4 * 3)
    var bits: UInt32 = 0
    var count = 0
    var padding = 0
    for byte in text.utf8 {
      if byte == 0x3D {
        padding += 1
        continue
      }
      guard padding == 0, let digit = digit(byte) else { return nil }
      bits = bits << 6 | digit
      count += 1
      if count % 4 == 0 {
        bytes.append(UInt8(truncatingIfNeeded: bits >> 16))
        bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
        bytes.append(UInt8(truncatingIfNeeded: bits))
        bits = 0
      }
    }
    guard (count + padding) % 4 == 0, padding <= 2, count % 4 != 1 else { return nil }
    if count % 4 >= 2 { bytes.append(UInt8(truncatingIfNeeded: bits >> (count % 4 == 2 ? 4 : 10))) }
    if count % 4 == 3 { bytes.append(UInt8(truncatingIfNeeded: bits >> 2)) }
    return bytes
  }

  private static func digit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x41...0x5A: UInt32(byte) - 0x41
    case 0x61...0x7A: UInt32(byte) - 0x61 + 26
    case 0x30...0x39: UInt32(byte) - 0x30 + 52
    case 0x2B: 62
    case 0x2F: 63
    default: nil
    }
  }
}
