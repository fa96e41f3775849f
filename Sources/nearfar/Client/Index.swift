import JSON

/// `nearfar index`: embeds and stores the lines of a file in a collection of a running service.
struct Index {
  private let options: IndexOptions
  private let service: RemoteService
  private let collection: RemoteCollection
  private let file: SystemFile
  private var reader: LineReader
  private var progress = ProgressLine("indexed")
  private var batch = IndexBatch()
  private var stored = 0
  private var skipped = 0

  /// - Returns: the exit status: 0 when every line is stored, or skipped as asked for; 1 when the run stopped before.
  static func run(_ flags: Options) throws(UsageError) -> Int32 {
    let options = try IndexOptions(flags)
    let service = try RemoteService(flags)
    return CommandError.status { () throws(CommandError) in
      var index = try Index(options, service)
      try index.run()
    }
  }

  private init(_ options: IndexOptions, _ service: RemoteService) throws(CommandError) {
    self.options = options
    self.service = service
    collection = RemoteCollection(service: service, name: options.collection)
    file = try options.input.map { path throws(CommandError) in try SystemFile.reading(path) } ?? .standardInput
    reader = LineReader(file)
  }

  private mutating func run() throws(CommandError) {
    let known = try prepare()
    try resume(known)
    while let line = try reader.next() {
      let point: IndexLine?
      do throws(CommandError) {
        point = try IndexLine(line, options)
      } catch {
        try blame(line.number, error.description)
        continue
      }
      guard let point else { continue }
      // An id that comes again replaces the one before, which must be stored by then.
      if batch.isFull(options.batch) || batch.contains(point.id) { try send() }
      batch.add(point, end: line.end)
    }
    try send()
    progress.finish(points: stored, skipped == 0 ? "" : "; \(skipped) lines were skipped")
    if let input = options.input { SystemFile.remove(IndexProgress.path(of: input)) }
  }

  /// Finds the collection, or makes it.
  ///
  /// - Returns: its version; nil when it is new.
  private func prepare() throws(CommandError) -> Int? {
    do throws(RemoteFailure) {
      if let found = try collection.describe() { return found.version }
      guard let dimension = try service.json("GET", "/info")["model"]?["dim"]?.integer else {
        throw .away("\(service.url)/info does not state the model's dimension")
      }
      _ = try collection.create(dimension: dimension, metric: "cosine")
      return nil
    } catch {
      throw CommandError("\(error)")
    }
  }

  /// Goes on where an interrupted run of the same kind stopped.
  private mutating func resume(_ version: Int?) throws(CommandError) {
    guard let input = options.input, let size = file.size,
      let saved = IndexProgress.load(IndexProgress.path(of: input))
    else { return }
    let isSame = saved.identity == options.identity(url: service.url)
    if isSame, let version, version >= saved.version, size >= saved.offset,
      try reader.skip(to: saved.offset, lines: saved.lines), saved.matches(reader.place)
    {
      progress = ProgressLine("indexed", done: Double(saved.offset) / Double(max(1, size)))
      return progress.say("going on behind line \(saved.lines)")
    }
    progress.say("the input, the collection or the flags have changed since the last run: starting over")
    reader = LineReader(try SystemFile.reading(input))
  }

  /// Stores the batch, and takes note of it.
  private mutating func send() throws(CommandError) {
    while !batch.points.isEmpty {
      let version: Int
      do throws(RemoteFailure) {
        version = try collection.upsert(batch.body, type: "application/json")
      } catch {
        guard let index = error.index(in: "points"), index < batch.points.count else {
          progress.clear()
          throw CommandError("lines \(batch.lines): \(error)")
        }
        let line = batch.points[index].number
        batch.remove(index)
        try blame(line, error.detail)
        continue
      }
      acknowledge(version)
    }
  }

  private mutating func acknowledge(_ version: Int) {
    stored += batch.points.count
    if let input = options.input, file.size != nil {
      let state = IndexProgress(identity: options.identity(url: service.url), batch.end, version: version)
      do throws(CommandError) {
        try state.save(IndexProgress.path(of: input))
      } catch {
        progress.say("\(error); a repeated run will start over")
      }
    }
    let share = file.size.map { Double(batch.end.offset) / Double(max(1, $0)) }
    batch = IndexBatch()
    progress.show(points: stored, done: share)
  }

  /// Stops at a bad line, or passes over it.
  private mutating func blame(_ line: Int, _ reason: String) throws(CommandError) {
    guard options.skipsBadLines else {
      // What came before it is stored all the same.
      let rest = batch
      batch = rest.before(line)
      try send()
      progress.clear()
      throw CommandError("\(file.path): line \(line): \(reason)")
    }
    skipped += 1
    progress.say("\(file.path): line \(line): \(reason); skipped")
  }
}
