import SimilarityCore

extension IndexWriter {
  /// Batches smaller than this usually arrive while others search: they leave half of the cores to the searches.
  private static let largeBatch = 4096

  func pruning(_ records: CodeRecords) -> Pruning {
    Pruning(records: records, rows: rows, degree: options.degree, kernels: kernels)
  }

  func repair(_ records: CodeRecords) -> GraphRepair {
    GraphRepair(records: records, pruning: pruning(records), loop: loop)
  }

  /// In few dimensions a shorter pool is enough: walks compare whole bytes there, which order a pool better than nibbles.
  private var efConstruction: Int {
    CodeRecords.isDivided(dimension: dimension) ? options.efConstruction : options.efConstruction * 2 / 3
  }

  private func builder(_ records: CodeRecords, _ loop: ParallelLoop) -> GraphBuilder {
    GraphBuilder(
      records: records, rows: rows, pruning: pruning(records), efConstruction: efConstruction, scratch: scratch,
      loop: loop, kernels: kernels)
  }

  /// Adds new slots to the graph, or builds one of all slots when there are enough.
  mutating func addToGraph(_ slots: [Int]) {
    guard let records, metric.allowsGraph(dimension: dimension), !slots.isEmpty else { return }
    var added = slots
    if graph == nil {
      guard live.count >= options.graphThreshold else { return }
      added = live.all
      for slot in added { records.setNeighbors(of: slot, to: UnsafeBufferPointer(start: nil, count: 0)) }
    }
    let loop = added.count < Self.largeBatch ? ParallelLoop(threads: max(1, options.threads / 2)) : loop
    let builder = builder(records, loop)
    if graph == nil { board.reset(rows: RecallCurve()) }
    let held = heldOut(of: added)
    let first = held.isEmpty ? added : added.filter { !held.contains($0) }
    link(first, builder)
    guard !held.isEmpty else { return }
    // Rows that are not in the graph yet are queries that are distributed as the data is.
    measure(held)
    link(held.all, builder)
  }

  private mutating func link(_ slots: [Int], _ builder: GraphBuilder) {
    var grown = graph ?? GrowingGraph()
    builder.add(slots, to: &grown)
    graph = grown
  }

  /// Maintenance after a write was published: removed slots leave the lists, and slots that have become unreachable are
  /// connected again.
  ///
  /// - Returns: whether there is something to publish.
  mutating func settle() -> Bool {
    guard let graph, let records else { return false }
    guard !live.isEmpty else {
      // The index is empty: the next graph is built from nothing.
      retired.append((version + 1, dead.all))
      (self.graph, dead) = (nil, SlotSet())
      version += 1
      return true
    }
    var changed = false
    if dead.count > max(256, live.count / 10) {
      unlinkDead(records)
      changed = true
    }
    if graph.isCheckDue {
      reconnect(records)
      changed = true
    }
    if changed { board.fade() }
    if changed { version += 1 }
    return changed
  }

  private mutating func unlinkDead(_ records: CodeRecords) {
    repair(records).unlink(dead, members: live)
    graph?.members.subtract(dead)
    // Readers of the next version are the first that cannot meet them.
    retired.append((version + 1, dead.all))
    dead = SlotSet()
    reconnect(records)
  }

  mutating func reconnect(_ records: CodeRecords) {
    let repair = repair(records)
    let builder = builder(records, loop)
    graph?.reconnect(repair) { slot, entries in scratch.with { builder.nearest(to: slot, entries, $0) } }
  }

  func validate() -> GraphReport {
    var report = GraphReport()
    guard let graph, let records else { return report }
    let members = graph.members
    report.nodes = members.count
    for slot in members.all {
      let list = records.neighbors(of: slot)
      report.edges += list.count
      report.dangling += list.reduce(0) { $0 + (members.contains(Int($1)) ? 0 : 1) }
      if Set(list).count != list.count || list.contains(UInt32(slot)) { report.repeated += 1 }
    }
    report.unreachable = repair(records).unreachable(members, from: graph.entries.all).count
    return report
  }
}
