import JSON

/// `nearfar import`: stores the vectors of a safetensors file, or of an export's several, in a collection of a running service.
enum Import {
  static let flags = ["input", "collection", "metric", "batch"] + RemoteService.flags
  /// Bytes of vectors that go together, at most.
  private static let batchBytes = 8 << 20

  /// - Returns: the exit status: 0 when every row is stored; repeating an import that stopped is harmless.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let path = try options.required("input")
    let collection = try options.required("collection")
    let metric = try options.string("metric").map { _ throws(UsageError) in
      try options.choice("metric", of: ["cosine", "dot", "euclidean"])
    }
    let batch = try options.integer("batch", default: 1000, in: 1...100_000)
    let service = try RemoteService(options)
    return CommandError.status { () throws(CommandError) in
      let collection = RemoteCollection(service: service, name: collection)
      let paths = try files(path)
      let sizes = try paths.map { path throws(CommandError) in try SystemFile.reading(path).size ?? 0 }
      let whole = Double(max(1, sizes.reduce(0, +)))
      var progress = ProgressLine("imported")
      var rows = 0
      var before = 0
      for (path, size) in zip(paths, sizes) {
        // One at a time: a file's ids and metadata are held while its rows are sent.
        let file = try ImportFile(path, firstRow: rows)
        do throws(CommandError) {
          try store(file, in: collection, metric: metric, batch: batch) { stored in
            let share = Double(stored) / Double(max(1, file.rows))
            progress.show(points: rows + stored, done: (Double(before) + share * Double(size)) / whole)
          }
        } catch {
          progress.clear()
          throw paths.count == 1 ? error : CommandError("\(path): \(error)")
        }
        rows += file.rows
        before += size
      }
      progress.finish(points: rows, paths.count == 1 ? "" : " from \(paths.count) files")
    }
  }

  /// The file of that name; where there is none, the files of an export that one file could not hold.
  private static func files(_ path: String) throws(CommandError) -> [String] {
    guard !SystemFile.exists(path) else { return [path] }
    let shards = try ShardNames(path).found()
    return shards.isEmpty ? [path] : shards
  }

  /// - Parameter stored: gets the number of the file's rows that are stored.
  private static func store(
    _ file: ImportFile, in collection: RemoteCollection, metric: String?, batch: Int, _ stored: (Int) -> Void
  ) throws(CommandError) {
    try prepare(file, collection, metric)
    let width = file.dimension * file.vectors.dtype.size
    let share = max(1, min(batch, batchBytes / width))
    var start = 0
    while start < file.rows {
      let range = start..<min(start + share, file.rows)
      do throws(RemoteFailure) {
        _ = try collection.upsert(try body(file, range), type: "application/x-safetensors")
      } catch {
        throw CommandError(explain(error, range))
      }
      start = range.upperBound
      stored(start)
    }
  }

  private static func body(_ file: ImportFile, _ range: Range<Int>) throws(RemoteFailure) -> [UInt8] {
    do throws(CommandError) {
      return try file.body(range)
    } catch {
      throw .away(error.description)
    }
  }

  /// Makes the collection, or sees to it that the one there is alike.
  private static func prepare(
    _ file: ImportFile, _ collection: RemoteCollection, _ metric: String?
  ) throws(CommandError) {
    do throws(RemoteFailure) {
      let wanted = metric ?? file.metric
      let found = try collection.describe()
      if wanted == nil, let found {
        guard found.dimension == file.dimension else {
          throw .away("the file has rows of \(file.dimension) values, the collection of \(found.dimension)")
        }
        return
      }
      // A collection that exists keeps the recall that it aims at.
      _ = try collection.create(
        dimension: file.dimension, metric: wanted ?? "cosine", recallTarget: found == nil ? file.recallTarget : nil)
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
