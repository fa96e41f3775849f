import Encoder
import Tokenization

/// Makes the sequence of a text as an encoder of the same folder does, so that training and serving see the same tokens.
package struct SequenceMaker: Sendable {
  private struct Prompt: Sendable {
    let text: String
    /// The number of leading tokens that are not pooled.
    let unpooled: Int
  }

  private let tokenizer: Tokenizer
  private let maximumLength: Int
  private let isFramed: Bool
  private let query: Prompt
  private let document: Prompt

  package init(_ tokenizer: Tokenizer, _ options: TokenizingOptions) {
    self.tokenizer = tokenizer
    maximumLength = options.maximumLength
    isFramed = options.isFramed
    // The tokens of a prompt, with the special ones before it, are counted in the prompt alone, as Sentence Transformers does.
    func prompt(_ text: String) -> Prompt {
      guard !options.poolsPrompt, !text.isEmpty, options.isFramed else { return Prompt(text: text, unpooled: 0) }
      let tokens = tokenizer.encode(text, maxLength: .max).ids.count
      return Prompt(text: text, unpooled: max(0, tokens - tokenizer.framing.after.count))
    }
    query = prompt(options.queryPrompt)
    document = prompt(options.documentPrompt)
  }

  /// Whether sequences have tokens of another type than 0.
  var hasTypes: Bool { tokenizer.hasTypes && isFramed }

  /// The number of leading tokens of a sequence that are not pooled.
  func unpooled(_ role: Prompts.Role) -> Int { prompt(role).unpooled }

  private func prompt(_ role: Prompts.Role) -> Prompt { role == .query ? query : document }

  /// The tokens of a text behind the prompt of its role, cut to the maximum length.
  package func sequence(_ text: String, _ role: Prompts.Role) -> TokenSequence {
    let prompt = prompt(role)
    let whole = prompt.text.isEmpty ? text : prompt.text + text
    guard isFramed else {
      let (before, after) = tokenizer.framing
      let (length, overflow) = maximumLength.addingReportingOverflow(before.count + after.count)
      let ids = tokenizer.encode(whole, maxLength: overflow ? .max : length).ids
      return TokenSequence(Array(ids.dropFirst(before.count).dropLast(after.count)))
    }
    if tokenizer.hasTypes {
      let (ids, types, _) = tokenizer.encode(typed: whole, maxLength: maximumLength)
      return TokenSequence(ids, types: types, unpooled: min(prompt.unpooled, ids.count))
    }
    let ids = tokenizer.encode(whole, maxLength: maximumLength).ids
    return TokenSequence(ids, unpooled: min(prompt.unpooled, ids.count))
  }
}
