import Foundation
import TestSupport
import Testing
import Training

/// A folder that is removed behind the test.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("nearfar-training-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and returns its path.
  func write(_ name: String, _ content: String) throws -> String { try write(name, Data(content.utf8)) }

  func write(_ name: String, _ content: Data) throws -> String {
    let url = URL(fileURLWithPath: "\(path)/\(name)")
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try content.write(to: url)
    return url.path
  }
}

@Suite struct DataTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func examples(_ set: ExampleSet) -> [TrainingExample] { (0..<set.count).map { set[$0] } }

  @Test func readsJSONLines() throws {
    let path = try folder.write(
      "pairs.jsonl",
      """
      \u{FEFF}{"query": "a", "positive": "b"}\r

       \t
      {"query": "caf\\u00e9", "positive": "東京", "negatives": ["a", "n"], "id": 7}
      {"positive": "b", "query": "a", "negatives": null, "label": null}
      """)
    let set = try ExampleSet(pairs: path)
    #expect(
      examples(set) == [
        TrainingExample(query: "a", positive: "b"),
        TrainingExample(query: "café", positive: "東京", negatives: ["a", "n"]),
        TrainingExample(query: "a", positive: "b"),
      ])
    #expect((0..<3).map(set.line) == [1, 4, 5])
    #expect(set.differentTexts == 5 && set.hasNegatives && !set.isUnsupervised)
    #expect(set.labels.isEmpty)
  }

  @Test func labelsBecomeClassesInOrderOfAppearance() throws {
    let lines = [#""dog""#, "7", #""cat""#, #""7""#, #""dog""#].map { #"{"query":"q","positive":"p","label":\#($0)}"# }
    let set = try ExampleSet(pairs: try folder.write("labels.jsonl", lines.joined(separator: "\n")))
    #expect(set.labels == [0, 1, 2, 1, 0])
    #expect(set.classes == ["dog", "7", "cat"])
    #expect(set[3].label == "7")
  }

  @Test func readsColumns() throws {
    let set = try ExampleSet(pairs: try folder.write("pairs.TSV", "a b\tc\r\n\nd\te\tf\tg\n"))
    #expect(
      examples(set) == [
        TrainingExample(query: "a b", positive: "c"),
        TrainingExample(query: "d", positive: "e", negatives: ["f", "g"]),
      ])
  }

  @Test func readsTexts() throws {
    let plain = try ExampleSet(texts: try folder.write("texts.txt", "one\n\ntwo \"quoted\"\none"))
    #expect(
      examples(plain) == ["one", "two \"quoted\"", "one"].map { TrainingExample(query: $0, positive: nil) })
    #expect(plain.isUnsupervised && plain.differentTexts == 2)
    let lines = try ExampleSet(texts: try folder.write("texts.jsonl", "{\"text\": \"x\\ty\"}\n"))
    #expect(examples(lines) == [TrainingExample(query: "x\ty", positive: nil)])
  }

  /// Lines around the size of a block, and many texts in the table.
  @Test func longFilesAreReadWhole() throws {
    let long = String(repeating: "ab", count: 600_000)
    var content = "\(long)\tx\n"
    for index in 0..<5000 { content += "query \(index % 2500)\tpositive \(index)\n" }
    let set = try ExampleSet(pairs: try folder.write("long.tsv", content))
    #expect(set.count == 5001 && set.differentTexts == 2 + 2500 + 5000)
    #expect(set[0].query == long)
    #expect(set[5000] == TrainingExample(query: "query 2499", positive: "positive 4999"))
    #expect(set[2600].query == "query 99")
  }

  private func refusal(_ name: String, _ content: Data) throws -> String {
    let path = try folder.write(name, content)
    do {
      _ = name.hasPrefix("texts") ? try ExampleSet(texts: path) : try ExampleSet(pairs: path)
      return "accepted"
    } catch {
      return error.description.replacingOccurrences(of: "\(folder.path)/", with: "")
    }
  }

  @Test func errorsNameTheLineAndTheFault() throws {
    func refused(_ name: String, _ content: String) throws -> String { try refusal(name, Data(content.utf8)) }
    let good = #"{"query":"a","positive":"b"}"#
    #expect(try refused("a.jsonl", "\(good)\n\n{\"query\":\"a\"}") == #"a.jsonl: line 3: "positive" is missing"#)
    #expect(try refused("a.jsonl", #"{"query":1,"positive":"b"}"#) == #"a.jsonl: line 1: "query" must be a string"#)
    #expect(try refused("a.jsonl", "[1]") == "a.jsonl: line 1: is not a JSON object")
    #expect(try refused("a.jsonl", "\(good)\n{\"query\"").hasPrefix("a.jsonl: line 2: not valid JSON: "))
    #expect(try refused("a.jsonl", #"{"query":"a","positive":" "}"#) == "a.jsonl: line 1: the positive is empty")
    #expect(
      try refused("a.jsonl", #"{"query":"a","positive":"b","negatives":"c"}"#)
        == #"a.jsonl: line 1: "negatives" must be a list of texts"#)
    #expect(
      try refused("a.jsonl", #"{"query":"a","positive":"b","negatives":["c",""]}"#)
        == "a.jsonl: line 1: negative 2 is empty")
    #expect(
      try refused("a.jsonl", #"{"query":"a","positive":"b","negative":"c"}"#)
        == #"a.jsonl: line 1: "negative" is not known; "negatives" is a list of texts"#)
    #expect(
      try refused("a.jsonl", #"{"query":"a","positive":"b","label":1.5}"#)
        == #"a.jsonl: line 1: "label" must be a string or an integer"#)
    #expect(
      try refused("a.jsonl", "\(good)\n{\"query\":\"a\",\"positive\":\"b\",\"label\":1}")
        == "a.jsonl: line 2: has a label, and the examples before it have none")
    #expect(
      try refused("a.jsonl", "{\"query\":\"a\",\"positive\":\"b\",\"label\":1}\n\(good)")
        == "a.jsonl: line 2: has no label, and the examples before it have one")
    #expect(try refused("a.tsv", "a\tb\nc") == "a.tsv: line 2: has no tab between a query and a positive")
    #expect(try refused("a.tsv", "a\t\tb") == "a.tsv: line 1: the positive is empty")
    #expect(try refused("empty.jsonl", "\n\n") == "empty.jsonl: has no examples")
    #expect(try refused("texts.jsonl", "{}") == #"texts.jsonl: line 1: "text" is missing"#)
    #expect(try refused("texts", "") == "texts: has no examples")
    let broken = Data("a\tb\nc".utf8) + Data([0xC3, 0x28]) + Data("\td".utf8)
    #expect(try refusal("a.tsv", broken) == "a.tsv: line 2: is not valid UTF-8")
    #expect(try refusal("texts", broken) == "texts: line 2: is not valid UTF-8")
    let json = Data(#"{"query":"a","positive":""#.utf8) + Data([0xFF]) + Data(#""}"#.utf8)
    #expect(try refusal("a.jsonl", json).hasPrefix("a.jsonl: line 1: not valid JSON: "))
    #expect(throws: DataError("\(folder.path)/none", "cannot be opened: No such file or directory")) {
      try ExampleSet(pairs: "\(folder.path)/none")
    }
    #expect(throws: DataError(folder.path, "cannot be read: Is a directory")) { try ExampleSet(texts: folder.path) }
  }
}
