import Platform
import SimilarityCore
import Testing

/// Attention with dropout and its derivatives, in f64 and by plain loops over all pairs of tokens.
struct AttentionReference {
  struct Shape: Sendable, CustomTestStringConvertible {
    var length: Int
    var heads: Int
    var keyHeads: Int
    var headWidth: Int
    var before: Int?
    var after: Int?
    var hasBias = false
    var probability: Float = 0

    init(
      _ length: Int, heads: Int = 2, keyHeads: Int? = nil, headWidth: Int = 8, before: Int? = nil, after: Int? = nil,
      hasBias: Bool = false, probability: Float = 0
    ) {
      self.length = length
      self.heads = heads
      self.keyHeads = keyHeads ?? heads
      self.headWidth = headWidth
      self.before = before
      self.after = after
      self.hasBias = hasBias
      self.probability = probability
    }

    var testDescription: String {
      "\(length) tokens, \(heads) heads of \(headWidth), \(keyHeads) of keys, \(before ?? length) before and "
        + "\(after ?? length) after, bias: \(hasBias), dropout: \(probability)"
    }

    var width: Int { heads * headWidth }
    var stride: Int { (heads + 2 * keyHeads) * headWidth }
    var scale: Float { 1 / Float(headWidth).squareRoot() }
    /// The biases of a head, for more tokens than there are.
    var longest: Int { length + 3 }

    /// What is added to the scaled score.
    func bias(_ head: Int, _ distance: Int) -> Float { hasBias ? Float((head * 31 + distance * 7) % 13) / 4 : 0 }

    /// The factors of all weights, as ``AttentionReference/factors``.
    func factors(_ kernels: Kernels, _ dropout: TrainingAttention.WeightDropout?) -> [Float] {
      guard let d = dropout else { return [] }
      let ones = [Float](repeating: 1, count: heads * length * ((length + 15) / 16 * 16))
      var all = ones
      kernels.dropout(
        ones, count: ones.count, from: 0, seed: d.seed, serial: d.serial, site: d.site, probability: d.probability,
        into: &all)
      return all
    }
  }

  let shape: Shape
  /// Of the weights, [heads, length, length rounded up to a multiple of 16]; none stand for ones.
  let factors: [Double]
  /// What is added to the scaled scores, [heads, 2·length − 1].
  var bias: [Double]

  init(_ shape: Shape, factors: [Float]) {
    self.shape = shape
    self.factors = factors.map(Double.init)
    bias = (0..<shape.heads).flatMap { head in
      (1 - shape.length..<shape.length).map { Double(shape.bias(head, $0)) }
    }
  }

  struct Derivatives {
    var qkv: [Double]
    var bias: [Double]
  }

  /// The results, and the derivatives of Σ dout·out.
  func evaluate(_ qkv: [Double], _ dout: [Double]) -> (out: [Double], logSums: [Double], derivatives: Derivatives) {
    let (length, w, stride) = (shape.length, shape.headWidth, shape.stride)
    let padded = (length + 15) / 16 * 16
    var out = [Double](repeating: 0, count: length * shape.width)
    var logSums = [Double](repeating: 0, count: shape.heads * length)
    var d = Derivatives(qkv: qkv.map { _ in 0 }, bias: bias.map { _ in 0 })
    var (p, dp) = ([Double](repeating: 0, count: length), [Double](repeating: 0, count: length))
    let scale = Double(shape.scale)
    for head in 0..<shape.heads {
      let key = (shape.heads + head / (shape.heads / shape.keyHeads)) * w
      let value = key + shape.keyHeads * w
      for i in 0..<length {
        let query = i * stride + head * w
        let result = i * shape.width + head * w
        let first = max(0, i - (shape.before ?? length))
        let seen = first..<min(length, i + 1 + (shape.after ?? length))
        for j in seen {
          var score = bias[head * (2 * length - 1) + length - 1 + j - i]
          for c in 0..<w { score += qkv[query + c] * qkv[j * stride + key + c] * scale }
          p[j] = score
        }
        let top = p[seen].max() ?? 0
        let sum = seen.reduce(0) { $0 + exp(p[$1] - top) }
        logSums[head * length + i] = top + log(sum)
        var delta = 0.0
        for j in seen {
          p[j] = exp(p[j] - top) / sum
          dp[j] = 0
          let factor = factors.isEmpty ? 1 : factors[(head * length + i) * padded + j]
          for c in 0..<w {
            out[result + c] += p[j] * factor * qkv[j * stride + value + c]
            dp[j] += dout[result + c] * qkv[j * stride + value + c] * factor
            d.qkv[j * stride + value + c] += p[j] * factor * dout[result + c]
          }
          delta += p[j] * dp[j]
        }
        for j in seen {
          let ds = p[j] * (dp[j] - delta)
          d.bias[head * (2 * length - 1) + length - 1 + j - i] += ds
          for c in 0..<w {
            d.qkv[query + c] += ds * scale * qkv[j * stride + key + c]
            d.qkv[j * stride + key + c] += ds * scale * qkv[query + c]
          }
        }
      }
    }
    return (out, logSums, d)
  }
}
