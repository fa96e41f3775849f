import Encoder
import Safetensors

/// A text encoder with few weights, so that requests that embed texts are answered in microseconds.
enum TinyModel {
  private static let (hidden, inner, positions) = (8, 16, 16)

  private static let vocabulary =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + "abcdefghijklmnopqrstuvwxyz0123456789".map { String($0) }
    + "abcdefghijklmnopqrstuvwxyz".map { "##\($0)" }
    + ["the", "##ing", "##ed", "hello", "world", "é", "中", "文", "!", ",", ".", "'"]

  /// vocab.txt
  static let vocabularyFile = vocabulary.joined(separator: "\n") + "\n"
  /// tokenizer_config.json
  static let settings = #"{"do_lower_case": true}"#

  /// Writes the model to a folder and loads it.
  static func load(from folder: String) -> SentenceEncoder {
    put(Array(vocabularyFile.utf8), at: "\(folder)/vocab.txt")
    put(Array(settings.utf8), at: "\(folder)/tokenizer_config.json")
    let configuration = """
      {"model_type": "bert", "hidden_size": \(hidden), "num_hidden_layers": 1, "num_attention_heads": 2,
      "intermediate_size": \(inner), "vocab_size": \(vocabulary.count), "max_position_embeddings": \(positions)}
      """
    put(Array(configuration.utf8), at: "\(folder)/config.json")
    return must {
      put(try weights(), at: "\(folder)/model.safetensors")
      return try SentenceEncoder(folder: folder)
    }
  }

  private static func weights() throws(SafetensorsError) -> [UInt8] {
    var writer = SafetensorsWriter()
    var seed: UInt64 = 7
    func add(_ name: String, _ shape: [Int]) throws(SafetensorsError) {
      var values: [Float] = []
      for _ in 0..<shape.reduce(1, *) {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        values.append(Float(seed >> 40) / Float(1 << 24) - 0.5)
      }
      try writer.add(name: name, shape: shape, floats: values)
    }
    func addLayer(_ name: String, _ outputs: Int, _ inputs: Int) throws(SafetensorsError) {
      try add("\(name).weight", [outputs, inputs])
      try add("\(name).bias", [outputs])
    }
    func addNorm(_ name: String) throws(SafetensorsError) {
      try add("\(name).weight", [hidden])
      try add("\(name).bias", [hidden])
    }
    try add("embeddings.word_embeddings.weight", [vocabulary.count, hidden])
    try add("embeddings.position_embeddings.weight", [positions, hidden])
    try add("embeddings.token_type_embeddings.weight", [2, hidden])
    try addNorm("embeddings.LayerNorm")
    let layer = "encoder.layer.0"
    for part in ["query", "key", "value"] { try addLayer("\(layer).attention.self.\(part)", hidden, hidden) }
    try addLayer("\(layer).attention.output.dense", hidden, hidden)
    try addNorm("\(layer).attention.output.LayerNorm")
    try addLayer("\(layer).intermediate.dense", inner, hidden)
    try addLayer("\(layer).output.dense", hidden, inner)
    try addNorm("\(layer).output.LayerNorm")
    return writer.serialize()
  }
}
