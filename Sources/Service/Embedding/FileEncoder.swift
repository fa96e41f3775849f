import Encoder
import SimilarityCore

/// What `/embed` does, for texts that come from a file and without a service: the same batches, and the same bytes.
public final class FileEncoder: Sendable {
  /// How texts become vectors, as in `/embed`.
  public struct Options: Sendable {
    public var normalize = true
    public var dimensions: Int?
    /// Which prompt stands before every text; nil for that which stands for all requests.
    public var promptName: String?
    /// `query` or `document`, whose prompt stands before every text; excludes a name.
    public var inputType: String?
    /// Fewer tokens of a text than the model would take.
    public var maxSequenceLength: Int?
    public var truncate = true
    /// One of auto, f32, bf16 and int8.
    public var precision = "auto"

    public init() {}
  }

  /// Vectors of some texts, one after another.
  public struct Rows: Sendable {
    /// 32-bit floats, little-endian.
    public let bytes: [UInt8]
    /// Tokens of the texts.
    public let tokens: Int
  }

  /// Why texts cannot be embedded.
  public struct Failure: Error, Sendable, Equatable {
    /// The text at fault, counted from 0; nil where it is none.
    public let text: Int?
    public let reason: String
  }

  private let encoder: SentenceEncoder
  private let text: TextOptions
  private let shape: VectorShape
  private let queues: WorkQueues
  private let batcher: Batcher<TokenSequence>

  /// Loads the encoder.
  ///
  /// - Throws: ``Failure``.
  public init(model folder: String, threads: Int, _ options: Options) throws(Failure) {
    do {
      var loading = LoadingOptions()
      loading.precision = WantedPrecision(rawValue: options.precision) ?? .auto
      loading.maxSequenceLength = options.maxSequenceLength
      encoder = try SentenceEncoder(folder: folder, loading)
    } catch {
      throw Failure(text: nil, reason: "--model \(folder): \(error)")
    }
    if let wanted = options.maxSequenceLength, wanted > encoder.maxSequenceLength {
      throw Failure(
        text: nil,
        reason: "--max-seq-length: \(wanted) is more than the model takes, which is \(encoder.maxSequenceLength)")
    }
    if let dimensions = options.dimensions, !(1...encoder.dimension).contains(dimensions) {
      throw Failure(text: nil, reason: "--dimensions must be at most \(encoder.dimension), the model's")
    }
    var text = TextOptions()
    text.truncate = options.truncate
    do throws(UnknownPrompt) {
      text.prompt = encoder.prompts.standard(nil)
      if let name = options.promptName { text.prompt = try encoder.prompts.named(name) }
      if let role = options.inputType.flatMap(Prompts.Role.init(inputType:)) {
        text.prompt = encoder.prompts.prompt(for: role) ?? ""
      }
    } catch {
      throw Failure(text: nil, reason: "--prompt-name: \(error)")
    }
    self.text = text
    shape = VectorShape(normalize: options.normalize, dimensions: options.dimensions)
    queues = WorkQueues(count: threads)
    batcher = Batcher(encoder: encoder, queues: queues) { _ in }
  }

  /// The number of values of a vector.
  public var dimension: Int { shape.dimensions ?? encoder.dimension }
  public var modelName: String { encoder.name }
  public var fingerprint: String { encoder.fingerprint }

  /// What vectors depend on beside their texts.
  public var identity: String {
    "\(encoder.fingerprint)\n\(encoder.precision.precision)\n\(shape.normalize ?? true)\n\(dimension)\n\(text.truncate)\n\(text.prompt)"
  }

  /// Embeds texts. Several calls may be under way, whose texts share batches.
  ///
  /// - Parameter done: called once, on another thread.
  public func embed(_ texts: [String], _ done: @escaping @Sendable (Result<Rows, Failure>) -> Void) {
    queues.submit {
      do throws(Failure) {
        self.encode(try self.sequences(of: texts), done)
      } catch {
        done(.failure(error))
      }
    }
  }

  private func sequences(of texts: [String]) throws(Failure) -> [TokenSequence] {
    var sequences: [TokenSequence] = []
    sequences.reserveCapacity(texts.count)
    for (index, text) in texts.enumerated() {
      guard let sequence = encoder.sequence(of: text, self.text) else {
        throw Failure(text: index, reason: "the text has more than the model's \(encoder.maxSequenceLength) tokens")
      }
      guard sequence.count > 0 || !encoder.hasTransformer else {
        throw Failure(text: index, reason: "the text has no tokens of this model")
      }
      sequences.append(sequence)
    }
    return sequences
  }

  private func encode(_ sequences: [TokenSequence], _ done: @escaping @Sendable (Result<Rows, Failure>) -> Void) {
    let plan = SequencePlan(sequences, cache: nil)
    let tokens = encoder.costs(of: sequences).reduce(0, +)
    batcher.encode(
      plan.missing, isAbandoned: { false },
      finish: { result in
        do {
          let rows = try self.shape.applied(
            to: plan.rows(try result.get(), dimension: self.encoder.dimension), self.encoder)
          // Both of the supported processors are little-endian.
          done(.success(Rows(bytes: rows.values.withUnsafeBytes { Array($0) }, tokens: tokens)))
        } catch let error as ZeroRow {
          done(.failure(Failure(text: error.row, reason: self.encoder.noDirection)))
        } catch {
          done(.failure(Failure(text: nil, reason: Problem(describing: error).detail)))
        }
      })
  }
}
