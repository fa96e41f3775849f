import CKernels

/// The centroids that codes are relative to: a row is its nearest centroid plus a residual, and only the residual is
/// rounded (Jégou et al. 2011, "Product quantization for nearest neighbor search", section IV).
///
/// Errors scale with the residual, not with the row, so that codes distinguish vectors even in dense clusters or in a
/// narrow cone. Centroids are in the rotated space, after the mean of all rows has been subtracted.
public final class CoarseQuantizer: Sendable {
  public let dimension: Int
  public let metric: CodeMetric
  public let rotation: Rotation
  /// The mean that is subtracted from every row (under the cosine, from its direction) before it is rotated.
  let mean: [Float]
  /// [count, stride], rotated; zero after the last dimension. Each value is rounded to bf16, which costs no accuracy,
  /// since residuals are relative to the rounded centroid.
  let centroids: [Float]
  /// The centroids as bf16 in blocks of 16, dimension by dimension.
  let blocks: [UInt16]
  /// The number of centroids.
  public let count: Int
  /// The number of values from one centroid to the next, a multiple of 32.
  let stride: Int
  /// An upper bound of the norms of the centroids.
  let longest: Double
  /// An upper bound of the rounding error of a row in the rotated space, relative to its norm.
  let drift: Double
  /// An upper bound of the relative rounding error of f32 sums of a row's squares or products.
  let sumRounding: Double

  /// Creates a quantizer whose only centroid is the origin.
  public convenience init(dimension: Int, metric: CodeMetric, rotation: Rotation) {
    let stride = Self.stride(dimension)
    self.init(
      rotation: rotation, metric: metric, mean: [Float](repeating: 0, count: dimension),
      centroids: [Float](repeating: 0, count: stride))
  }

  init(rotation: Rotation, metric: CodeMetric, mean: [Float], centroids: [Float]) {
    dimension = rotation.dimension
    self.metric = metric
    self.rotation = rotation
    self.mean = mean
    let centroids = centroids.map { Float(bitPattern: ($0.bitPattern &+ 0x8000) & 0xFFFF_0000) }
    self.centroids = centroids
    stride = Self.stride(rotation.dimension)
    count = centroids.count / stride
    blocks = Self.blocks(centroids, stride)
    drift = rotation.rounding + 1.2e-7
    // 6e-8 for each addition within a lane, and more for adding up the lanes and for later rounding.
    sumRounding = Double(stride / 4 + 16) * 6e-8
    longest =
      centroids.indices.lazy.filter { [stride] in $0 % stride == 0 }.reduce(0) { [stride] longest, first in
        max(longest, centroids[first..<first + stride].reduce(0) { $0 + Double($1) * Double($1) }.squareRoot())
      } * 1.0001
  }

  private static func blocks(_ centroids: [Float], _ stride: Int) -> [UInt16] {
    let width = Int(NF_BLOCK)
    let count = centroids.count / stride
    var blocks = [UInt16](repeating: 0, count: room(count) * stride)
    for cell in 0..<count {
      let first = cell / width * width * stride + cell % width
      for column in 0..<stride {
        blocks[first + column * width] = UInt16(truncatingIfNeeded: centroids[cell * stride + column].bitPattern >> 16)
      }
    }
    return blocks
  }

  /// `count` rounded up to whole blocks.
  static func room(_ count: Int) -> Int { (count + Int(NF_BLOCK) - 1) / Int(NF_BLOCK) * Int(NF_BLOCK) }

  /// `dimension` rounded up to a multiple of 32.
  static func stride(_ dimension: Int) -> Int { (dimension + 31) / 32 * 32 }

  /// Whether sums of squares of a row of this norm neither overflow nor underflow in f32.
  static func resolves(norm: Double) -> Bool { norm == 0 || (1e-15...1e15).contains(norm) }

  /// Scales the row to length 1 under the cosine, subtracts the mean where `subtractingMean`, and writes the rotated
  /// vector to `z`, which has ``stride`` values.
  ///
  /// - Returns: the norm of the vector.
  // SAFETY: the sizes of row and target are checked; mean and signs are as long as the dimension says.
  func place(
    _ row: UnsafeBufferPointer<Float>, norm: Double, subtractingMean: Bool, into z: UnsafeMutableBufferPointer<Float>,
    _ kernels: Kernels
  ) -> Double {
    precondition(row.count == dimension, "a row of \(row.count) values among rows of \(dimension)")
    precondition(z.count >= stride, "room for \(z.count) of \(stride) values")
    guard let source = row.baseAddress, let target = z.baseAddress else { return 0 }
    let scale = metric == .cosine && norm > 0 ? 1 / norm : 1
    return mean.withUnsafeBufferPointer { mean in
      kernels.table.pointee.code_place(
        source, scale, subtractingMean ? mean.baseAddress : nil, dimension, stride, rotation.signs, Rotation.rounds,
        target)
    }
  }

  /// The number of the centroid that is nearest to `z`.
  // SAFETY: `z` has ``stride`` values, and the scratch memory has room for ``count``.
  func nearest(to z: UnsafePointer<Float>, _ scratch: UnsafeMutablePointer<Float>, _ kernels: Kernels) -> Int {
    centroids.withUnsafeBufferPointer {
      kernels.table.pointee.code_cells($0.baseAddress, count, stride, z, nil, scratch)
    }
    var best = 0
    for cell in 1..<max(1, count) where scratch[cell] < scratch[best] { best = cell }
    return best
  }
}

/// A fixed rotation, which spreads the content of single dimensions over all of them before values are rounded to
/// bytes. It depends on the dimension alone, so that it needs no training and never changes.
///
/// It alternates random signs and Walsh–Hadamard transforms (Ailon & Chazelle 2009, "The fast Johnson–Lindenstrauss
/// transform").
public struct Rotation: Sendable {
  static let rounds = 4

  public let dimension: Int
  /// `rounds` · dimension values of ±1.
  let signs: [Float]

  public init(dimension: Int) {
    self.dimension = dimension
    var random = SplitMix64(state: 0x6E65_6172_6661_7221)
    signs = (0..<Self.rounds * max(0, dimension)).map { _ in random.next() & 1 == 0 ? 1 : -1 }
  }

  /// An upper bound of the f32 rounding error of a rotated vector, relative to its norm. Every stage of a transform
  /// rounds each value once.
  var rounding: Double {
    var stages = 2
    while 1 << (stages - 1) <= dimension { stages += 1 }
    return Double(Self.rounds * stages) * 6e-8
  }
}
