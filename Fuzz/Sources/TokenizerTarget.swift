import JSON
import Platform
import Tokenization

/// Tokenizer files. The input is tokenizer.json, tokenizer_config.json, vocab.txt and a text; a part of the first three that is empty
/// is a file that is not there. Loading takes some tenths of a second under AddressSanitizer, so texts have a target of their own.
struct TokenizerTarget {
  private let folder = makeFolder()

  func run(_ input: [UInt8]) {
    var parts = Parts(input)
    for name in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
      let content = parts.next()
      let path = "\(folder)/\(name)"
      if content.isEmpty { unlink(path) } else { put(content, at: path) }
    }
    let text = String(decoding: parts.next(), as: UTF8.self)
    do throws(FieldError) {
      let tokenizer = try Tokenizer(ModelFolder(path: folder))
      TextTarget.check(tokenizer, text)
    } catch {
      require(!error.key.isEmpty && !error.message.isEmpty, "the error names no key")
    }
  }
}

/// Texts, read with two small tokenizers: one that folds them and one that leaves them as they are and has added tokens.
struct TextTarget {
  private let tokenizers: [Tokenizer]

  init() {
    let folder = makeFolder()
    let added = """
      {"do_lower_case": false, "tokenize_chinese_chars": false, "added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": true},
      "67": {"content": "the", "single_word": true, "rstrip": true}, "70": {"content": "hello", "normalized": true, "lstrip": true}}}
      """
    tokenizers = [TinyModel.settings, added].map { settings in
      put(Array(TinyModel.vocabularyFile.utf8), at: "\(folder)/vocab.txt")
      put(Array(settings.utf8), at: "\(folder)/tokenizer_config.json")
      return must { try Tokenizer(ModelFolder(path: folder)) }
    }
  }

  func run(_ input: [UInt8]) {
    let text = String(decoding: input, as: UTF8.self)
    for tokenizer in tokenizers { Self.check(tokenizer, text) }
  }

  static func check(_ tokenizer: Tokenizer, _ text: String) {
    let length = text.utf8.count
    let whole = tokenizer.encode(text, maxLength: .max)
    require(!whole.truncated, "a text is cut without a limit")
    require(whole.ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize }, "an id is not in the vocabulary")
    let traced = tokenizer.tokens(text, addSpecialTokens: true)
    require(traced.map(\.id) == whole.ids, "tokens \(traced.map(\.id)), ids \(whole.ids)")
    var last = 0
    for token in traced where !token.special {
      guard let start = token.start, let stop = token.stop else { finding("a token of the text has no place") }
      require(
        last <= start && start <= stop && stop <= length, "a token is at \(start)..<\(stop) of \(length), after \(last)"
      )
      last = start
    }
    require(
      tokenizer.tokens(text, addSpecialTokens: false) == traced.filter { !$0.special },
      "special tokens change the others")
    for limit in [0, 1, 2, 3, 8] {
      let cut = tokenizer.encode(text, maxLength: limit)
      require(cut.ids.count <= limit, "\(cut.ids.count) ids where \(limit) are allowed")
      require(
        cut.truncated == (whole.ids.count > limit) || cut.ids.count == limit,
        "truncated is \(cut.truncated) at \(limit)")
    }
  }
}
