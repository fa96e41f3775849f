import JSON
import Testing
import Tokenization

@Suite struct FolderTests {
  /// A small tokenizer.json from the fixture.
  private func file() throws -> String {
    try #require(try Files.fixture()["variants"]?.elements?.last?["tokenizer"]?.string)
  }

  private func refusal(_ files: [String: String]) throws -> FieldError {
    try Files.folder(files) { folder in
      try #require(throws: FieldError.self) { try Tokenizer(ModelFolder(path: folder)) }
    }
  }

  @Test(arguments: [
    ("\"BertNormalizer\"", "\"Fold\"", "normalizer.type"),
    ("\"BertPreTokenizer\"", "\"UnicodeScripts\"", "pre_tokenizer.type"),
    ("\"WordPiece\"", "\"Bigrams\"", "model.type"),
    ("\"WordPiece\"", "\"BPE\"", "model.merges"),
    ("\"TemplateProcessing\"", "\"ByteLevel\"", "post_processor.add_prefix_space"),
    ("\"TemplateProcessing\"", "\"Frame\"", "post_processor.type"),
    ("\"clean_text\": true", "\"clean_text\": 1", "normalizer.clean_text"),
    ("\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<unk>\"", "model.unk_token"),
    ("\"max_input_chars_per_word\": 100", "\"max_input_chars_per_word\": -1", "model.max_input_chars_per_word"),
    ("\"[CLS]\": 2,", "\"[CLS]\": 20000000,", "model.vocab.[CLS]"),
    (
      "{\"id\": \"A\", \"type_id\": 0}}, {\"Sp", "{\"id\": \"A\", \"type_id\": 256}}, {\"Sp",
      "post_processor.single[1].Sequence.type_id"
    ),
    ("\"ids\": [3]", "\"ids\": [99999]", "post_processor.special_tokens.[SEP].ids[0]"),
    ("{\"id\": 4, \"content\"", "{\"id\": 5, \"content\"", "added_tokens[4].id"),
  ])
  func anythingElseIsRefusedByItsKey(_ part: String, _ replacement: String, _ key: String) throws {
    let text = try file()
    let pieces = text.split(separator: part, maxSplits: 1, omittingEmptySubsequences: false)
    try #require(pieces.count == 2, "the fixture has no \(part)")
    let error = try refusal(["tokenizer.json": pieces.joined(separator: replacement)])
    #expect(error.key == "tokenizer.json: \(key)")
    if key.hasSuffix("type") { #expect(error.message.hasPrefix("\(replacement) is not supported; supported: ")) }
  }

  @Test func brokenFilesAreNamed() throws {
    #expect(try refusal([:]).key == "tokenizer.json")
    #expect(try refusal(["tokenizer.json": "{"]).key == "tokenizer.json")
    #expect(try refusal(["tokenizer.json": "{}"]).key == "tokenizer.json: model")
    #expect(try refusal(["vocab.txt": "a\nb"]).key == "tokenizer_config.json: unk_token")
    #expect(try refusal(["vocab.txt": "[UNK]\nb"]).key == "tokenizer_config.json: cls_token")
    let long = String(repeating: "a", count: 1 << 23)
    #expect(try refusal(["vocab.txt": long]).key == "vocab.txt")
    let wide = try file().replacing("\"[CLS]\": 2,", with: "\"[CLS]\": 2, \"\(long)\": 3,")
    #expect(try refusal(["tokenizer.json": wide]).key == "tokenizer.json: model.vocab")
    let contradiction = ["tokenizer.json": try file(), "tokenizer_config.json": #"{"do_lower_case": false}"#]
    #expect(try refusal(contradiction).key == "tokenizer_config.json: do_lower_case")
  }

  @Test func vocabularyFileAloneGivesTheSameTokens() throws {
    let model = try Files.model()
    let files = [
      "vocab.txt": try Files.text(model + "/vocab.txt"),
      "tokenizer_config.json": try Files.text(model + "/tokenizer_config.json"),
    ]
    let tokenizer = try Files.folder(files) { try Tokenizer(ModelFolder(path: $0)) }
    let cases = try #require(Files.fixture()["cases"]?.elements).map(Case.init)
    #expect(cases.compactMap { $0.difference(from: tokenizer) }.prefix(5) == [])
    #expect(tokenizer.encode("a [MASK]", maxLength: 8).ids == [101, 1037, 103, 102])
  }

  @Test func settingsDecideWithoutTokenizerFile() throws {
    let vocabulary = "[UNK]\n[CLS]\n[SEP]\nA\na\né\n<x>\n"
    let settings = #"{"do_lower_case": false, "added_tokens_decoder": {"6": {"content": "<x>", "special": true}}}"#
    let files = ["vocab.txt": vocabulary, "tokenizer_config.json": settings]
    let tokenizer = try Files.folder(files) { try Tokenizer(ModelFolder(path: $0)) }
    #expect(tokenizer.encode("A a é <x>", maxLength: 16).ids == [1, 3, 4, 5, 6, 2])
    let lower = try Files.folder(["vocab.txt": vocabulary]) { try Tokenizer(ModelFolder(path: $0)) }
    #expect(lower.encode("A a É", maxLength: 16).ids == [1, 4, 4, 0, 2])
  }
}
