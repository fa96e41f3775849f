import Tokenization

/// How a text becomes a sequence.
public struct TextOptions: Sendable {
  public enum Side: Sendable { case left, right }

  /// Cut a text that is too long; otherwise it is an error.
  public var truncate = true
  /// Which end is cut off; nil for the one that the model's folder says.
  public var side: Side?
  /// Put before every text.
  public var prompt = ""

  public init() {}
}

extension SentenceEncoder {
  /// The tokens of a text with the special ones around it (``framing``); nil for a text that is too long and may not be cut.
  public func sequence(of text: String, _ options: TextOptions) -> TokenSequence? {
    let whole = options.prompt.isEmpty ? text : options.prompt + text
    let side: TextOptions.Side = tokenizer.truncatesLeft ? .left : .right
    if let wanted = options.side, wanted != side, options.truncate {
      return cut(tokens(of: whole, maxLength: .max).sequence, wanted, prompt: options.prompt)
    }
    let (sequence, isTruncated) = tokens(of: whole, maxLength: maxSequenceLength)
    return options.truncate || !isTruncated ? withoutPrompt(sequence, options.prompt) : nil
  }

  /// A sequence of ids cut to the model's length; what stands around texts stays where it is there.
  public func cut(_ ids: [Int32], _ side: TextOptions.Side?) -> TokenSequence {
    let side = side ?? (tokenizer.truncatesLeft ? .left : .right)
    let (before, after) = framing
    guard ids.starts(with: before), ids.reversed().starts(with: after.reversed()),
      ids.count >= before.count + after.count
    else {
      return TokenSequence(Array(side == .left ? ids.suffix(maxSequenceLength) : ids.prefix(maxSequenceLength)))
    }
    return cut(TokenSequence(ids), side, prompt: "")
  }

  private func tokens(of text: String, maxLength: Int) -> (sequence: TokenSequence, isTruncated: Bool) {
    guard hasTransformer else {
      let (before, after) = tokenizer.framing
      let frame = before.count + after.count
      let (ids, isTruncated) = tokenizer.encode(text, maxLength: maxLength == .max ? .max : maxLength + frame)
      return (TokenSequence(Array(ids.dropFirst(before.count).dropLast(after.count))), isTruncated)
    }
    guard tokenizer.hasTypes else {
      let (ids, isTruncated) = tokenizer.encode(text, maxLength: maxLength)
      return (TokenSequence(ids), isTruncated)
    }
    let (ids, types, isTruncated) = tokenizer.encode(typed: text, maxLength: maxLength)
    return (TokenSequence(ids, types: types), isTruncated)
  }

  /// Cuts a framed sequence between its frame.
  private func cut(_ sequence: TokenSequence, _ side: TextOptions.Side, prompt: String) -> TokenSequence {
    let surplus = sequence.count - maxSequenceLength
    guard surplus > 0 else { return withoutPrompt(sequence, prompt) }
    let (before, after) = framing
    let start = side == .left ? before.count : sequence.count - after.count - surplus
    // Where the frame alone is too long, nothing is left of the text.
    guard start >= before.count, start + surplus <= sequence.count - after.count else {
      return TokenSequence(Array(sequence.ids.prefix(maxSequenceLength)))
    }
    func kept(_ values: [Int32]) -> [Int32] {
      values.isEmpty ? [] : Array(values[..<start] + values[(start + surplus)...])
    }
    return withoutPrompt(TokenSequence(kept(sequence.ids), types: kept(sequence.types)), prompt)
  }

  /// The sequence with the tokens of the prompt marked, where the model does not pool them.
  private func withoutPrompt(_ sequence: TokenSequence, _ prompt: String) -> TokenSequence {
    guard !poolsPrompt, !prompt.isEmpty else { return sequence }
    var marked = sequence
    marked.unpooled = tokens(ofPrompt: prompt)
    return marked
  }
}
