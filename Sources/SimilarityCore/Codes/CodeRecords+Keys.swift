import CKernels

/// A row that a scan could not rule out: its key lies within `width` of `key`.
public typealias CodeHit = nf_code_hit

extension CodeRecords {
  /// The keys of `slots` for `query`, by all bits of their codes.
  public func keys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    withUnsafePointer(to: query.raw) { kernels.table.pointee.code_keys(&raw, $0, first, slots.count, keys) }
  }

  /// The same from half of the codes' bits.
  public func roughKeys(
    of slots: UnsafeBufferPointer<UInt32>, for query: borrowing QueryPointer, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_rough_keys(&raw, query.pointer, first, slots.count, keys)
  }

  /// The neighbours of `slot` that are not in `visited` yet, and their rough keys, from half of the codes' bits.
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

  /// Asks for the list of `slot`, which will be expanded soon.
  // SAFETY: a prefetch reads nothing; lists and pools hold slots of this object only.
  @inline(__always)
  public func prefetchNeighbors(of slot: UInt32) {
    nf_prefetch(raw.lists + Int(slot) * raw.list_stride, 4 * raw.list_stride)
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

  /// Squared distances of `slots` from row `slot`, by their codes; under the cosine those of directions.
  // SAFETY: slots are of this object; `distances` has room for as many.
  public func distances(
    of slots: UnsafeBufferPointer<UInt32>, from slot: Int, into distances: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_distances(
      &raw, UInt32(slot), first, slots.count, metric == .euclidean ? 1 : 0, distances)
  }
}

/// A query's codes at a fixed address, for as long as a walk lasts.
public struct QueryPointer: ~Copyable {
  let pointer: UnsafeMutablePointer<nf_code_query>
  private let owner: CodeQuery

  public init(_ query: CodeQuery) {
    owner = query
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: query.raw)
  }

  deinit { pointer.deallocate() }
}
