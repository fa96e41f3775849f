/// The result of the normaliser and the pre-tokeniser for one scalar, in 32 bits.
struct Fold {
  enum Kind: UInt32 {
    /// A part of a word. `payload` is the scalar that it becomes; 0 stands for the scalar itself.
    case letter
    /// It is removed. `payload` is 1 where canonical ordering does not move combining marks across it.
    case drop
    /// It separates words.
    case space
    /// It is a word of its own. `payload` is as for a letter.
    case punctuation
    /// It is a word of its own, with a space on each side. `payload` is as for a letter.
    case chinese
    /// It becomes several folds: `payload` is offset × 16 + count in ``Folding/sequences``.
    case sequence
    /// It is a Hangul syllable, which is decomposed into its letters.
    case hangul
    /// Its decomposition has a mark that stays and that canonical ordering may move.
    case reorder
  }

  var bits: UInt32
  var kind: Kind { Kind(rawValue: bits & 7) ?? .letter }
  var payload: UInt32 { bits >> 3 }

  init(bits: UInt32) { self.bits = bits }
  init(_ kind: Kind, _ payload: UInt32) { bits = kind.rawValue | payload << 3 }

  /// The fold of a scalar of normalised text.
  init(normalized scalar: UInt32, _ unicode: UnicodeTables) {
    switch BertPreTokenizer.classify(scalar, unicode) {
    case .letter: self.init(.letter, scalar)
    case .space: self.init(.space, scalar)
    case .punctuation: self.init(.punctuation, scalar)
    }
  }
}

/// The fold of an ASCII character: a byte of output and a byte of flags.
struct ASCIIAction: Sendable {
  let output: UInt8
  private let flags: UInt8

  init(_ fold: Fold, byte: UInt8, mayStartToken: Bool) {
    output = fold.payload == 0 ? byte : UInt8(truncatingIfNeeded: fold.payload)
    var flags: UInt8 = mayStartToken ? 16 : 0
    switch fold.kind {
    case .letter: flags |= fold.payload < 0x80 ? 1 : 8
    case .punctuation, .chinese: flags |= fold.payload < 0x80 ? 2 : 8
    case .space: break
    case .drop, .sequence, .hangul, .reorder: flags |= 8
    }
    self.flags = flags
  }

  var isLetter: Bool { flags & 1 != 0 }
  var isPunctuation: Bool { flags & 2 != 0 }
  /// Whether it is anything else than a letter, punctuation or a space that stays in ASCII: the scan then takes its
  /// general path.
  var isSpecial: Bool { flags & 8 != 0 }
  /// Whether an added token may start with this byte.
  var mayStartToken: Bool { flags & 16 != 0 }
}

/// The normaliser and the pre-tokeniser for all code points in one table, made once for the options of a tokenizer. A
/// scan looks each character up instead of running one after the other.
struct Folding: Sendable {
  let normalizer: BertNormalizer
  /// ``Fold/bits`` of all code points, in pages of 256. Equal pages are stored once.
  private let pageOf: [UInt16]
  private let pages: [UInt32]
  /// ``Fold/bits`` of the scalars that become several folds, one after another.
  let sequences: [UInt32]

  init(_ normalizer: BertNormalizer) {
    self.normalizer = normalizer
    let unicode = UnicodeTables.shared
    var pageOf: [UInt16] = []
    var pages: [UInt32] = []
    var sequences: [UInt32] = []
    var known: [[UInt32]: UInt16] = [:]
    for start in stride(from: 0, to: UnicodeTables.codePoints, by: 256) {
      let page = (start..<start + 256).map { code in
        let output = normalizer.normalize(UInt32(code), unicode)
        return Self.fold(UInt32(code), output, unicode, &sequences).bits
      }
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

  /// The fold of a Unicode scalar value.
  func fold(_ scalar: UInt32) -> Fold {
    Fold(bits: pages[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 255)])
  }

  private static func fold(
    _ scalar: UInt32, _ output: BertNormalizer.Output, _ unicode: UnicodeTables, _ sequences: inout [UInt32]
  ) -> Fold {
    switch output {
    // 0 stands for the scalar itself, so that pages of letters that stay as they are are equal.
    case .unchanged: return Fold(Fold(normalized: scalar, unicode).kind, 0)
    case .space: return Fold(.space, 0x20)
    case .nothing(let blocksMarks): return Fold(.drop, blocksMarks ? 1 : 0)
    case .hangul: return Fold(.hangul, 0)
    case .reordered: return Fold(.reorder, 0)
    case .scalars(let parts, let isSetApart):
      if parts.count == 1 {
        let payload = parts[0] == scalar ? 0 : parts[0]
        return Fold(isSetApart ? .chinese : Fold(normalized: parts[0], unicode).kind, payload)
      }
      var folds = parts.map { Fold(normalized: $0, unicode).bits }
      let space = Fold(.space, 0x20).bits
      if isSetApart { folds = [space] + folds + [space] }
      let payload = UInt32(truncatingIfNeeded: sequences.count << 4 | folds.count)
      sequences += folds
      return Fold(.sequence, payload)
    }
  }
}
