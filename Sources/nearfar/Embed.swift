import Dispatch
import Service
import Synchronization

/// `nearfar embed`: embeds the texts of a file, in this process.
struct EmbedCommand: Command {
  static let name = "embed"
  static let summary = "embed the lines of a file, without a service"
  static let details = """
    Embeds each line of a file in this process and writes the vectors in the order of the lines, as a tensor 'embeddings' (.safetensors) \
    or an array (.npy) of 32-bit floats. They are those that POST /embed gives.

    Until it is whole, the output is named OUTPUT.part. Progress is kept in OUTPUT.nearfar-progress: a run that was interrupted goes \
    on from there when it is started again with the same flags. Standard input is always read from its beginning.
    """
  static let flags: [any CommandFlag] = [
    input, output, textField, ServeOptions.modelFolder, ServeOptions.maxSequenceLength, normalize, dimensions,
    promptName, inputType, truncate, ServeOptions.precision, threads,
  ]

  private static let input = Flag(
    "input", .text("FILE"), .required, "The file of texts, one for each line; - reads standard input.")
  private static let output = Flag(
    "output", .text("FILE"), .required, "The file of vectors to write, whose name ends in .safetensors or .npy.")
  private static let textField = Flag(
    "text-field", .text("NAME"), .optional(meaning: "'text' where FILE ends in .jsonl, and none otherwise"),
    "Lines are JSON objects, and this field has the text. Blank lines among them are left out.")
  private static let normalize = Flag(
    "normalize", .trueOrFalse, .defaults(to: true), "Whether vectors are scaled to length 1.")
  private static let dimensions = Flag(
    "dimensions", .integer(1...1 << 20), .optional(meaning: "all"), "Keep so many leading values, scaled to length 1.")
  private static let promptName = Flag(
    "prompt-name", .text("NAME"), .optional(), "The model's prompt of this name stands before every text.")
  private static let inputType = Flag(
    "input-type", .choice(["query", "document"]), .optional(),
    "The model's prompt for queries or for documents stands before every text, where it has one.")
  private static let truncate = Flag(
    "truncate", .trueOrFalse, .defaults(to: true),
    "Whether a text of too many tokens is cut; otherwise the command stops there.")
  private static let threads = Usable.threads(isVariable: true, "Threads that share the work.")

  /// Texts that are embedded together, and sets of them that are under way at once, so that all cores have work.
  private static let textsPerSet = 1024
  private static let setsUnderWay = 3

  /// Texts that are being embedded.
  private final class Pending: Sendable {
    let end: InputPlace
    /// The numbers of the texts' lines.
    let lines: [Int]
    private let result = Mutex<Result<FileEncoder.Rows, FileEncoder.Failure>?>(nil)
    private let isDone = DispatchSemaphore(value: 0)

    init(_ lines: [Int], end: InputPlace) {
      self.lines = lines
      self.end = end
    }

    func done(_ rows: Result<FileEncoder.Rows, FileEncoder.Failure>) {
      result.withLock { $0 = rows }
      isDone.signal()
    }

    func wait() throws(FileEncoder.Failure) -> FileEncoder.Rows {
      isDone.wait()
      guard let rows = result.withLock({ $0 }) else { preconditionFailure("a result comes before its signal") }
      return try rows.get()
    }
  }

  private let encoder: FileEncoder
  private let file: SystemFile
  private let field: String?
  /// nil where the input cannot be read again.
  private let progressPath: String?
  private let identity: String
  private var reader: LineReader
  private var output: VectorOutput
  private var progress = ProgressLine("embedded", of: "text")
  private var pending: [Pending] = []
  /// Behind the last line that was taken.
  private var end = InputPlace()
  private var texts = 0
  private var tokens = 0

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let path = try arguments.value(input)
    let target = try arguments.value(output)
    let field = try arguments.given(textField) ?? (path.hasSuffix(".jsonl") ? "text" : nil)
    let folder = try arguments.value(ServeOptions.modelFolder)
    let threads = try arguments.value(threads)
    var options = FileEncoder.Options()
    options.normalize = try arguments.value(normalize)
    options.dimensions = try arguments.given(dimensions)
    options.promptName = try arguments.given(promptName)
    options.inputType = try arguments.given(inputType)
    guard options.promptName == nil || options.inputType == nil else {
      throw UsageError("--prompt-name and --input-type exclude each other")
    }
    options.maxSequenceLength = try arguments.given(ServeOptions.maxSequenceLength)
    options.truncate = try arguments.value(truncate)
    options.precision = try arguments.value(ServeOptions.precision)
    guard let form = VectorOutput.Form(path: target) else {
      throw UsageError("--output must be a name that ends in .safetensors or .npy, not '\(target)'")
    }
    return CommandError.status { () throws(CommandError) in
      let file = path == "-" ? SystemFile.standardInput : try SystemFile.reading(path)
      let encoder: FileEncoder
      do throws(FileEncoder.Failure) {
        encoder = try FileEncoder(model: folder, threads: threads, options)
      } catch {
        throw CommandError(error.reason)
      }
      var command = try EmbedCommand(encoder, path, file, field, (form, target))
      try command.run()
    }
  }

  private init(
    _ encoder: FileEncoder, _ path: String, _ file: SystemFile, _ field: String?,
    _ target: (form: VectorOutput.Form, path: String)
  ) throws(CommandError) {
    self.encoder = encoder
    self.file = file
    self.field = field
    identity = "\(encoder.identity)\n\(field ?? "(lines)")\n\(path)"
    reader = LineReader(file)
    func open(_ rows: Int?) throws(CommandError) -> VectorOutput {
      try VectorOutput(
        target.form, target.path, dimension: encoder.dimension, model: encoder.modelName,
        fingerprint: encoder.fingerprint,
        rows: rows)
    }
    guard path != "-", let size = file.size else {
      progressPath = nil
      output = try open(nil)
      return
    }
    let saved = InputProgress.path(of: target.path)
    progressPath = saved
    if let earlier = InputProgress.load(saved), SystemFile.exists(VectorOutput.part(of: target.path)) {
      if earlier.identity == identity, try reader.skip(to: earlier.offset, lines: earlier.lines),
        earlier.matches(reader.place), let output = try? open(earlier.output)
      {
        self.output = output
        progress = ProgressLine("embedded", of: "text", done: Double(earlier.offset) / Double(max(1, size)))
        progress.say("going on behind line \(earlier.lines)")
        return
      }
      progress.say("the input, the model or the flags have changed since the last run: starting over")
      reader = LineReader(try SystemFile.reading(path))
    }
    output = try open(nil)
  }

  private mutating func run() throws(CommandError) {
    var batch: [String] = []
    var lines: [Int] = []
    while let line = try reader.next() {
      let text: String?
      do throws(CommandError) {
        text = try Self.text(of: line, field)
      } catch {
        // What comes before the line is kept for the next run.
        try begin(&batch, &lines)
        try writeAll()
        progress.clear()
        throw CommandError("\(file.path): line \(line.number): \(error.description)")
      }
      end = line.end
      guard let text else { continue }
      batch.append(text)
      lines.append(line.number)
      if batch.count == Self.textsPerSet { try begin(&batch, &lines) }
    }
    try begin(&batch, &lines)
    try writeAll()
    try output.finish()
    if let progressPath { SystemFile.remove(progressPath) }
    progress.finish(points: texts, ", \(tokens) tokens")
  }

  /// - Returns: nil for a blank line among JSON objects.
  private static func text(of line: LineReader.Line, _ field: String?) throws(CommandError) -> String? {
    if let field { return try JSONLine(line)?.text(field) }
    let bytes = line.bytes.last == 0x0D ? line.bytes.dropLast() : line.bytes[...]
    guard let text = String(validating: bytes, as: UTF8.self) else { throw CommandError("not UTF-8") }
    return text
  }

  /// Begins to embed a set of texts, and writes the oldest when enough are under way.
  private mutating func begin(_ batch: inout [String], _ lines: inout [Int]) throws(CommandError) {
    guard !batch.isEmpty else { return }
    let next = Pending(lines, end: end)
    encoder.embed(batch) { next.done($0) }
    pending.append(next)
    (batch, lines) = ([], [])
    if pending.count == Self.setsUnderWay { try writeOldest() }
  }

  private mutating func writeAll() throws(CommandError) {
    while !pending.isEmpty { try writeOldest() }
  }

  private mutating func writeOldest() throws(CommandError) {
    let oldest = pending.removeFirst()
    let rows: FileEncoder.Rows
    do throws(FileEncoder.Failure) {
      rows = try oldest.wait()
    } catch {
      progress.clear()
      let line = error.text.map { ": line \(oldest.lines[$0])" } ?? ""
      throw CommandError("\(file.path)\(line): \(error.reason)")
    }
    try output.append(rows.bytes)
    texts += oldest.lines.count
    tokens += rows.tokens
    if let progressPath {
      try output.flush()
      do throws(CommandError) {
        try InputProgress(identity: identity, oldest.end, output: output.rows).save(progressPath)
      } catch {
        progress.say("\(error); a repeated run will start over")
      }
    }
    let share = file.size.map { Double(oldest.end.offset) / Double(max(1, $0)) }
    progress.show(points: texts, tokens: tokens, done: share)
  }
}
