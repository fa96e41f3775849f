import SimilarityCore
import Synchronization

/// Vectors of one dimension under one metric, searched while they change.
///
/// Each vector has a slot, a number that is its own until the vector is removed; later vectors may get it again, but never
/// while a snapshot lives that still sees the old one. One caller writes at a time; any number read.
///
/// A few vectors are searched exactly; from ``IndexOptions/graphThreshold`` on there is a graph.
public final class VectorIndex: Sendable {
  public let dimension: Int
  public let metric: Metric
  private let current: Mutex<IndexSnapshot>
  private let writer: Mutex<IndexWriter>

  public init(dimension: Int, metric: Metric, options: IndexOptions = IndexOptions(), kernels: Kernels = .active) {
    self.dimension = dimension
    self.metric = metric
    let writer = IndexWriter(dimension: dimension, metric: metric, options: options, kernels: kernels)
    current = Mutex(writer.snapshot())
    self.writer = Mutex(writer)
  }

  /// The vectors as they stand; later writes do not touch it.
  public var snapshot: IndexSnapshot { current.withLock { $0 } }

  /// Removes the vectors at `removed` and adds `rows`, all at once: a snapshot has all of it or nothing.
  ///
  /// - Parameters:
  ///   - rows: [n, dimension] finite values, row after row.
  ///   - buildsGraph: whether a graph is made when it is time for one; where it is not, codes wait as well, searches look at
  ///     every row, and ``adopt(_:at:)`` or ``buildGraph()`` follows. A graph that is there goes on all the same.
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

  /// Makes room for `count` more vectors: adding them does not fail for want of it.
  ///
  /// - Throws: ``IndexError``; what is here stays as it is.
  public func reserve(_ count: Int) throws(IndexError) {
    try writer.withLock { writer throws(IndexError) in try writer.reserve(count) }
  }

  /// The graph as it stands, to be kept; nil while there is none.
  public func image() -> GraphImage? { writer.withLock { $0.image() } }

  /// Takes a kept graph for the vectors that are here. Those that it does not know are added to it; a neighbour that is gone
  /// is replaced by neighbours of its own.
  ///
  /// - Parameter places: the slot of each of the image's nodes; -1 for one whose vector is gone.
  /// - Returns: false when there is a graph already, when anything in the image or the places is wrong, or when it knows less
  ///   than 70 % of the vectors. Nothing has changed then, and ``buildGraph()`` is what is left.
  public func adopt(_ image: GraphImage, at places: [Int]) throws(IndexError) -> Bool {
    try writer.withLock { writer throws(IndexError) in
      guard writer.adopt(image, at: places) else { return false }
      publish(writer)
      if writer.settle() { publish(writer) }
      return true
    }
  }

  /// Writes the codes that are missing, and makes the graph if there is none and there are enough vectors for one.
  public func buildGraph() throws(IndexError) {
    try writer.withLock { writer throws(IndexError) in
      guard writer.graph == nil else { return }
      writer.version += 1
      writer.encodeRest()
      writer.addToGraph(writer.live.all)
      publish(writer)
      if writer.settle() { publish(writer) }
    }
  }

  /// Changes the recall@10 that searches have which ask for none. Snapshots that are there keep theirs.
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
    // The last one may be freed here: outside the lock, as that takes time.
    let previous = current.withLock { current in
      defer { current = next }
      return current
    }
    _ = previous
  }

  /// Whether the structure is whole: see ``GraphReport``.
  public func validate() -> GraphReport { writer.withLock { $0.validate() } }
}

/// How an index is built.
public struct IndexOptions: Sendable {
  /// Vectors from which on a graph is kept (docs/benchmarks.md: below, streaming all codes is as fast).
  public var graphThreshold = 10_000
  /// Neighbours that pruning leaves a slot; lists have room for some more before they are pruned.
  public var degree = 63
  /// The pool of the search for a new slot's neighbours.
  public var efConstruction = 96
  /// Recall@10 that the pool of a search is chosen for, until ``VectorIndex/setRecallTarget(_:)`` says otherwise.
  public var recallTarget = 0.97
  /// A folder for the f32 rows, which are then on disk and mapped; nil keeps them in memory. Codes and graph are in memory.
  public var rowFolder: String?
  /// Threads that build.
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

  /// Rows are compared with each other on the stack of a kernel, which has room for so many values.
  private static let mostGraphDimensions = 8192

  /// Whether vectors of `dimension` values may have a graph.
  package func allowsGraph(dimension: Int) -> Bool {
    dimension <= Self.mostGraphDimensions
  }
}

/// What a check of the whole graph found; all zeros (and `nodes`) when it is sound.
public struct GraphReport: Sendable, Equatable {
  /// Slots that must be in the graph.
  public var nodes = 0
  /// Edges in all.
  public var edges = 0
  /// Edges to slots that hold no vector.
  public var dangling = 0
  /// Lists that name a slot twice or their own.
  public var repeated = 0
  /// Vectors that no walk can reach.
  public var unreachable = 0

  public init() {}

  public var isSound: Bool { dangling == 0 && repeated == 0 && unreachable == 0 }
}
