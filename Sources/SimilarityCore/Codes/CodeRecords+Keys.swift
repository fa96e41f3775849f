import CKernels

/// A row that a scan could not rule out: its key lies within `width` of `key`.
public typealias CodeHit = nf_code_hit

/// A stored row in the form of a query, for comparing rows with each other.
public struct CodePivot {
  var codes: [Int8]
  var scale: Float
  var bias: Int32
  /// ‖x‖², or 1 under the cosine.
  public var square: Float
}

extension CodeRecords {
  /// The keys of `slots` for `query`, from its coarse codes.
  public func keys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    withUnsafePointer(to: query.coarse) { kernels.table.pointee.code_keys(&raw, $0, first, slots.count, keys) }
  }

  /// The neighbours of `slot` that are not in `visited` yet, and their keys.
  ///
  /// - Parameter visited: a bit for every slot; gets those that are returned.
  // SAFETY: lists hold slots of this object only; the outputs have room for mostNeighbors.
  @inline(__always)
  public func expand(
    _ slot: UInt32, for query: borrowing QueryPointer, visited: UnsafeMutablePointer<UInt64>,
    slots: UnsafeMutablePointer<UInt32>, keys: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.code_neighbors(&raw, query.pointer, slot, visited, slots, keys)
  }

  /// Of the live slots from `first`, a multiple of 64, on: those whose key may reach `threshold`.
  ///
  /// - Parameter hits: room for one hit a live bit.
  public func scan(
    _ live: UnsafeBufferPointer<UInt64>, first: Int, for query: CodeQuery, threshold: Float,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) -> Int {
    guard let words = live.baseAddress, first >= 0, first + 64 * live.count <= slots else { return 0 }
    return withUnsafePointer(to: query.raw) {
      kernels.table.pointee.code_scan(&raw, $0, words, live.count, UInt32(first), threshold, hits)
    }
  }

  /// Row `slot` as a query.
  public func pivot(_ slot: Int) -> CodePivot {
    let record = raw.base + slot * stride
    var codes = [Int8](repeating: 0, count: padded)
    for index in 0..<dimension { codes[index] = Int8(truncatingIfNeeded: Int(record[index]) - 128) }
    guard let header = nf_header(&raw, slot)?.pointee else {
      return CodePivot(codes: codes, scale: 0, bias: 0, square: 0)
    }
    let half: Float = metric == .euclidean ? 0.5 : 1
    return CodePivot(
      codes: codes, scale: header.a * half, bias: 128 * codes.reduce(0) { $0 + Int32($1) },
      square: metric == .euclidean ? -header.b : 1)
  }

  /// Squared distances of `slots` from a row, by their codes.
  public func distances(
    of slots: UnsafeBufferPointer<UInt32>, from pivot: CodePivot, into distances: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    pivot.codes.withUnsafeBufferPointer { codes in
      var query = nf_code_query(
        high: codes.baseAddress, low: nil, high_step: pivot.scale, low_step: 0, high_bias: pivot.bias, low_bias: 0,
        norm: 0, error: 0)
      kernels.table.pointee.code_keys(&raw, &query, first, slots.count, distances)
    }
    for index in slots.indices {
      distances[index] = metric == .euclidean ? pivot.square - distances[index] : 2 - 2 * distances[index]
    }
  }
}

/// A query's coarse form at a fixed address, for as long as a walk lasts.
public struct QueryPointer: ~Copyable {
  let pointer: UnsafeMutablePointer<nf_code_query>
  private let owner: CodeQuery

  public init(_ query: CodeQuery) {
    owner = query
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: query.coarse)
  }

  deinit { pointer.deallocate() }
}
