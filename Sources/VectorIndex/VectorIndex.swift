import SimilarityCore
import Synchronization

/// Vectors of one dimension under one metric, searched while they change.
///
/// Each vector has a slot, a number that identifies it until it is removed. The slot may then be given to a later vector, but
/// not while a snapshot lives that still sees the old one. One caller writes at a time; any number may read.
///
/// A small index is searched exactly; from ``IndexOptions/graphThreshold`` vectors on it has a graph.
public final class VectorIndex: Sendable {
  public let dimension: Int
  public let metric: Metric
  private let current: Mutex<IndexSnapshot>
  private let writer: Mutex<IndexWriter>

  public init(dimension: Int, metric: Metric, options: IndexOptions = IndexOptions(), kernels: Kernels = .active) {
    precondition(dimension > 0, "vectors of \(dimension) values")
    self.dimension = dimension
    self.metric = metric
    let writer = IndexWriter(dimension: dimension, metric: metric, options: options, kernels: kernels)
    current = Mutex(writer.snapshot())
    self.writer = Mutex(writer)
  }

  /// The current state, which later writes do not change.
  public var snapshot: IndexSnapshot { current.withLock { $0 } }

  /// Removes the vectors at `removed` and adds `rows` in one step: a snapshot shows the whole change or nothing of it.
  ///
  /// - Parameters:
  ///   - rows: [n, dimension] finite values, row after row.
  ///   - buildsGraph: whether a graph is built once there are enough vectors. If false, codes are not written either, searches
  ///     compare every row, and ``adopt(_:at:)`` or ``buildGraph()`` must follow. An existing graph is extended in any case.
  /// - Returns: the slots of the added rows, in their order.
  /// - Throws: ``IndexError``; nothing has changed then.
  public func apply(
    removing removed: [Int], adding rows: [Float], buildsGraph: Bool = true
  ) throws(IndexError) -> [Int] {
    try writer.withLock { writer throws(IndexError) in
      let slots = try writer.apply(removing: removed, adding: rows, buildsGraph: buildsGraph)
      publish(writer)
      if writer.settle() { publish(writer) }
      return slots
    }
  }

  /// Makes room for `count` more vectors, so that adding them cannot fail for lack of memory or disk space.
  ///
  /// - Throws: ``IndexError``; nothing has changed then.
  public func reserve(_ count: Int) throws(IndexError) {
    try writer.withLock { writer throws(IndexError) in try writer.reserve(count) }
  }

  /// The current graph, to be saved; nil when there is none.
  public func image() -> GraphImage? { writer.withLock { $0.image() } }

  /// Uses a saved graph for the vectors in the index. Vectors that it does not contain are added to it; a neighbour that is
  /// gone is replaced by its own neighbours.
  ///
  /// - Parameter places: the slot of each of the image's nodes; -1 for a node whose vector is gone.
  /// - Returns: false when there is a graph already, when the image or the places are invalid or cannot be read, or when the
  ///   image contains less than 70 % of the vectors. The index is unchanged then, and ``buildGraph()`` can follow.
  public func adopt(_ image: GraphImage, at places: [Int]) -> Bool {
    writer.withLock { writer in
      guard writer.adopt(image, at: places) else { return false }
      publish(writer)
      if writer.settle() { publish(writer) }
      return true
    }
  }

  /// Writes the codes that are missing, and builds the graph if there is none and there are enough vectors for one.
  public func buildGraph() {
    writer.withLock { writer in
      guard writer.graph == nil else { return }
      writer.version += 1
      writer.encodeRest()
      writer.addToGraph(writer.live.all)
      publish(writer)
      if writer.settle() { publish(writer) }
    }
  }

  /// Changes the recall target of searches that do not set their own. Existing snapshots keep the old one.
  ///
  /// - Parameter target: in 0.5 ... 1; nil for ``IndexOptions/recallTarget``.
  public func setRecallTarget(_ target: Double?) {
    writer.withLock { writer in
      writer.defaultTarget = target ?? writer.options.recallTarget
      publish(writer)
    }
  }

  private func publish(_ writer: borrowing IndexWriter) {
    let next = writer.snapshot()
    // The previous snapshot may be freed here, which takes time: outside the lock.
    let previous = current.withLock { current in
      defer { current = next }
      return current
    }
    _ = previous
  }

  /// Checks the whole graph, which takes time in proportion to its size.
  public func validate() -> GraphReport { writer.withLock { $0.validate() } }
}

/// How an index is built.
public struct IndexOptions: Sendable {
  /// The number of vectors from which on there is a graph (docs/benchmarks.md: below it, scanning all codes is as fast).
  public var graphThreshold = 10_000
  /// Neighbours that pruning leaves in a list. Lists have room for a quarter more, and are pruned when they are full.
  public var degree = 63
  /// The pool size of the search for a new slot's neighbours.
  public var efConstruction = 96
  /// The recall@10 for which the pool size of a search is chosen, unless ``VectorIndex/setRecallTarget(_:)`` sets another.
  public var recallTarget = 0.97
  /// A folder for the f32 rows, which are then kept in a mapped file; nil keeps them in memory. Codes and the graph always
  /// are in memory.
  public var rowFolder: String?
  /// Threads that build the graph.
  public var threads = 1

  public init() {}
}

/// How two vectors are compared; a larger score is nearer.
public enum Metric: String, Sendable, CaseIterable {
  /// q·x / (‖q‖·‖x‖).
  case cosine
  /// q·x.
  case dot
  /// −‖q − x‖.
  case euclidean

  /// The longest row for which pruning has room in its scratch memory.
  private static let mostGraphDimensions = 8192

  /// Whether vectors of `dimension` values may have a graph.
  package func allowsGraph(dimension: Int) -> Bool {
    dimension <= Self.mostGraphDimensions
  }
}

/// The result of a check of the whole graph; in a sound one the last three counts are zero.
public struct GraphReport: Sendable, Equatable {
  /// Slots in the graph.
  public var nodes = 0
  /// Edges of all lists together.
  public var edges = 0
  /// Edges to slots that hold no vector.
  public var dangling = 0
  /// Lists that name a slot twice or their own slot.
  public var repeated = 0
  /// Vectors that no walk can reach.
  public var unreachable = 0

  public init() {}

  public var isSound: Bool { dangling == 0 && repeated == 0 && unreachable == 0 }
}
