import Encoder

/// The models that a service is built around.
public struct LoadedModels: Sendable {
  /// Where a model comes from.
  public struct Source: Sendable, Equatable {
    /// What requests call it; nil for the last part of the folder's path.
    public let name: String?
    public let folder: String

    public init(name: String? = nil, folder: String) {
      self.name = name
      self.folder = folder
    }
  }

  /// Why a model could not be loaded.
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
  }

  /// At least one; the first is used where a request names none.
  let encoders: [(name: String, encoder: SentenceEncoder)]
  let reranker: CrossEncoder?

  public init(_ encoder: SentenceEncoder, reranker: CrossEncoder? = nil) {
    encoders = [(encoder.name, encoder)]
    self.reranker = reranker
  }

  /// Loads the folders.
  ///
  /// - Parameters:
  ///   - sources: of encoders, at least one.
  ///   - reranker: the folder of a cross-encoder.
  /// - Throws: ``Failure`` naming the flag, the folder, and the file and key at fault.
  public init(
    _ sources: [Source], reranker: String? = nil, _ configuration: ServiceConfiguration
  ) throws(Failure) {
    var options = LoadingOptions()
    options.precision = WantedPrecision(rawValue: configuration.precision) ?? .auto
    options.threads = configuration.threads
    options.maxSequenceLength = configuration.maxSequenceLength
    var encoders: [(name: String, encoder: SentenceEncoder)] = []
    for source in sources {
      do throws(EncoderError) {
        let encoder = try SentenceEncoder(folder: source.folder, options)
        encoders.append((source.name ?? encoder.name, encoder))
      } catch {
        throw Failure(description: "--model \(source.folder): \(error)")
      }
    }
    guard !encoders.isEmpty, Set(encoders.map(\.name)).count == encoders.count else {
      throw Failure(description: "--model: several models need names of their own, as in --model NAME=DIR")
    }
    if let name = configuration.defaultPrompt, !encoders.contains(where: { $0.encoder.prompts.byName[name] != nil }) {
      throw Failure(description: "--default-prompt: \(UnknownPrompt(name, encoders[0].encoder.prompts))")
    }
    do throws(EncoderError) {
      self.reranker = try reranker.map { folder throws(EncoderError) in try CrossEncoder(folder: folder, options) }
    } catch {
      throw Failure(description: "--reranker \(reranker ?? ""): \(error)")
    }
    self.encoders = encoders
    let lengths = encoders.map(\.encoder.maxSequenceLength) + [self.reranker?.maxSequenceLength].compactMap { $0 }
    let longest = lengths.max()
    if let longest, let wanted = configuration.maxSequenceLength, wanted > longest {
      throw Failure(description: "--max-seq-length: \(wanted) is more than the model takes, which is \(longest)")
    }
  }

  /// The precision of each model's products and why it was chosen, as lines of a log.
  public var precisions: [String] {
    let single = encoders.count == 1
    return encoders.map { name, encoder in
      "\(single ? "the encoder" : "the encoder \(name)") computes in \(encoder.precision)"
    } + (reranker.map { ["the reranker computes in \($0.precision)"] } ?? [])
  }
}
