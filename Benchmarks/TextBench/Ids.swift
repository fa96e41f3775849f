import JSON
import Tokenization

/// Answers questions about one tokenizer line by line, for scripts that compare it with another library.
enum Ids {
  /// Reads standard input, a JSON array in each line, and writes an array of numbers for each:
  ///
  /// * `[TEXT]`: id, start and end in bytes of every token of the text, without special tokens.
  /// * `[TEXT, LENGTH]`: whether the text was cut (0 or 1), then its ids with special tokens, at most LENGTH.
  /// * `[TEXT, TEXT, LENGTH]`: the same for a pair, and behind the ids the token types.
  ///
  /// - Throws: ``Usage`` for a line of another form, and where the ways to encode a text disagree.
  static func answer(_ tokenizer: Tokenizer) throws {
    while let line = readLine() {
      let parts = try JSONDocument(Array(line.utf8)).root.elements ?? []
      guard let text = parts.first?.string, parts.count <= 3 else {
        throw Usage(description: "a line is not a question")
      }
      var writer = JSONWriter()
      writer.beginArray()
      for number in try numbers(tokenizer, text, parts.dropFirst()) { writer.integer(number) }
      writer.endArray()
      print(String(decoding: writer.bytes, as: UTF8.self))
    }
  }

  private static func numbers(
    _ tokenizer: Tokenizer, _ text: String, _ rest: ArraySlice<JSONValue>
  ) throws -> [Int] {
    guard let last = rest.last else { return try places(tokenizer, text) }
    guard let length = last.integer else { throw Usage(description: "a length is not an integer") }
    guard rest.count == 2, let second = rest.first?.string else {
      let found = tokenizer.encode(text, maxLength: length)
      return [found.truncated ? 1 : 0] + found.ids.map(Int.init)
    }
    let found = tokenizer.encode(pair: (text, second), maxLength: length)
    return [found.truncated ? 1 : 0] + (found.ids + found.types).map(Int.init)
  }

  private static func places(_ tokenizer: Tokenizer, _ text: String) throws -> [Int] {
    let tokens = tokenizer.tokens(text, addSpecialTokens: false)
    let (before, after) = tokenizer.framing
    let ids = tokens.map(\.id)
    let whole = tokenizer.encode(text, maxLength: .max)
    guard whole.ids == before + ids + after, !whole.truncated else {
      throw Usage(description: "ids with and without places differ for \(text.debugDescription)")
    }
    for room in [0, 3, ids.count / 2, ids.count] {
      let cut = tokenizer.encode(text, maxLength: room + before.count + after.count)
      guard cut.truncated == (ids.count > room), cut.ids.count == min(room, ids.count) + before.count + after.count
      else { throw Usage(description: "at most \(room) tokens are wrong for \(text.debugDescription)") }
    }
    return tokens.flatMap { [Int($0.id), $0.start ?? -1, $0.stop ?? -1] }
  }
}

/// How fast one core reads given texts.
enum Rate {
  /// Reads standard input, a JSON string in each line, and prints the tokens of all of them, the seconds of this thread's
  /// processor time that the fastest of `repetitions` readings took, and the seconds of the first.
  static func print(_ tokenizer: Tokenizer, repetitions: Int) throws {
    var texts: [String] = []
    while let line = readLine() {
      guard let text = try JSONDocument(Array(line.utf8)).root.string else {
        throw Usage(description: "a line is not a string")
      }
      texts.append(text)
    }
    var tokens = 0
    var times: [Double] = []
    for _ in 0..<max(1, repetitions) {
      let start = processorSeconds()
      tokens = 0
      for text in texts { tokens += tokenizer.encode(text, maxLength: .max).ids.count }
      times.append(processorSeconds() - start)
    }
    Swift.print(tokens, times.min() ?? 0, times[0])
  }
}
