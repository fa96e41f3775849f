import Platform
import Safetensors
import SimilarityCore
import VectorIndex

struct UsageError: Error {}

/// An index over a file's vectors, and the file's queries.
struct Workload {
  let index: VectorIndex
  let queries: Matrix
  let built: String

  init(_ arguments: [String]) throws {
    guard arguments.count >= 4, let metric = Metric(rawValue: arguments[2]), let threads = Int(arguments[3]) else {
      throw UsageError()
    }
    var options = IndexOptions()
    options.threads = threads
    // The rows per insertion; without the argument, all rows are inserted at once.
    let batch = arguments.count > 4 ? max(1, Int(arguments[4]) ?? 1) : Int.max
    let archive = try SafetensorsArchive(memoryMapping: arguments[1])
    let vectors = try Self.matrix(archive, "vectors")
    queries = try Self.matrix(archive, "queries")
    index = VectorIndex(dimension: vectors.columns, metric: metric, options: options)
    let before = Self.resident()
    let start = Self.now()
    for first in stride(from: 0, to: vectors.rows, by: min(batch, vectors.rows)) {
      let rows = first..<min(first + min(batch, vectors.rows), vectors.rows)
      let values = vectors.values[rows.lowerBound * vectors.columns..<rows.upperBound * vectors.columns]
      _ = try index.apply(removing: [], adding: rows.count == vectors.rows ? vectors.values : Array(values))
    }
    let seconds = Self.now() - start
    let report = index.validate()
    built = """
      {"seconds":\(seconds),"bytes":\(Self.resident() - before),"edges":\(report.edges),"sound":\(report.isSound),\
      "unreachable":\(report.unreachable),"vectors":\(vectors.rows)}
      """
  }

  func run(_ words: [String]) throws -> String {
    if words.first == "churn", words.count == 2, let operations = Int(words[1]) { return try churn(operations) }
    if words.first == "remove", words.count == 2, let percent = Int(words[1]) { return try remove(percent) }
    if words.first == "filter", words.count == 3, let share = Double(words[2]) { return try filter(words[1], share) }
    guard words.count >= 3 else { throw UsageError() }
    var options = SearchOptions(k: 10)
    let snapshot = index.snapshot
    var found: [[Candidate]] = []
    let start: Double
    switch words[0] {
    case "graph":
      options.mode = .graph(ef: Int(words[1]))
      options.loop = ParallelLoop(threads: Int(words[2]) ?? 1)
      start = Self.now()
      found = try snapshot.nearest(to: queries, options, tiePrecedes: <).neighbors
    case "auto":
      options.recallTarget = Double(words[1])
      options.loop = ParallelLoop(threads: Int(words[2]) ?? 1)
      start = Self.now()
      let result = try snapshot.nearest(to: queries, options, tiePrecedes: <)
      let seconds = Self.now() - start
      try Self.save(result.neighbors, to: words[3])
      let calibration = snapshot.calibration
      return """
        {"seconds":\(seconds),"queries":\(queries.rows),"ef":\(result.ef ?? 0),"expected":\(result.expectedRecall ?? -1),\
        "rows":\(calibration.rows.queries),"asked":\(calibration.asked.queries)}
        """
    case "exact":
      options.mode = .exact
      options.loop = ParallelLoop(threads: Int(words[1]) ?? 1)
      // The number of queries, and the number of them per call.
      let count = min(queries.rows, words.count > 3 ? Int(words[3]) ?? 200 : 200)
      let together = words.count > 4 ? max(1, Int(words[4]) ?? 1) : 1
      let asked = stride(from: 0, to: count, by: together).compactMap { first in
        let rows = first..<min(first + together, count)
        return Matrix(rows: rows.count, columns: queries.columns, values: rows.flatMap { Array(queries.row($0)) })
      }
      start = Self.now()
      for some in asked { found += try snapshot.nearest(to: some, options, tiePrecedes: <).neighbors }
    default:
      options.mode = .exact
      options.loop = ParallelLoop(threads: Int(words[1]) ?? 1)
      start = Self.now()
      found = try snapshot.nearest(to: queries, options, tiePrecedes: <).neighbors
    }
    let seconds = Self.now() - start
    try Self.save(found, to: words[0] == "graph" || words[0] == "auto" ? words[3] : words[2])
    return "{\"seconds\":\(seconds),\"queries\":\(found.count)}"
  }

  /// Searches with the first 100 queries, one at a time, under a filter that a share of the vectors match: random ones,
  /// the same for all queries (`random`), those nearest to the query (`near`) or those farthest from it (`far`).
  private func filter(_ kind: String, _ share: Double) throws -> String {
    let snapshot = index.snapshot
    let slots = snapshot.live.all
    let count = max(10, Int(Double(slots.count) * share))
    var random = SystemRandomNumberGenerator()
    let some = slots.shuffled(using: &random).prefix(count)
    var asked: [(matrix: Matrix, allowed: SlotSet)] = []
    for row in 0..<min(100, queries.rows) {
      let query = Array(queries.row(row))
      guard let matrix = Matrix(rows: 1, columns: query.count, values: query) else { throw UsageError() }
      let order = kind == "random" ? [] : Self.byDistance(slots, query, snapshot)
      var allowed = SlotSet()
      for slot in kind == "random" ? some : kind == "near" ? order.prefix(count) : order.suffix(count) {
        allowed.insert(slot)
      }
      asked.append((matrix, allowed))
    }
    func run(
      _ mode: SearchOptions.Mode, isFiltered: Bool = true
    ) throws -> (seconds: Double, found: [[Candidate]]) {
      var found: [[Candidate]] = []
      var best = Double.infinity
      for _ in 0..<3 {
        found = []
        let start = Self.now()
        for (matrix, allowed) in asked {
          var options = SearchOptions(k: 10)
          (options.mode, options.allowed) = (mode, isFiltered ? allowed : nil)
          found += try snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors
        }
        best = min(best, Self.now() - start)
      }
      return (best, found)
    }
    let (scanned, truth) = try run(.exact)
    let (walked, found) = try run(.automatic)
    let (free, _) = try run(.automatic, isFiltered: false)
    let queries = asked.count
    let hits = zip(truth, found).reduce(0) { sum, pair in
      sum + pair.1.count { $0.score >= (pair.0.last?.score ?? 0) }
    }
    let recall = Double(hits) / Double(10 * queries)
    return """
      {"rate":\(Double(queries) / walked),"scan":\(Double(queries) / scanned),"free":\(Double(queries) / free),\
      "recall":\(recall)}
      """
  }

  private static func byDistance(_ slots: [Int], _ query: [Float], _ snapshot: IndexSnapshot) -> [Int] {
    let kernels = Kernels.active
    let scores = query.withUnsafeBufferPointer { query in
      slots.map { slot in
        snapshot.vector(at: slot).withUnsafeBufferPointer { row in
          switch snapshot.metric {
          case .cosine: kernels.dot(query, row) / kernels.dot(row, row).squareRoot()
          case .dot: kernels.dot(query, row)
          case .euclidean: -kernels.squaredDistance(query, row)
          }
        }
      }
    }
    return slots.indices.sorted { scores[$0] > scores[$1] }.map { slots[$0] }
  }

  /// Removes `percent` percent of the vectors, evenly spread, a hundred per write.
  private func remove(_ percent: Int) throws -> String {
    let slots = index.snapshot.live.all
    let removed = slots.indices.filter { $0 * percent / 100 != ($0 + 1) * percent / 100 }.map { slots[$0] }
    let start = Self.now()
    for first in stride(from: 0, to: removed.count, by: 100) {
      _ = try index.apply(removing: Array(removed[first..<min(first + 100, removed.count)]), adding: [])
    }
    let seconds = Self.now() - start
    return "{\"seconds\":\(seconds),\"queries\":\(removed.count),\"sound\":\(index.validate().isSound)}"
  }

  /// Removes and inserts vectors in random order, a hundred per write, until `operations` are done and all vectors are
  /// stored again.
  private func churn(_ operations: Int) throws -> String {
    var random = SystemRandomNumberGenerator()
    var slots = index.snapshot.live.all
    var away: [[Float]] = []
    var done = 0
    let start = Self.now()
    while done < operations || !away.isEmpty {
      var removed: [Int] = []
      if done < operations {
        for _ in 0..<min(100, slots.count) {
          slots.swapAt(Int.random(in: slots.indices, using: &random), slots.count - 1)
          removed.append(slots.removeLast())
        }
      }
      let rows = removed.map { index.snapshot.vector(at: $0) }
      away.shuffle(using: &random)
      // After the first rounds, about a tenth of the vectors is missing at any time.
      let count = min(away.count, done < operations && away.count < slots.count / 10 ? 0 : 100)
      let added = away.suffix(count).flatMap(\.self)
      away.removeLast(count)
      slots += try index.apply(removing: removed, adding: added)
      away += rows
      done += removed.count + count
    }
    let seconds = Self.now() - start
    let report = index.validate()
    return """
      {"seconds":\(seconds),"queries":\(done),"wrong":\(report.dangling + report.repeated),\
      "unreachable":\(report.unreachable)}
      """
  }

  private static func save(_ found: [[Candidate]], to path: String) throws {
    var bytes: [UInt8] = []
    for neighbors in found {
      for rank in 0..<10 {
        let slot = rank < neighbors.count ? Int32(truncatingIfNeeded: neighbors[rank].position) : -1
        withUnsafeBytes(of: slot.littleEndian) { bytes += $0 }
      }
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0, write(descriptor, bytes, bytes.count) == bytes.count else { throw UsageError() }
    close(descriptor)
  }

  private static func matrix(_ archive: SafetensorsArchive, _ name: String) throws -> Matrix {
    guard let tensor = archive.tensor(name), tensor.shape.count == 2,
      let matrix = Matrix(rows: tensor.shape[0], columns: tensor.shape[1], values: try tensor.floats())
    else { throw UsageError() }
    return matrix
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func resident() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 128)
    guard fgets(&text, 128, file) != nil else { return 0 }
    let fields = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      .split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
  }
}
