extension Scan {
  /// Scans a text, until there are more than `limit` tokens.
  static func run(
    _ model: TokenizerModel, _ text: String, limit: Int, isTraced: Bool
  ) -> (ids: [Int32], spans: [Span]) {
    var text = text
    let characters = model.wordPiece.maximumCharacters
    return text.withUTF8 { bytes in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: characters * 4) { room in
        // SAFETY: both buffers have the sizes that WordBuffer asks for, and outlive the scan.
        withUnsafeTemporaryAllocation(of: Span.self, capacity: isTraced ? characters * 4 : 0) { spans in
          let word = WordBuffer(room, spans, maximumCharacters: characters)
          var scan = Scan(model, bytes, limit: limit, word: word)
          scan.run()
          return (scan.ids, scan.spans)
        }
      }
    }
  }

  /// The bytes that the normaliser makes of a short text.
  static func normalize(_ text: String, folding: Folding, wordPiece: WordPiece) -> [UInt8] {
    let none = AddedTokens()
    let model = TokenizerModel(
      wordPiece: wordPiece, folding: folding, raw: none, normalized: none, template: Template())
    var text = text
    return text.withUTF8 { bytes in
      let empty = WordBuffer(.init(start: nil, count: 0), .init(start: nil, count: 0), maximumCharacters: 0)
      var scan = Scan(model, bytes, limit: 0, word: empty)
      return scan.normalizedBytes()
    }
  }
}
