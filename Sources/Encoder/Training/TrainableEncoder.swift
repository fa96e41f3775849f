import JSON
import SimilarityCore
import Tokenization

/// A text encoder from a folder in the Hugging Face layout whose parameters can be trained: see ``SentenceEncoder`` for
/// what the folder has.
package struct TrainableEncoder: Sendable {
  package let tokenizer: Tokenizer
  package let model: any TrainableModel
  package let poolings: [Pooling]
  /// Whether the last module is Normalize.
  package let normalizes: Bool
  /// Whether the tokens of a prompt are pooled.
  package let poolsPrompt: Bool
  package let prompts: Prompts
  /// How vectors are meant to be compared; nil where the folder does not say.
  package let similarity: Similarity?
  /// The most tokens of a sequence, including the special ones.
  package var maxSequenceLength: Int { model.longestSequence }

  /// Opens the folder. The parameters are read by ``TrainableModel/load(into:)``.
  ///
  /// - Parameters:
  ///   - maxSequenceLength: the most tokens of a sequence, where the model takes more.
  ///   - dropout: the probability of dropout, in place of those that `config.json` states, wherever the family has it.
  ///   - precision: of the products of the layers; below f32 that is bf16 with sums in f32, where the
  ///     processor multiplies it, and the parameters stay f32.
  /// - Throws: ``EncoderError``, which names the file and the key that is missing, malformed or not supported.
  package init(
    folder path: String, maxSequenceLength: Int? = nil, dropout: Float? = nil, precision: Precision = .f32,
    kernels: Kernels = .active
  ) throws(EncoderError) {
    let folder = ModelFolder(path: path)
    let settings: SentenceModules
    let inner: ModelFolder
    do throws(FieldError) {
      settings = try SentenceModules(folder)
      guard case .transformer(let found) = settings.first else {
        throw FieldError(key: "modules.json", message: "names a table of vectors, which is not a transformer")
      }
      inner = found
    } catch {
      throw EncoderError(error)
    }
    let found = try TransformerFolder(inner, limits: [settings.maxSequenceLength, maxSequenceLength])
    try settings.check(found.tokenizer)
    tokenizer = found.tokenizer
    var description = found.description
    if let dropout { description.dropout = description.dropout.replaced(by: dropout) }
    let (modules, checkpoints, isLast) = try Self.modules(
      settings, folder, width: description.hiddenSize * settings.poolings.count)
    let within = inner.path == folder.path ? "" : String(inner.path.dropFirst(folder.path.count + 1))
    model = try TrainableTransformer(
      description, try Checkpoint(inner), folder: within, poolings: settings.poolings, modules, checkpoints,
      rounds: precision != .f32 && kernels.multipliesBF16, kernels)
    poolings = settings.poolings
    normalizes = isLast
    poolsPrompt = settings.poolsPrompt
    prompts = settings.prompts
    similarity = settings.similarity
  }

  /// The modules behind the pooling, and whether there was a last Normalize, which is left out.
  private static func modules(
    _ settings: SentenceModules, _ folder: ModelFolder, width: Int
  ) throws(EncoderError) -> ([TrainableLayout.SentenceModule], [String: Checkpoint], normalizes: Bool) {
    var modules: [TrainableLayout.SentenceModule] = []
    var checkpoints: [String: Checkpoint] = [:]
    var width = width
    for module in settings.later {
      switch module {
      case .normalize: modules.append(.normalize)
      case .dense(let path):
        let shape = try DenseModule.shape(folder, path, inputs: width)
        let checkpoint: Checkpoint
        do throws(EncoderError) {
          checkpoint = try Checkpoint(ModelFolder(path: "\(folder.path)/\(path)"))
          let source = WeightSource(checkpoint, prefix: "", precision: .f32, kernels: .active)
          _ = try source.tensor("linear.weight", [shape.outputs, width])
          if shape.hasBias { _ = try source.tensor("linear.bias", [shape.outputs]) }
        } catch {
          throw error.within(path)
        }
        checkpoints[path] = checkpoint
        modules.append(.dense(path: path, shape: shape))
        width = shape.outputs
      }
    }
    guard case .normalize? = modules.last else { return (modules, checkpoints, false) }
    return (Array(modules.dropLast()), checkpoints, true)
  }
}
