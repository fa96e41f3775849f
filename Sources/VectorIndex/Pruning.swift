import SimilarityCore

/// Chooses a slot's neighbours among candidates so that they point in different directions (robust prune, Vamana
/// algorithm 2): a candidate is left out when a chosen one is α times nearer to it than the slot is.
struct Pruning {
  /// α², since distances here are squares.
  static let defaultAlphaSquared: Float = 1.2 * 1.2

  let records: CodeRecords
  let degree: Int
  var alphaSquared = Self.defaultAlphaSquared
  let kernels: Kernels

  /// - Parameter candidates: without `slot` itself; a slot may occur once only.
  /// - Returns: at most ``degree`` of them, nearest first.
  func choose(for slot: Int, from candidates: [UInt32]) -> [UInt32] {
    guard !candidates.isEmpty else { return [] }
    let distances = distances(of: candidates, from: slot)
    let order = candidates.indices.sorted {
      distances[$0] != distances[$1] ? distances[$0] < distances[$1] : candidates[$0] < candidates[$1]
    }
    var chosen: [UInt32] = []
    chosen.reserveCapacity(degree)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: degree) { scratch in
      guard let between = scratch.baseAddress else { return }
      for index in order {
        let candidate = candidates[index]
        chosen.withUnsafeBufferPointer {
          records.distances(of: $0, from: Int(candidate), into: between, kernels)
        }
        var isCovered = false
        for other in chosen.indices where alphaSquared * between[other] <= distances[index] {
          isCovered = true
          break
        }
        guard !isCovered else { continue }
        chosen.append(candidate)
        if chosen.count == degree { break }
      }
    }
    return chosen
  }

  /// The nearest of `candidates`, the smaller slot of two; nil when there is none.
  func nearest(to slot: Int, of candidates: [UInt32]) -> UInt32? {
    zip(distances(of: candidates, from: slot), candidates).min { $0 < $1 }?.1
  }

  private func distances(of candidates: [UInt32], from slot: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: candidates.count) { distances, count in
      guard let out = distances.baseAddress else { return }
      candidates.withUnsafeBufferPointer { records.distances(of: $0, from: slot, into: out, kernels) }
      count = candidates.count
    }
  }
}
