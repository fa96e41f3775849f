import JSON

/// `nearfar import`: stores the vectors of a safetensors file in a collection of a running service.
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
      let file = try ImportFile(path)
      try store(file, in: RemoteCollection(service: service, name: collection), metric: metric, batch: batch)
    }
  }

  private static func store(
    _ file: ImportFile, in collection: RemoteCollection, metric: String?, batch: Int
  ) throws(CommandError) {
    try prepare(file, collection, metric)
    let width = file.dimension * file.vectors.dtype.size
    let share = max(1, min(batch, batchBytes / width))
    var progress = ProgressLine("imported")
    var start = 0
    while start < file.rows {
      let range = start..<min(start + share, file.rows)
      do throws(RemoteFailure) {
        _ = try collection.upsert(try body(file, range), type: "application/x-safetensors")
      } catch {
        progress.clear()
        throw CommandError(explain(error, range))
      }
      start = range.upperBound
      progress.show(points: start, done: Double(start) / Double(file.rows))
    }
    progress.finish(points: file.rows)
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
      if wanted == nil, let found = try collection.describe() {
        guard found.dimension == file.dimension else {
          throw .away("the file has rows of \(file.dimension) values, the collection of \(found.dimension)")
        }
        return
      }
      _ = try collection.create(dimension: file.dimension, metric: wanted ?? "cosine")
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
