import JSON

/// `nearfar import`: stores the vectors of a safetensors file, or of the several of an export, in a collection of a running service.
enum ImportCommand: Command {
  static let name = "import"
  static let summary = "store the vectors of safetensors files in a collection of a running service"
  static let details = """
    Stores vectors with the ids, metadata and texts that stand beside them, as export writes them. A file with a tensor \
    alone is taken as well; its ids are the row numbers. Where FILE does not exist, FILE-00001-of-00003 and so on are \
    read. A collection that does not exist is made when the first rows can be stored.

    The exit status is 0 when every row is stored. An import that stopped can be repeated: rows that are stored already \
    are stored again, with the same result.
    """
  static let flags: [any CommandFlag] = [input, collection, metric, engine, batch] + RemoteService.flags

  private static let input = Flag("input", .text("FILE"), .required, "The file to read.")
  private static let collection = Flag("collection", .text("NAME"), .required, "The collection to store into.")
  private static let metric = Flag(
    "metric", .choice(["cosine", "dot", "euclidean"]),
    .optional(meaning: "that of the exported collection, or cosine"), "The metric of a new collection.")
  private static let engine = Flag(
    "engine", .choice(["memory", "pgvector"]),
    .optional(meaning: "that of the collection that is there, or memory"),
    "Where a new collection is kept: in memory, or in the database of the service's --store.")
  private static let batch = Flag("batch", .integer(1...100_000), .defaults(to: 1000), "The most points per request.")

  /// Bytes of vectors in one request, at most.
  private static let batchBytes = 8 << 20

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let path = try arguments.value(input)
    let collection = try arguments.value(collection)
    let metric = try arguments.given(metric)
    let engine = try arguments.given(engine)
    let batch = try arguments.value(batch)
    let service = try RemoteService(arguments)
    return CommandError.status { () throws(CommandError) in
      let collection = RemoteCollection(service: service, name: collection)
      let paths = try files(path)
      let sizes = try paths.map { path throws(CommandError) in try SystemFile.reading(path).size ?? 0 }
      let whole = Double(max(1, sizes.reduce(0, +)))
      var progress = ProgressLine("imported")
      var rows = 0
      var before = 0
      var ids = DistinctIDs()
      for (path, size) in zip(paths, sizes) {
        // One at a time: a file's ids and metadata are held while its rows are sent.
        let file = try ImportFile(path, firstRow: rows)
        do throws(CommandError) {
          try store(file, in: collection, metric: metric, engine: engine, batch: batch) { stored in
            for row in stored { ids.insert(file.id(row)) }
            let share = Double(stored.upperBound) / Double(max(1, file.rows))
            progress.show(points: ids.count, done: (Double(before) + share * Double(size)) / whole)
          }
        } catch {
          progress.clear()
          throw paths.count == 1 ? error : CommandError("\(path): \(error)")
        }
        rows += file.rows
        before += size
      }
      let replacements = rows - ids.count
      progress.finish(
        points: ids.count,
        (paths.count == 1 ? "" : " from \(paths.count) files")
          + (replacements == 0 ? "" : "; \(counted(replacements, "row")) replaced an earlier one with the same id"))
    }
  }

  /// The file of that name; where there is none, the files of an export that one file could not hold.
  private static func files(_ path: String) throws(CommandError) -> [String] {
    guard !SystemFile.exists(path) else { return [path] }
    let shards = try ShardNames(path).found()
    return shards.isEmpty ? [path] : shards
  }

  /// - Parameter stored: gets each range of rows when it is stored.
  private static func store(
    _ file: ImportFile, in collection: RemoteCollection, metric: String?, engine: String?, batch: Int,
    _ stored: (Range<Int>) -> Void
  ) throws(CommandError) {
    let width = file.dimension * file.vectors.dtype.size
    let share = max(1, min(batch, batchBytes / width))
    try prepare(file, collection, metric, engine, first: 0..<min(share, file.rows))
    var start = 0
    while start < file.rows {
      let range = start..<min(start + share, file.rows)
      let body = try file.body(range)
      do throws(RemoteFailure) {
        _ = try collection.upsert(body, type: "application/x-safetensors")
      } catch {
        throw CommandError(explain(error, range))
      }
      start = range.upperBound
      stored(range)
    }
  }

  /// Makes the collection, or makes sure that the existing one has the same shape.
  ///
  /// - Parameter first: the rows that come first. They are checked before a collection is made for them.
  private static func prepare(
    _ file: ImportFile, _ collection: RemoteCollection, _ metric: String?, _ engine: String?, first: Range<Int>
  ) throws(CommandError) {
    let wanted = metric ?? file.metric
    let found: RemoteCollection.Description?
    do throws(RemoteFailure) {
      found = try collection.describe()
    } catch {
      throw CommandError("\(error)")
    }
    if let found, found.dimension != file.dimension {
      throw CommandError(
        "the file has vectors of \(file.dimension) values, the collection '\(collection.name)' of \(found.dimension)")
    }
    if found == nil {
      try file.check(first, isCosine: wanted ?? "cosine" == "cosine")
    } else if wanted == nil, engine == nil {
      return
    }
    do throws(RemoteFailure) {
      // A collection that exists keeps the recall that it aims at.
      _ = try collection.create(
        dimension: file.dimension, metric: wanted ?? found?.metric ?? "cosine",
        recallTarget: found == nil ? file.recallTarget : nil, engine: engine)
    } catch {
      throw CommandError("\(error)")
    }
  }

  /// Counts a refused row from the file's start, not from the batch's.
  private static func explain(_ failure: RemoteFailure, _ range: Range<Int>) -> String {
    for list in ["vectors", "ids", "metadata", "texts"] {
      if let index = failure.index(in: list) { return "row \(range.lowerBound + index): \(list): \(failure.detail)" }
    }
    return "rows \(range.lowerBound) to \(range.upperBound - 1): \(failure)"
  }
}
