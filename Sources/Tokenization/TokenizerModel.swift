/// Everything that a folder says about how its texts become ids. It never changes once it is loaded.
struct TokenizerModel: Sendable {
  var wordPiece: WordPiece
  let folding: Folding
  /// What becomes of each ASCII character, and which bytes may start an added token.
  let ascii: [ASCIIAction]
  /// Added tokens that are matched in the text as it is.
  let rawTokens: AddedTokens
  /// Added tokens that are matched behind the normaliser.
  let normalizedTokens: AddedTokens
  let template: Template

  init(wordPiece: WordPiece, options: NormalizerOptions, added: [AddedToken], template: Template) {
    let folding = Folding(options)
    var raw = AddedTokens()
    var normalized = AddedTokens()
    var wordPiece = wordPiece
    for token in added {
      wordPiece.name(token.id, token.content)
      if token.normalized {
        normalized.insert(token, spelling: Scan.normalize(token.content, folding: folding, wordPiece: wordPiece))
      } else {
        raw.insert(token, spelling: token.content.utf8)
      }
    }
    self.init(wordPiece: wordPiece, folding: folding, raw: raw, normalized: normalized, template: template)
  }

  init(wordPiece: WordPiece, folding: Folding, raw: AddedTokens, normalized: AddedTokens, template: Template) {
    self.wordPiece = wordPiece
    self.folding = folding
    rawTokens = raw
    normalizedTokens = normalized
    self.template = template
    ascii = (0..<256).map { byte in
      let fold = byte < 0x80 ? folding.fold(UInt32(byte)) : Fold(.sequence, 0)
      return ASCIIAction(fold, byte: UInt8(byte), mayStartToken: raw.mayStart(with: UInt8(byte)))
    }
  }
}

/// `Fold` of an ASCII character, in one byte of output and one of flags.
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
  /// Neither of these nor a space.
  var isSpecial: Bool { flags & 8 != 0 }
  var mayStartToken: Bool { flags & 16 != 0 }
}

/// The tokens that stand around those of a text.
struct Template: Sendable {
  var before: [Token] = []
  var after: [Token] = []

  var count: Int { before.count + after.count }
}
