import Encoder
import JSON
import Platform
import Safetensors
import Tokenization

/// Writes a trained model as a folder in the Hugging Face layout, which Sentence Transformers and this program load: the settings
/// and the tokenizer of the folder that the training began with, and the trained values in `model.safetensors`, as f32.
package struct ModelFolderWriter {
  /// What is written where the source is a bare transformer, without the settings of Sentence Transformers; the prompts always are.
  package struct Settings: Sendable {
    package var poolings = [Pooling.mean]
    /// The number of values of a token's vector.
    package var width: Int
    package var maximumLength: Int
    package var normalizes = false
    /// Prompts that the training was given, by name.
    package var prompts: [String: String] = [:]

    package init(width: Int, maximumLength: Int) { (self.width, self.maximumLength) = (width, maximumLength) }
  }

  private let source: ModelFolder
  private let operations: FileOperations

  /// - Parameter source: the folder that the training began with.
  package init(source: String, _ operations: FileOperations = FileOperations()) {
    self.source = ModelFolder(path: source)
    self.operations = operations
  }

  /// Writes the model to the folder `path`, which may have other files; see ``FolderInstallation``.
  ///
  /// Tensors of the source that are not trained, such as poolers, are copied. A checkpoint that is divided into several files
  /// becomes one file.
  ///
  /// - Parameters:
  ///   - layout: the trained tensors, under the names of the checkpoint.
  ///   - values: their values.
  /// - Throws: ``CheckpointError`` naming the file that cannot be read or written.
  package func write(
    to path: String, _ layout: ParameterLayout, _ values: FloatArray, _ settings: Settings
  ) throws(CheckpointError) {
    if let here = realPath(source.path), realPath(path) == here {
      throw CheckpointError(path, "is the folder of the model that is trained")
    }
    let modules = try moduleFolders()
    try FolderInstallation.write(path, operations) { folder throws(CheckpointError) in
      try copySettings("", settings.prompts, to: &folder)
      for module in modules.sorted() where !module.isEmpty { try copySettings("\(module)/", to: &folder) }
      let trained = layout.entries.map(\.folder)
      for place in modules.union(trained).union([""]).sorted() {
        try writeTensors(place, layout.entries.filter { $0.folder == place }, values, to: &folder)
      }
      let isBare = !folder.has("modules.json")
      if isBare { try writeSettings(settings, to: &folder) }
      if isBare || !settings.prompts.isEmpty, !folder.has(Self.promptFile) {
        try folder.write(Self.promptFile, SentenceSettings.model(settings.prompts))
      }
    }
  }

  /// The folders of the modules that `modules.json` names, within the model's.
  private func moduleFolders() throws(CheckpointError) -> Set<String> {
    do throws(FieldError) {
      var folders: Set<String> = []
      for module in try source.json("modules.json")?.elements() ?? [] {
        guard let path = module.optional("path") else { continue }
        let name = try path.string()
        guard !name.hasPrefix("/"), !name.split(separator: "/").contains("..") else {
          throw path.refused("must stay within the model's folder")
        }
        folders.insert(name)
      }
      return folders
    } catch {
      throw CheckpointError(source.path, "\(error)")
    }
  }

  // MARK: Settings

  /// Names of settings that describe files which are not written.
  private static let left = ["model.safetensors.index.json", "pytorch_model.bin.index.json"]
  /// How the names of settings and of tokenizer files end.
  private static let endings = [".json", ".txt", ".model", ".jinja", ".vocab", ".bpe"]

  private static let promptFile = "config_sentence_transformers.json"

  private func copySettings(
    _ place: String, _ prompts: [String: String] = [:], to folder: inout FolderInstallation
  ) throws(CheckpointError) {
    for name in (Folder.names(in: "\(source.path)/\(place)") ?? []).sorted() {
      let path = "\(source.path)/\(place)\(name)"
      guard Self.endings.contains(where: name.hasSuffix), !Self.left.contains(name), !name.hasPrefix("."),
        operations.isFile(path)
      else { continue }
      if name == "config.json", let changed = try configuration("\(place)\(name)") {
        try folder.write("\(place)\(name)", changed)
      } else if name == Self.promptFile, !prompts.isEmpty, let changed = try settings(name, with: prompts) {
        try folder.write(name, changed)
      } else {
        try folder.copy(path, as: "\(place)\(name)")
      }
    }
  }

  private func settings(_ name: String, with prompts: [String: String]) throws(CheckpointError) -> [UInt8]? {
    do throws(FieldError) {
      return try source.json(name).map { file throws(FieldError) in try SentenceSettings.model(file, with: prompts) }
    } catch {
      throw CheckpointError(source.path, "\(error)")
    }
  }

  /// The settings of a model with its type of values set to f32, in which it is written; nil where that is so already.
  /// transformers would otherwise round the values to the type that is stated.
  private func configuration(_ name: String) throws(CheckpointError) -> [UInt8]? {
    do throws(FieldError) {
      guard let file = try source.json(name) else { return nil }
      var (json, isChanged) = (JSONWriter(), false)
      Self.copy(file.value, to: &json, &isChanged)
      return isChanged ? json.bytes + [0x0A] : nil
    } catch {
      throw CheckpointError(source.path, "\(error)")
    }
  }

  private static func copy(_ value: JSONValue, to json: inout JSONWriter, _ isChanged: inout Bool) {
    guard let members = value.members else { return json.copy(value) }
    json.beginObject()
    for (key, value) in members {
      json.key(key)
      if key == "dtype" || key == "torch_dtype", let type = value.string, type != "float32" {
        json.string("float32")
        isChanged = true
      } else {
        copy(value, to: &json, &isChanged)
      }
    }
    json.endObject()
  }

  /// Writes the settings of Sentence Transformers for a bare transformer.
  private func writeSettings(
    _ settings: Settings, to folder: inout FolderInstallation
  ) throws(CheckpointError) {
    try folder.write("modules.json", SentenceSettings.modules(normalizes: settings.normalizes))
    try folder.write(
      "1_Pooling/config.json", SentenceSettings.pooling(settings.poolings, width: settings.width))
    if !folder.has("sentence_bert_config.json") {
      try folder.write("sentence_bert_config.json", SentenceSettings.transformer(settings.maximumLength))
    }
  }

  // MARK: Tensors

  /// Writes the tensors of a folder within the model's: those that are trained, and the others of its checkpoint as they are.
  private func writeTensors(
    _ place: String, _ entries: [ParameterLayout.Entry], _ values: FloatArray, to folder: inout FolderInstallation
  ) throws(CheckpointError) {
    let inner = place.isEmpty ? source.path : "\(source.path)/\(place)"
    var tensors = entries.map { OutputTensor($0.name, $0.shape, values, from: $0.start) }
    var checkpoint: Checkpoint?
    if operations.isFile("\(inner)/model.safetensors") || operations.isFile("\(inner)/model.safetensors.index.json") {
      do throws(EncoderError) {
        checkpoint = try Checkpoint(ModelFolder(path: inner))
      } catch {
        throw CheckpointError(inner, error.description)
      }
    }
    let trained = Set(entries.map(\.name))
    for name in checkpoint?.names ?? [] where !trained.contains(name) {
      if let view = checkpoint?.tensor(name) { tensors.append(OutputTensor(view)) }
    }
    guard !tensors.isEmpty else { return }
    try folder.write(place.isEmpty ? "model.safetensors" : "\(place)/model.safetensors", tensors)
    checkpoint?.releasePages()
  }

  private func realPath(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
