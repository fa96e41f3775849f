import JSON

/// `nearfar index`: embeds and stores the lines of a file in a collection of a running service.
struct IndexCommand: Command {
  static let name = "index"
  static let summary = "embed and store the lines of a file in a collection of a running service"
  static let details = """
    Reads one JSON object per line, embeds its text and stores it as a point. A collection that does not exist is made \
    when there is a first good line to store. A line with the id of an earlier line replaces it.

    Progress is kept in FILE.nearfar-progress until the run is complete: a run that was interrupted goes on from there \
    when it is started again. The exit status is 0 when every line is stored, or skipped with --skip-bad.
    """
  static let flags: [any CommandFlag] =
    [
      Options.input, Options.collection, Options.textField, Options.idField, Options.metadataFields, Options.batch,
      Options.skipsBadLines,
    ] + RemoteService.flags

  /// What the command is told.
  struct Options {
    fileprivate static let input = Flag(
      "input", .text("FILE"), .required, "The file of JSON objects, one per line; - reads standard input.")
    fileprivate static let collection = Flag("collection", .text("NAME"), .required, "The collection to store into.")
    fileprivate static let textField = Flag("text-field", .text("NAME"), .required, "The field to embed.")
    fileprivate static let idField = Flag(
      "id-field", .text("NAME"), .optional(meaning: "the line's number"), "The field with the point's id.")
    fileprivate static let metadataFields = Flag(
      "metadata-fields", .list(), .optional(meaning: "all other fields"), "The fields to store as metadata.")
    fileprivate static let batch = Flag("batch", .integer(1...10_000), .defaults(to: 64), "Points per request.")
    fileprivate static let skipsBadLines = Flag(
      "skip-bad", .standingAlone, .defaults(to: false),
      "Report lines that cannot be stored and go on, instead of stopping at the first.")

    /// nil is standard input.
    let input: String?
    let collection: String
    let textField: String
    /// nil takes line numbers as ids.
    let idField: String?
    /// nil takes every other field.
    let metadataFields: [String]?
    let batch: Int
    let skipsBadLines: Bool

    init(_ arguments: Arguments) throws(UsageError) {
      let path = try arguments.value(Self.input)
      input = path == "-" ? nil : path
      collection = try arguments.value(Self.collection)
      textField = try arguments.value(Self.textField)
      idField = try arguments.given(Self.idField)
      metadataFields = try arguments.given(Self.metadataFields)
      batch = try arguments.value(Self.batch)
      skipsBadLines = try arguments.value(Self.skipsBadLines)
    }

    /// What must not have changed when an interrupted run is continued.
    func identity(url: String) -> String {
      [url, collection, textField, idField ?? "(line)", metadataFields?.joined(separator: ",") ?? "(all)"]
        .joined(separator: "\n")
    }
  }

  private let options: Options
  private let service: RemoteService
  private let collection: RemoteCollection
  private let file: SystemFile
  private var reader: LineReader
  private var progress = ProgressLine("indexed")
  private var batch = IndexBatch()
  private var collectionExists = false
  private var sent = 0
  private var ids = DistinctIDs()
  private var skipped = 0

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let options = try Options(arguments)
    let service = try RemoteService(arguments)
    return CommandError.status { () throws(CommandError) in
      var command = try IndexCommand(options, service)
      try command.run()
    }
  }

  private init(_ options: Options, _ service: RemoteService) throws(CommandError) {
    self.options = options
    self.service = service
    collection = RemoteCollection(service: service, name: options.collection)
    file = try options.input.map { path throws(CommandError) in try SystemFile.reading(path) } ?? .standardInput
    reader = LineReader(file)
  }

  private mutating func run() throws(CommandError) {
    try resume(try find())
    while let line = try reader.next() {
      let point: IndexLine?
      do throws(CommandError) {
        point = try IndexLine(line, options)
      } catch {
        try reject(line.number, error.description)
        continue
      }
      guard let point else { continue }
      // A batch cannot hold an id twice: the earlier line is stored first, and then replaced.
      if batch.isFull(options.batch) || batch.contains(point.id) { try send() }
      batch.add(point, end: line.end)
    }
    try send()
    let replacements = sent - stored
    progress.finish(
      points: stored,
      (replacements == 0 ? "" : "; \(counted(replacements, "line")) replaced an earlier one with the same id")
        + (skipped == 0 ? "" : "; \(counted(skipped, "line")) \(skipped == 1 ? "was" : "were") skipped"))
    if let input = options.input { SystemFile.remove(InputProgress.path(of: input)) }
  }

  /// Points that this run has stored. Line numbers are different anyway.
  private var stored: Int { options.idField == nil ? sent : ids.count }

  /// - Returns: the collection's version; nil when there is no such collection.
  private mutating func find() throws(CommandError) -> Int? {
    do throws(RemoteFailure) {
      let found = try collection.describe()
      collectionExists = found != nil
      return found?.version
    } catch {
      throw CommandError("\(error)")
    }
  }

  /// Continues an interrupted run with the same options.
  private mutating func resume(_ version: Int?) throws(CommandError) {
    guard let input = options.input, let size = file.size,
      let saved = InputProgress.load(InputProgress.path(of: input))
    else { return }
    let isSame = saved.identity == options.identity(url: service.url)
    if isSame, let version, version >= saved.output, size >= saved.offset,
      try reader.skip(to: saved.offset, lines: saved.lines), saved.matches(reader.place)
    {
      progress = ProgressLine("indexed", done: Double(saved.offset) / Double(max(1, size)))
      return progress.say("going on behind line \(saved.lines)")
    }
    progress.say("the input, the collection or the flags have changed since the last run: starting over")
    reader = LineReader(try SystemFile.reading(input))
  }

  /// Stores the batch and records the progress. Does nothing when the batch is empty.
  private mutating func send() throws(CommandError) {
    try makeCollection()
    while !batch.points.isEmpty {
      let version: Int
      do throws(RemoteFailure) {
        version = try collection.upsert(batch.body, type: "application/json")
      } catch {
        guard let index = error.index(in: "points"), index < batch.points.count else {
          progress.clear()
          throw CommandError("lines \(batch.lines): \(error)")
        }
        try reject(at: index, error.detail)
        continue
      }
      acknowledge(version)
    }
  }

  /// Makes the collection when it does not exist and the batch has a point that the service will take.
  private mutating func makeCollection() throws(CommandError) {
    guard !collectionExists, !batch.points.isEmpty else { return }
    let (dimension, limit): (Int, Int)
    do throws(RemoteFailure) {
      (dimension, limit) = try service.textBounds()
    } catch {
      throw CommandError("\(error)")
    }
    while let index = batch.points.firstIndex(where: { $0.characters > limit }) {
      try reject(
        at: index, "the text has \(batch.points[index].characters) characters; the service's limit is \(limit)")
    }
    // Stopping at a line above has already stored what came before it.
    guard !collectionExists, !batch.points.isEmpty else { return }
    do throws(RemoteFailure) {
      _ = try collection.create(dimension: dimension, metric: "cosine")
      collectionExists = true
    } catch {
      throw CommandError("\(error)")
    }
  }

  private mutating func acknowledge(_ version: Int) {
    sent += batch.points.count
    if options.idField != nil { for point in batch.points { ids.insert(point.id) } }
    if let input = options.input, file.size != nil {
      let state = InputProgress(identity: options.identity(url: service.url), batch.end, output: version)
      do throws(CommandError) {
        try state.save(InputProgress.path(of: input))
      } catch {
        progress.say("\(error); a repeated run will start over")
      }
    }
    let share = file.size.map { Double(batch.end.offset) / Double(max(1, $0)) }
    batch = IndexBatch()
    progress.show(points: stored, done: share)
  }

  /// Takes a point out of the batch that cannot be stored.
  private mutating func reject(at index: Int, _ reason: String) throws(CommandError) {
    let line = batch.points[index].number
    batch.remove(index)
    try reject(line, reason)
  }

  /// Stops at a line that cannot be stored, or skips it.
  private mutating func reject(_ line: Int, _ reason: String) throws(CommandError) {
    guard options.skipsBadLines else {
      // What comes before the line is stored all the same.
      batch = batch.before(line)
      try send()
      progress.clear()
      throw CommandError("\(file.path): line \(line): \(reason)")
    }
    skipped += 1
    progress.say("\(file.path): line \(line): \(reason); skipped")
  }
}
