import Safetensors
import VectorIndex

/// Where a loaded collection's graph is from.
public enum GraphOrigin: Sendable, Equatable {
  /// There is none: searches are exact.
  case none
  /// The saved one, as it was at this version, and how many points it did not know.
  case saved(version: Int, added: Int)
  /// Built from the records: no file, or one that knows too few of them.
  case built
  /// Built from the records, since the file is not as it was written, and how that showed.
  case damaged(String)
}

/// Gives a loaded index its graph: the saved one, caught up from the records, or a new one.
enum GraphCatchUp {
  /// From how many points on a new graph is worth a line.
  private static let large = 10_000

  /// - Parameters:
  ///   - keys: of the points in `slots`.
  static func run(
    _ index: VectorIndex, _ stored: StoredCollection, keys: [Int64], slots: [Int], _ options: IndexOptions,
    _ file: GraphFile?, progress: (String) -> Void
  ) throws(IndexError) -> GraphOrigin {
    var origin = GraphOrigin.built
    guard slots.count >= options.graphThreshold, stored.metric.allowsGraph(dimension: stored.dimension) else {
      // Too few for a graph, but not for codes.
      try index.buildGraph()
      return .none
    }
    if let file, file.isOlder {
      progress(
        "collection '\(stored.name)': \(file.path) is of an earlier version: building the graph anew"
      )
    } else if let file, file.exists {
      do throws(SafetensorsError) {
        let content = try file.read(for: stored)
        let slotOfKey = Dictionary(zip(keys, slots), uniquingKeysWith: { first, _ in first })
        let places = content.keys.map { slotOfKey[$0] ?? -1 }
        if try adopted(index, content.image, places) {
          let known = places.reduce(0) { $0 + ($1 >= 0 ? 1 : 0) }
          progress(
            "collection '\(stored.name)': read the graph of \(known) points from \(file.path), added \(slots.count - known)"
          )
          return .saved(version: content.version, added: slots.count - known)
        }
        progress("\(file.path) does not fit the records: building the graph anew")
      } catch {
        origin = .damaged("\(file.path) is damaged (\(error.message))")
        progress("\(file.path) is damaged (\(error.message)): building the graph anew")
      }
    } else if slots.count >= large {
      progress("collection '\(stored.name)': building the graph of \(slots.count) points")
    }
    try index.buildGraph()
    return origin
  }

  /// What cannot be taken for want of memory is built anew, which says so if it cannot either.
  private static func adopted(_ index: VectorIndex, _ image: GraphImage, _ places: [Int]) throws(SafetensorsError)
    -> Bool
  {
    do throws(IndexError) {
      return try index.adopt(image, at: places)
    } catch {
      throw SafetensorsError(message: "not enough memory to read it")
    }
  }
}
