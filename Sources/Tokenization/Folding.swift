/// What a text goes through before it is split: BERT's normaliser.
struct NormalizerOptions: Sendable, Equatable {
  /// Drop controls, turn every white space into a space.
  var cleansText = true
  /// Set each CJK ideograph apart.
  var splitsChinese = true
  /// Decompose, then drop marks without width.
  var stripsAccents = true
  var lowercases = true
}

/// What becomes of one scalar.
struct Fold {
  enum Kind: UInt32 {
    /// Part of a word, as `payload` (as itself when that is 0).
    case letter
    /// Nothing; `payload` 1 when marks do not move across it.
    case drop
    /// Separates words.
    case space
    /// A word of its own.
    case punctuation
    /// A word of its own, with a space to each side.
    case chinese
    /// Several: `payload` is offset × 16 + count in `Folding.sequences`.
    case sequence
    /// A Hangul syllable, to be taken apart.
    case hangul
    /// Holds a mark that stays and that may change places with its neighbours.
    case reorder
  }

  var bits: UInt32
  var kind: Kind { Kind(rawValue: bits & 7) ?? .letter }
  var payload: UInt32 { bits >> 3 }

  init(bits: UInt32) { self.bits = bits }
  init(_ kind: Kind, _ payload: UInt32) { bits = kind.rawValue | payload << 3 }
}

/// The normaliser and the pre-tokeniser's character classes in one table, made once for a tokenizer's options.
struct Folding: Sendable {
  let options: NormalizerOptions
  /// `Fold.bits` of all code points in pages of 256; equal pages are kept once.
  private let pageOf: [UInt16]
  private let pages: [UInt32]
  let sequences: [UInt32]

  init(_ options: NormalizerOptions) {
    self.options = options
    let unicode = UnicodeTables.shared
    var pageOf: [UInt16] = []
    var pages: [UInt32] = []
    var sequences: [UInt32] = []
    var known: [[UInt32]: UInt16] = [:]
    for start in stride(from: 0, to: UnicodeTables.codePoints, by: 256) {
      let page = (start..<start + 256).map { Self.fold(UInt32($0), options, unicode, &sequences) }
      let number = known[page] ?? UInt16(truncatingIfNeeded: known.count)
      if Int(number) == known.count {
        known[page] = number
        pages += page
      }
      pageOf.append(number)
    }
    self.pageOf = pageOf
    self.pages = pages
    self.sequences = sequences
  }

  /// `scalar` is a Unicode scalar value.
  func fold(_ scalar: UInt32) -> Fold {
    Fold(bits: pages[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 255)])
  }

  /// A scalar that is past the normaliser.
  static func classify(_ scalar: UInt32, _ unicode: UnicodeTables) -> Fold {
    let properties = unicode.properties(of: scalar)
    if properties.contains(.space) { return Fold(.space, scalar) }
    return Fold(properties.contains(.punctuation) ? .punctuation : .letter, scalar)
  }

  private static func fold(
    _ scalar: UInt32, _ options: NormalizerOptions, _ unicode: UnicodeTables, _ sequences: inout [UInt32]
  ) -> UInt32 {
    let properties = unicode.properties(of: scalar)
    if properties.isEmpty {
      let isSyllable = options.stripsAccents && UnicodeTables.hangul.contains(scalar)
      return Fold(isSyllable ? .hangul : .letter, 0).bits
    }
    if options.cleansText {
      if properties.contains(.removed) { return Fold(.drop, 0).bits }
      if properties.contains(.space) { return Fold(.space, 0x20).bits }
    }
    var parts = [scalar]
    if options.stripsAccents {
      parts = unicode.decomposition(of: scalar)
      let blocks = parts.contains { unicode.combiningClass(of: $0) == 0 }
      for part in parts where unicode.combiningClass(of: part) != 0 {
        if !unicode.properties(of: part).contains(.mark) { return Fold(.reorder, 0).bits }
      }
      parts.removeAll { unicode.properties(of: $0).contains(.mark) }
      if parts.isEmpty { return Fold(.drop, blocks ? 1 : 0).bits }
    }
    if options.lowercases { parts = parts.flatMap(unicode.lowercase) }
    let isChinese = options.splitsChinese && properties.contains(.chinese)
    if parts.count == 1 {
      let fold = classify(parts[0], unicode)
      // 0 stands for the scalar itself: letters that stay as they are then share their pages.
      let payload = parts[0] == scalar ? 0 : parts[0]
      if isChinese { return Fold(.chinese, payload).bits }
      return Fold(fold.kind, payload).bits
    }
    var outputs = parts.map { classify($0, unicode).bits }
    if isChinese { outputs = [Fold(.space, 0x20).bits] + outputs + [Fold(.space, 0x20).bits] }
    let payload = UInt32(truncatingIfNeeded: sequences.count << 4 | outputs.count)
    sequences += outputs
    return Fold(.sequence, payload).bits
  }
}
