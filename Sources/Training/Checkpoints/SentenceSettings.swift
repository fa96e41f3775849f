import Encoder
import JSON

/// The files in which Sentence Transformers keeps how a model is put together.
package enum SentenceSettings {
  private static func object(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    write(&json)
    json.endObject()
    return json.bytes + [0x0A]
  }

  /// `modules.json` of modules in the order in which a text goes through them.
  ///
  /// - Parameter modules: the class of each, such as `Pooling`, and its folder within the model's.
  package static func modules(_ modules: [(type: String, path: String)]) -> [UInt8] {
    var json = JSONWriter()
    json.beginArray()
    for (index, module) in modules.enumerated() {
      json.beginObject()
      json.key("idx")
      json.integer(index)
      json.key("name")
      json.string(String(index))
      json.key("path")
      json.string(module.path)
      json.key("type")
      json.string("sentence_transformers.models.\(module.type)")
      json.endObject()
    }
    json.endArray()
    return json.bytes + [0x0A]
  }

  /// `modules.json` of a transformer with a pooling.
  static func modules(normalizes: Bool) -> [UInt8] {
    var list = [(type: "Transformer", path: ""), (type: "Pooling", path: "1_Pooling")]
    if normalizes { list.append((type: "Normalize", path: "2_Normalize")) }
    return modules(list)
  }

  /// `1_Pooling/config.json`: a flag for each pooling, which every version reads.
  static func pooling(_ poolings: [Pooling], width: Int) -> [UInt8] {
    object { json in
      json.key("word_embedding_dimension")
      json.integer(width)
      for pooling in Pooling.allCases {
        json.key(pooling.flag)
        json.bool(poolings.contains(pooling))
      }
      json.key("include_prompt")
      json.bool(true)
    }
  }

  /// `sentence_bert_config.json`.
  static func transformer(_ maximumLength: Int) -> [UInt8] {
    object { json in
      json.key("max_seq_length")
      json.integer(maximumLength)
      json.key("do_lower_case")
      json.bool(false)
    }
  }

  /// `config_sentence_transformers.json`.
  package static func model(_ prompts: [String: String] = [:]) -> [UInt8] {
    object { json in
      json.key("prompts")
      write(prompts, to: &json)
      json.key("default_prompt_name")
      json.null()
      json.key("similarity_fn_name")
      json.string("cosine")
    }
  }

  /// The content of a `config_sentence_transformers.json` with these prompts added to its own, or in the place of those of their names.
  ///
  /// - Throws: what ``Prompts`` throws.
  static func model(_ file: JSONField, with prompts: [String: String]) throws(FieldError) -> [UInt8] {
    let all = try Prompts(file).byName.merging(prompts) { _, new in new }
    let members = try file.members()
    return object { json in
      json.key("prompts")
      write(all, to: &json)
      for (key, field) in members where key != "prompts" {
        json.key(key)
        json.copy(field.value)
      }
    }
  }

  private static func write(_ prompts: [String: String], to json: inout JSONWriter) {
    json.beginObject()
    for (name, text) in prompts.sorted(by: { $0.key < $1.key }) {
      json.key(name)
      json.string(text)
    }
    json.endObject()
  }
}
