import Encoder
import Foundation
import Platform
import Safetensors
import SimilarityCore
import TestSupport
import Testing
import Tokenization
import Training

@Suite struct ModelFolderWriterTests {
  private let folder: TemporaryFolder
  private let families = "\(TestSupport.ModelFolder.repository)/Tests/EncoderTests/Families"
  private let texts = ["the red cat sees a river", "old wind under the door"]

  init() throws { folder = try TemporaryFolder() }

  /// The f32, f16 and bf16 tensors of a model's folders as a layout with values.
  private func parameters(
    _ source: String, _ folders: [String] = [""], where isTrained: (String) -> Bool = { _ in true }
  ) throws -> (layout: ParameterLayout, values: FloatArray) {
    var layout = ParameterLayout()
    var found: [[Float]] = []
    for folder in folders {
      let checkpoint = try Checkpoint(Tokenization.ModelFolder(path: folder.isEmpty ? source : "\(source)/\(folder)"))
      for name in checkpoint.names where isTrained(name) {
        let tensor = try #require(checkpoint.tensor(name))
        guard let values = try? tensor.floats() else { continue }
        layout.add(name, folder: folder, tensor.shape, .matrix)
        found.append(values)
      }
    }
    let values = try FloatArray(layout.count)
    for (entry, floats) in zip(layout.entries, found) {
      for (index, value) in floats.enumerated() { values.values[entry.start + index] = value }
    }
    return (layout, values)
  }

  private let settings = ModelFolderWriter.Settings(width: 32, maximumLength: 77)

  private func rows(_ path: String) throws -> [Float] {
    let encoder = try SentenceEncoder(folder: path)
    let sequences = texts.map { encoder.sequence(of: $0, TextOptions()) ?? TokenSequence([]) }
    return try encoder.encode(sequences, nil).values
  }

  private func largestDifference(_ one: [Float], _ other: [Float]) -> Float {
    one.count == other.count ? zip(one, other).map { abs($0 - $1) }.max() ?? 1 : .infinity
  }

  private func files(_ path: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: path).filter { name in
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted()
  }

  @Test func aBareTransformerGetsTheSettingsOfSentenceTransformers() throws {
    let source = "\(families)/bert"
    let (layout, values) = try parameters(source)
    let target = "\(folder.path)/deep/model"
    var settings = settings
    settings.poolings = [.max]
    settings.normalizes = true
    try ModelFolderWriter(source: source).write(to: target, layout, values, settings)
    #expect(
      try files(target) == [
        "1_Pooling/config.json", "config.json", "config_sentence_transformers.json", "model.safetensors",
        "modules.json", "sentence_bert_config.json", "tokenizer.json",
      ])
    let archive = try SafetensorsArchive(memoryMapping: "\(target)/model.safetensors")
    #expect(archive.metadata == ["format": "pt"])
    let original = try SafetensorsArchive(memoryMapping: "\(source)/model.safetensors")
    #expect(archive.names.sorted() == original.names.sorted())
    for name in archive.names { #expect(try archive.floats(name) == original.floats(name)) }
    let encoder = try SentenceEncoder(folder: target)
    #expect(encoder.poolings == [.max] && encoder.normalizes && encoder.maxSequenceLength == 77)
    let config = try Data(contentsOf: URL(fileURLWithPath: "\(target)/config.json"))
    #expect(try config == Data(contentsOf: URL(fileURLWithPath: "\(source)/config.json")))
  }

  @Test func whatIsTrainedIsWrittenAndTheRestIsCopied() throws {
    let source = "\(families)/sentence-transformers/bert-mean"
    let (layout, values) = try parameters(source) { $0.hasPrefix("encoder.layer.1.") }
    let first = try #require(layout.entries.first)
    for index in first.range { values.values[index] = Float(index) / 1024 }
    let target = "\(folder.path)/model"
    try ModelFolderWriter(source: source).write(to: target, layout, values, settings)
    let archive = try SafetensorsArchive(memoryMapping: "\(target)/model.safetensors")
    let original = try SafetensorsArchive(memoryMapping: "\(source)/model.safetensors")
    #expect(archive.names.sorted() == original.names.sorted() && original.names.count > layout.entries.count)
    for name in archive.names {
      let written = try archive.floats(name)
      if name == first.name {
        #expect(written == first.range.map { Float($0) / 1024 })
      } else {
        #expect(written == (try original.floats(name)))
      }
    }
    for name in ["modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer_config.json"] {
      #expect(
        try Data(contentsOf: URL(fileURLWithPath: "\(target)/\(name)"))
          == Data(contentsOf: URL(fileURLWithPath: "\(source)/\(name)")))
    }
    #expect(try largestDifference(rows(target), rows(source)) > 1e-3)
  }

  /// Prompts take the place of those of their names; other names and settings stay. A folder without settings gets some.
  @Test(arguments: ["gemma3-dense", "bert-mean", "static-model2vec"])
  func promptsOfTheTrainingAreKept(name: String) throws {
    let source = "\(families)/sentence-transformers/\(name)"
    let (layout, values) = try parameters(source)
    let before = try SentenceEncoder(folder: source)
    var settings = settings
    let query = before.prompts.name(for: .query) ?? "query"
    settings.prompts = [query: "Frage: \"", "document": "文書: "]
    let target = "\(folder.path)/model"
    try ModelFolderWriter(source: source).write(to: target, layout, values, settings)
    let after = try SentenceEncoder(folder: target)
    #expect(after.prompts.prompt(for: .query) == "Frage: \"")
    #expect(after.prompts.prompt(for: .document) == "文書: ")
    #expect(after.prompts.byName == before.prompts.byName.merging(settings.prompts) { $1 })
    #expect(after.prompts.defaultName == before.prompts.defaultName)
    #expect(after.similarity == before.similarity ?? .cosine)
  }

  /// A checkpoint in several files and half precision, with a dense module that has weights of its own.
  @Test func aDividedCheckpointBecomesOneFileOfF32() throws {
    let source = "\(families)/sentence-transformers/bert-cls-dense-bf16-sharded"
    for folders in [["", "2_Dense"], [""]] {
      let (layout, values) = try parameters(source, folders) { !$0.hasPrefix("pooler.") }
      let target = "\(folder.path)/model-\(folders.count)"
      try ModelFolderWriter(source: source).write(to: target, layout, values, settings)
      let written = try files(target)
      #expect(written.filter { $0.hasSuffix(".safetensors") } == ["2_Dense/model.safetensors", "model.safetensors"])
      #expect(!written.contains("model.safetensors.index.json"))
      let archive = try SafetensorsArchive(memoryMapping: "\(target)/model.safetensors")
      #expect(archive.names.allSatisfy { archive.tensor($0)?.dtype == .f32 || archive.tensor($0)?.dtype == .i64 })
      let config = try String(contentsOfFile: "\(target)/config.json", encoding: .utf8)
      #expect(!config.contains("bfloat16") && config.contains("\"float32\""))
      #expect(try largestDifference(rows(target), rows(source)) == 0)
    }
  }

  @Test(arguments: ["static", "static-model2vec", "gemma3-dense", "qwen3-last-bf16"])
  func otherLayoutsGiveTheSameRows(name: String) throws {
    let source = "\(families)/sentence-transformers/\(name)"
    let (layout, values) = try parameters(source, [name == "static" ? "0_StaticEmbedding" : ""])
    let target = "\(folder.path)/model"
    try ModelFolderWriter(source: source).write(to: target, layout, values, settings)
    #expect(try rows(target) == rows(source))
  }

  @Test func theSameValuesGiveTheSameBytes() throws {
    let source = "\(families)/sentence-transformers/mpnet-mean"
    let (layout, values) = try parameters(source)
    for name in ["one", "two"] {
      try ModelFolderWriter(source: source).write(to: "\(folder.path)/\(name)", layout, values, settings)
    }
    let names = try files("\(folder.path)/one")
    #expect(try names == files("\(folder.path)/two") && names.count > 5)
    for name in names {
      #expect(
        FileManager.default.contentsEqual(atPath: "\(folder.path)/one/\(name)", andPath: "\(folder.path)/two/\(name)"))
    }
  }

  /// The work is stopped before each of its operations in turn: the folder then has the old model, the new one or none.
  @Test func whereverItIsStoppedTheModelIsWholeOrAbsent() throws {
    let source = "\(families)/sentence-transformers/bert-mean"
    let (layout, old) = try parameters(source)
    let new = try FloatArray(copying: old)
    for index in 0..<new.count { new.values[index] *= 0.5 }
    let target = "\(folder.path)/model"
    func write(_ values: FloatArray, _ operations: FileOperations = FileOperations()) throws {
      try ModelFolderWriter(source: source, operations).write(to: target, layout, values, settings)
    }
    func contents() throws -> [String: Data] {
      let names = try files(target).filter { !$0.hasPrefix(".partial-model/") }
      return try Dictionary(
        uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(fileURLWithPath: "\(target)/\($0)"))) })
    }
    _ = try folder.write("model/metrics.jsonl", "{}\n")
    try write(old)
    let expectedOld = try contents()
    try write(new)
    let expectedNew = try contents()
    #expect(try expectedOld != expectedNew && rows(target) != rows(source))
    var seen: [String] = []
    while seen.last != "finished" {
      try write(old)
      do {
        try write(new, operations(stoppingBefore: seen.count))
        seen.append("finished")
      } catch let error as CheckpointError {
        #expect(error.message.hasPrefix("stopped before: "))
        let found = try contents()
        if found["config.json"] == nil {
          // Loading takes a while, and fails in the same way each time.
          if seen.last != "absent" { #expect(throws: EncoderError.self) { try rows(target) } }
          seen.append("absent")
        } else {
          seen.append(found == expectedOld ? "old" : found == expectedNew ? "new" : "mixed")
        }
        try write(new)
      }
      #expect(try contents() == expectedNew && !files(target).contains { $0.hasPrefix(".") })
    }
    // One state after the other, and never a mixture.
    let order = seen.reduce(into: [String]()) { if $0.last != $1 { $0.append($1) } }
    #expect(order == ["old", "absent", "new", "finished"] && seen.count > 30)
  }

  @Test func whenTheDiskIsFullTheOldModelStays() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let test = try ModelFolderWriterTests()
      let source = "\(test.families)/sentence-transformers/bert-mean"
      let target = "\(test.folder.path)/model"
      let (layout, values) = try test.parameters(source)
      let writer = ModelFolderWriter(source: source)
      try writer.write(to: target, layout, values, test.settings)
      let before = try test.rows(target)
      for index in 0..<values.count { values.values[index] = 0 }
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: 20_000, rlim_max: 20_000)
      guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { exit(3) }
      do throws(CheckpointError) {
        try writer.write(to: target, layout, values, test.settings)
        exit(4)
      } catch {
        guard error.message == "cannot be written: File too large" else { exit(5) }
      }
      guard !FileManager.default.fileExists(atPath: "\(target)/.partial-model") else { exit(6) }
      exit(try test.rows(target) == before ? 42 : 7)
    }
  }

  @Test func theModelThatIsTrainedIsNotOverwritten() throws {
    let source = "\(folder.path)/source"
    try FileManager.default.copyItem(atPath: "\(families)/bert", toPath: source)
    let (layout, values) = try parameters(source)
    #expect(throws: CheckpointError("\(source)/.", "is the folder of the model that is trained")) {
      try ModelFolderWriter(source: source).write(to: "\(source)/.", layout, values, settings)
    }
  }
}
