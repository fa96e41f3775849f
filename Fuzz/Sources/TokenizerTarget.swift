import JSON
import Platform
import Tokenization

/// Tokenizer files and texts. The input is tokenizer.json, tokenizer_config.json, vocab.txt and a text. A part of the first three
/// that is empty is a file that is not there; where all three are, the text is read with a small tokenizer.
struct TokenizerTarget {
  private let folder = makeFolder()
  private let standing: Tokenizer

  init() {
    for (name, content) in TinyModel.tokenizerFiles { put(Array(content.utf8), at: "\(folder)/\(name)") }
    let path = folder
    standing = must { try Tokenizer(ModelFolder(path: path)) }
  }

  func run(_ input: [UInt8]) {
    var parts = Parts(input)
    var hasFile = false
    for name in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
      let content = parts.next()
      let path = "\(folder)/\(name)"
      if content.isEmpty { unlink(path) } else { put(content, at: path) }
      if !content.isEmpty { hasFile = true }
    }
    let text = String(decoding: parts.next(), as: UTF8.self)
    guard hasFile else { return check(standing, text) }
    do throws(FieldError) {
      let tokenizer = try Tokenizer(ModelFolder(path: folder))
      check(tokenizer, text)
    } catch {
      require(!error.key.isEmpty && !error.message.isEmpty, "the error names no key")
    }
  }

  private func check(_ tokenizer: Tokenizer, _ text: String) {
    let length = text.utf8.count
    let whole = tokenizer.encode(text, maxLength: .max)
    require(!whole.truncated, "a text is cut without a limit")
    require(whole.ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize }, "an id is not in the vocabulary")
    let traced = tokenizer.tokens(text, addSpecialTokens: true)
    require(traced.map(\.id) == whole.ids, "tokens \(traced.map(\.id)), ids \(whole.ids)")
    var last = 0
    for token in traced where !token.special {
      guard let start = token.start, let stop = token.stop else { finding("a token of the text has no place") }
      require(last <= start && start <= stop && stop <= length, "a token is at \(start)..<\(stop) of \(length), after \(last)")
      last = start
    }
    require(
      tokenizer.tokens(text, addSpecialTokens: false) == traced.filter { !$0.special }, "special tokens change the others")
    for limit in [0, 1, 2, 3, 8] {
      let cut = tokenizer.encode(text, maxLength: limit)
      require(cut.ids.count <= limit, "\(cut.ids.count) ids where \(limit) are allowed")
      require(cut.truncated == (whole.ids.count > limit) || cut.ids.count == limit, "truncated is \(cut.truncated) at \(limit)")
    }
  }
}
