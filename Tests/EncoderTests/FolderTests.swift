import Encoder
import Foundation
import TestSupport
import Testing

/// Model folders that differ from the default model's in one file.
@Suite struct FolderTests {
  /// Builds a folder of links to the model's files, with `file` written anew, and loads it.
  private func load(_ file: String, _ content: String?, as name: String = #function) throws -> SentenceEncoder {
    let manager = FileManager.default
    let folder = manager.temporaryDirectory.appendingPathComponent("nearfar-folder-\(UUID().uuidString)")
    try manager.createDirectory(
      at: folder.appendingPathComponent("1_Pooling"), withIntermediateDirectories: true)
    defer { try? manager.removeItem(at: folder) }
    let files = [
      "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "modules.json",
      "sentence_bert_config.json", "1_Pooling/config.json",
    ]
    for each in files where each != file {
      try manager.createSymbolicLink(
        atPath: folder.appendingPathComponent(each).path, withDestinationPath: "\(ModelFolder.path)/\(each)")
    }
    if let content { try Data(content.utf8).write(to: folder.appendingPathComponent(file)) }
    return try SentenceEncoder(folder: folder.path)
  }

  private func original(_ file: String) throws -> String {
    try String(contentsOfFile: "\(ModelFolder.path)/\(file)", encoding: .utf8)
  }

  /// The error of `SentenceEncoder` for a folder in which `text` in `file` is replaced.
  private func refusal(_ file: String, _ text: String, _ replacement: String) throws -> String {
    let before = try original(file)
    #expect(before.contains(text), "\(file) has no \(text)")
    do {
      _ = try load(file, before.replacingOccurrences(of: text, with: replacement))
      return "accepted"
    } catch EncoderError.folder(let key, _) {
      return key
    }
  }

  @Test func namesTheKeyThatIsNotSupported() throws {
    let config = "config.json"
    #expect(try refusal(config, "\"bert\"", "\"t5\"") == "config.json: model_type")
    #expect(try refusal(config, "\"gelu\"", "\"mish\"") == "config.json: hidden_act")
    #expect(try refusal(config, "\"absolute\"", "\"relative_key\"") == "config.json: position_embedding_type")
    #expect(
      try refusal(config, "\"num_attention_heads\": 12", "\"num_attention_heads\": 7")
        == "config.json: num_attention_heads")
    #expect(try refusal(config, "\"hidden_size\": 384", "\"hidden_size\": -384") == "config.json: hidden_size")
    #expect(try refusal(config, "\"hidden_size\"", "\"hidden_sizes\"") == "config.json: hidden_size")
    #expect(try refusal(config, "\"vocab_size\": 30522", "\"vocab_size\": 30000") == "config.json: vocab_size")
    #expect(
      try refusal(config, "\"hidden_size\": 384", "\"hidden_size\": 768")
        == "model.safetensors: embeddings.word_embeddings.weight")
    #expect(
      try refusal(config, "\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7")
        == "model.safetensors: encoder.layer.6.attention.self.query.weight")
    #expect(try refusal(config, "{", "{{") == "config.json")
    #expect(
      try refusal("modules.json", "sentence_transformers.models.Normalize", "sentence_transformers.models.LSTM")
        == "modules.json: [2].type")
    #expect(
      try refusal("modules.json", "sentence_transformers.models.Normalize", "sentence_transformers.models.Dense")
        == "2_Normalize/config.json")
    #expect(try refusal("modules.json", "1_Pooling", "../1_Pooling") == "modules.json: [1].path")
    #expect(
      try refusal("modules.json", "sentence_transformers.models.Pooling", "sentence_transformers.models.Dropout")
        == "modules.json")
    let pooling = "1_Pooling/config.json"
    #expect(
      try refusal(pooling, "pooling_mode_mean_tokens", "pooling_mode_median")
        == "1_Pooling/config.json: pooling_mode_median")
    #expect(
      try refusal(
        pooling, "\"pooling_mode_mean_tokens\": true", "\"pooling_mode_mean_tokens\": true, \"include_prompt\": 0")
        == "1_Pooling/config.json: include_prompt")
    #expect(
      try refusal(pooling, "\"pooling_mode_mean_tokens\": true", "\"pooling_mode\": [\"mean\", \"median\"]")
        == "1_Pooling/config.json: pooling_mode[1]")
    #expect(
      try refusal(pooling, "\"pooling_mode_mean_tokens\": true", "\"pooling_mode_mean_tokens\": false")
        == "1_Pooling/config.json: pooling_mode")
    #expect(
      try refusal("sentence_bert_config.json", "256", "1") == "sentence_bert_config.json: max_seq_length")
  }

  @Test func namesAFileThatIsMissing() throws {
    for file in ["config.json", "model.safetensors"] {
      #expect(throws: EncoderError.self) { try load(file, nil) }
      do {
        _ = try load(file, nil)
      } catch EncoderError.folder(let key, _) {
        #expect(key == file)
      }
    }
    let error = #expect(throws: EncoderError.self) { try load("model.safetensors", "not a checkpoint") }
    #expect(error?.description.hasPrefix("model.safetensors: /") == true)
    #expect(error?.description.hasSuffix("/model.safetensors is not a safetensors file: it is text") == true)
  }

  @Test func poolsAsTheFolderSays() throws {
    let flag = #"{"word_embedding_dimension": 384, "pooling_mode_%@": true}"#
    let name = #"{"embedding_dimension": 384, "pooling_mode": "%@"}"#
    let goldens = try GoldenPoolings.load().cases
    for (form, key, pooling, golden) in [
      (flag, "mean_tokens", Pooling.mean, \GoldenPoolings.Case.mean), (flag, "cls_token", .cls, \.cls),
      (flag, "max_tokens", .max, \.max), (name, "max", .max, \.max),
      (flag, "mean_sqrt_len_tokens", .meanSquareRoot, \.meanSquareRoot), (flag, "lasttoken", .lastToken, \.last),
      (flag, "weightedmean_tokens", .weightedMean, \.weighted), (name, "weightedmean", .weightedMean, \.weighted),
    ] {
      let content = form.replacingOccurrences(of: "%@", with: key)
      let encoder = try load("1_Pooling/config.json", content)
      #expect(encoder.poolings == [pooling])
      for test in goldens {
        let row = try encoder.encode([test.ids]).row(0)
        let worst = zip(row, floats(test[keyPath: golden])).map { abs($0 - $1) }.max() ?? 1
        #expect(worst <= 1e-4, "\(key)")
      }
    }
  }

  @Test(arguments: [
    #"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true, "include_prompt": true}"#,
    #"{"pooling_mode": ["cls", "mean"]}"#,
  ])
  func severalPoolingsStandOneAfterAnother(_ content: String) throws {
    let encoder = try load("1_Pooling/config.json", content)
    #expect(encoder.poolings == [.cls, .mean])
    #expect(encoder.dimension == 768)
    for test in try GoldenPoolings.load().cases {
      let row = try encoder.encode([test.ids]).row(0)
      let worst = zip(row, floats(test.cls) + floats(test.mean)).map { abs($0 - $1) }.max() ?? 1
      #expect(row.count == 768 && worst <= 1e-4)
    }
  }

  /// A bare transformer is mean-pooled over the position table's length and not normalised.
  @Test func loadsWithoutModules() throws {
    let encoder = try load("modules.json", nil)
    #expect(encoder.poolings == [.mean])
    #expect(!encoder.normalizes)
    let longer = try load("sentence_bert_config.json", nil)
    #expect(longer.maxSequenceLength == 512)
    #expect(encoder.fingerprint != longer.fingerprint)
  }
}
