import Contrastive
import Platform
import SimilarityCore

/// One job with its inputs in memory.
struct Workload {
  private let job: Job
  private let input: LossInput
  private let options: LossOptions
  /// Work that is shorter than this is repeated within a round until this time has passed.
  private let leastSeconds = 0.1

  init(_ job: Job) {
    self.job = job
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    // The top 24 bits of xorshift as values between -1 and 1. They are written in place, so that no second copy adds to
    // the memory.
    func next() -> Float {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Float(state >> 40) * 0x1p-23 - 1
    }
    let queries = Matrix(rows: job.rows, columns: job.dimension) { out in
      for index in out.indices { out[index] = next() }
    }
    let keys = Matrix(rows: job.rows, columns: job.dimension) { out in
      for index in out.indices { out[index] = next() + 0.3 * queries.values[index] }
    }
    input = LossInput(queries: queries, keys: keys)
    var options = LossOptions(.infonce)
    options.wantsGradients = job.mode == .gradients || job.mode == .diagnostics
    options.wantsDiagnostics = job.mode == .diagnostics
    options.threads = job.threads
    self.options = options
  }

  /// The peak memory of the first evaluation in this process, beyond the inputs and outputs.
  func memoryLine() throws -> String {
    let before = ResidentMemory.resetPeak()
    guard job.mode != .product else {
      try product()
      return #"{"extra_bytes":0,"loss":0}"#
    }
    let result = try ContrastiveLoss.evaluate(input, options)
    let peak = ResidentMemory.peak()
    let outputs =
      result.perRow.count + (result.gradients?.queries.values.count ?? 0) + (result.gradients?.keys?.values.count ?? 0)
    let extra = max(0, peak - before - outputs * MemoryLayout<Float>.stride)
    return #"{"extra_bytes":\#(extra),"loss":\#(result.loss)}"#
  }

  func roundLine() throws -> String {
    var count = 0
    let start = Self.seconds()
    var passed = 0.0
    repeat {
      if job.mode == .product { try product() } else { _ = try ContrastiveLoss.evaluate(input, options) }
      count += 1
      passed = Self.seconds() - start
    } while passed < leastSeconds
    return #"{"seconds":\#(passed / Double(count)),"repeats":\#(count)}"#
  }

  /// Computes the product of all queries with all keys, tile by tile, into scratch memory that stays in cache.
  private func product() throws(ProductFailure) {
    guard let keys = input.keys else { return }
    let loop = ParallelLoop(threads: job.threads)
    let height = 128
    let width = PackedRows.rowsPerTile
    let packed = try PackedRows(keys, leftRows: height, stride: width, tiesMatter: false, loop: loop)
    let inner = job.dimension
    try loop.forEachPiece((job.rows + height - 1) / height) { piece throws(ProductFailure) in
      let top = piece * height
      let count = min(height, job.rows - top)
      let products = FloatBuffer(height * width)
      try input.queries.withBaseAddress { query throws(ProductFailure) in
        try keys.withBaseAddress { key throws(ProductFailure) in
          // SAFETY: both row ranges lie within their matrices, and a tile fits into the scratch memory.
          for left in stride(from: 0, to: job.rows, by: width) {
            let columns = min(width, job.rows - left)
            if let packed, count == height, columns == width {
              try packed.product(tile: left / width, query + top * inner, into: products.start)
            } else {
              try Product.ofRows(
                query + top * inner, rows: count, key + left * inner, columns: columns, inner: inner,
                into: products.start, stride: width)
            }
          }
        }
      }
    }
  }

  private static func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
  }
}

/// The process's resident memory in bytes as Linux counts it, or 0 where /proc is missing.
enum ResidentMemory {
  /// Resets the peak and returns the current resident memory.
  static func resetPeak() -> Int {
    if let file = fopen("/proc/self/clear_refs", "w") {
      fputs("5", file)
      fclose(file)
    }
    return status("VmRSS:")
  }

  static func peak() -> Int { status("VmHWM:") }

  private static func status(_ field: String) -> Int {
    guard let file = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix(field) else { continue }
      let digits = text.drop { !$0.isNumber }.prefix { $0.isNumber }
      return (Int(digits) ?? 0) * 1024
    }
    return 0
  }
}
