import Platform
import SimilarityCore

// Plain loops for the small operations of training.

/// Attention of one sequence in training.
struct TrainingAttention: Sendable {
  var heads: Int
  var keyHeads: Int
  var headWidth: Int
  var scale: Float
  var before: Int?
  var after: Int?
  /// [heads, 2·longest − 1], as ``Attention/RelativeBias`` has it: scores are (q·k + bias)·scale.
  var bias: [Float]?
  var dropout: (seed: UInt64, serial: UInt64, site: UInt32, probability: Float)?
}

extension Kernels {
  func layerNormForward(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?, gamma: UnsafePointer<Float>,
    beta: UnsafePointer<Float>, epsilon: Float, rows: Int, width: Int, sum: UnsafeMutablePointer<Float>?,
    statistics: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    for r in 0..<rows {
      let o = r * width
      var total: Double = 0
      for i in 0..<width { total += Double(x[o + i] + (residual?[o + i] ?? 0)) }
      let mean = total / Double(width)
      var square: Double = 0
      for i in 0..<width {
        let d = Double(x[o + i] + (residual?[o + i] ?? 0)) - mean
        square += d * d
      }
      let inverse = Float(1 / (square / Double(width) + Double(epsilon)).squareRoot())
      statistics[2 * r] = Float(mean)
      statistics[2 * r + 1] = inverse
      for i in 0..<width {
        let value = x[o + i] + (residual?[o + i] ?? 0)
        sum?[o + i] = value
        out[o + i] = (value - Float(mean)) * inverse * gamma[i] + beta[i]
      }
    }
  }

  func layerNormBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, statistics: UnsafePointer<Float>,
    gamma: UnsafePointer<Float>, rows: Int, width: Int, dx: UnsafeMutablePointer<Float>,
    dgamma: UnsafeMutablePointer<Float>, dbeta: UnsafeMutablePointer<Float>?
  ) {
    for r in 0..<rows {
      let o = r * width
      let (mean, inverse) = (statistics[2 * r], statistics[2 * r + 1])
      var first: Float = 0
      var second: Float = 0
      for i in 0..<width {
        let n = (x[o + i] - mean) * inverse
        let g = dy[o + i] * gamma[i]
        first += g
        second += g * n
        dgamma[i] += dy[o + i] * n
        dbeta?[i] += dy[o + i]
      }
      first /= Float(width)
      second /= Float(width)
      for i in 0..<width {
        let n = (x[o + i] - mean) * inverse
        dx[o + i] = inverse * (dy[o + i] * gamma[i] - first - n * second)
      }
    }
  }

  func rmsNormForward(
    _ x: UnsafePointer<Float>, residual: UnsafePointer<Float>?, gamma: UnsafePointer<Float>, epsilon: Float, rows: Int,
    width: Int, sum: UnsafeMutablePointer<Float>?, statistics: UnsafeMutablePointer<Float>,
    into out: UnsafeMutablePointer<Float>
  ) {
    for r in 0..<rows {
      let o = r * width
      var square: Double = 0
      for i in 0..<width {
        let value = x[o + i] + (residual?[o + i] ?? 0)
        sum?[o + i] = value
        square += Double(value) * Double(value)
      }
      let inverse = Float(1 / (square / Double(width) + Double(epsilon)).squareRoot())
      statistics[r] = inverse
      for i in 0..<width { out[o + i] = (x[o + i] + (residual?[o + i] ?? 0)) * inverse * gamma[i] }
    }
  }

  func rmsNormBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, statistics: UnsafePointer<Float>,
    gamma: UnsafePointer<Float>, rows: Int, width: Int, dx: UnsafeMutablePointer<Float>,
    dgamma: UnsafeMutablePointer<Float>
  ) {
    for r in 0..<rows {
      let o = r * width
      let inverse = statistics[r]
      var second: Float = 0
      for i in 0..<width {
        let n = x[o + i] * inverse
        second += dy[o + i] * gamma[i] * n
        dgamma[i] += dy[o + i] * n
      }
      second /= Float(width)
      for i in 0..<width { dx[o + i] = inverse * (dy[o + i] * gamma[i] - x[o + i] * inverse * second) }
    }
  }

  private func value(_ x: Float, _ activation: Activation) -> (value: Float, slope: Float) {
    let x = Double(x)
    switch activation {
    case .identity: return (Float(x), 1)
    case .relu: return (Float(max(0, x)), x > 0 ? 1 : 0)
    case .silu:
      let s = 1 / (1 + exp(-x))
      return (Float(x * s), Float(s * (1 + x * (1 - s))))
    case .gelu:
      let phi = (1 + erf(x / 2.0.squareRoot())) / 2
      return (Float(x * phi), Float(phi + x * exp(-x * x / 2) / 2.5066282746310002))
    case .geluTanh:
      let u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
      let t = tanh(u)
      let du = 0.7978845608028654 * (1 + 3 * 0.044715 * x * x)
      return (Float(0.5 * x * (1 + t)), Float(0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du))
    }
  }

  func activateForward(
    _ x: UnsafePointer<Float>, count: Int, _ activation: Activation, into out: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<count { out[i] = value(x[i], activation).value }
  }

  func activateBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, count: Int, _ activation: Activation,
    into dx: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<count { dx[i] = dy[i] * value(x[i], activation).slope }
  }

  func gateBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int, width: Int, _ activation: Activation,
    into dx: UnsafeMutablePointer<Float>
  ) {
    for r in 0..<rows {
      for i in 0..<width {
        let a = value(x[2 * r * width + i], activation)
        let b = x[(2 * r + 1) * width + i]
        let d = dy[r * width + i]
        dx[2 * r * width + i] = d * b * a.slope
        dx[(2 * r + 1) * width + i] = d * a.value
      }
    }
  }

  private func mask(_ index: Int, _ seed: UInt64, _ serial: UInt64, _ site: UInt32, _ probability: Float) -> Float {
    var z = seed &+ serial &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(site) << 40 &+ UInt64(index)
    for _ in 0..<2 {
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      z ^= z >> 31
    }
    return Float(z >> 40) / Float(1 << 24) < probability ? 0 : 1 / (1 - probability)
  }

  func dropout(
    _ x: UnsafePointer<Float>, count: Int, from first: Int, seed: UInt64, serial: UInt64, site: UInt32,
    probability: Float, into out: UnsafeMutablePointer<Float>
  ) {
    for i in 0..<count { out[i] = x[i] * mask(first + i, seed, serial, site, probability) }
  }

  static func trainingAttentionScratch(length: Int, headWidth: Int) -> Int { 3 * length }

  private func weights(
    _ a: TrainingAttention, _ qkv: UnsafePointer<Float>, _ length: Int, _ head: Int, _ i: Int,
    _ logSum: Float?, _ out: UnsafeMutablePointer<Float>
  ) -> Float {
    let stride = (a.heads + 2 * a.keyHeads) * a.headWidth
    let keys = (a.heads + head / (a.heads / a.keyHeads)) * a.headWidth
    let longest = ((a.bias?.count ?? 0) / a.heads + 1) / 2
    var top = -Float.greatestFiniteMagnitude
    for j in 0..<length {
      out[j] = -Float.greatestFiniteMagnitude
      if let before = a.before, j < i - before { continue }
      if let after = a.after, j > i + after { continue }
      var sum: Float = 0
      for d in 0..<a.headWidth { sum += qkv[i * stride + head * a.headWidth + d] * qkv[j * stride + keys + d] }
      if let bias = a.bias { sum += bias[head * (2 * longest - 1) + longest - 1 + j - i] }
      out[j] = sum * a.scale
      top = max(top, out[j])
    }
    var normalizer = logSum ?? 0
    if logSum == nil {
      var total: Double = 0
      for j in 0..<length { total += Double(exp(out[j] - top)) }
      normalizer = top + Float(log(total))
    }
    for j in 0..<length { out[j] = exp(out[j] - normalizer) }
    return normalizer
  }

  func attentionForward(
    _ a: TrainingAttention, _ qkv: UnsafePointer<Float>, length: Int, keyHeads part: Range<Int>,
    scratch: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>, logSums: UnsafeMutablePointer<Float>
  ) {
    let (stride, group) = ((a.heads + 2 * a.keyHeads) * a.headWidth, a.heads / a.keyHeads)
    for head in part.lowerBound * group..<part.upperBound * group {
      let v = (a.heads + a.keyHeads + head / group) * a.headWidth
      for i in 0..<length {
        logSums[head * length + i] = weights(a, qkv, length, head, i, nil, scratch)
        let target = out + (i * a.heads + head) * a.headWidth
        for d in 0..<a.headWidth { target[d] = 0 }
        for j in 0..<length {
          var w = scratch[j]
          if let drop = a.dropout {
            w *= mask((head * length + i) * length + j, drop.seed, drop.serial, drop.site, drop.probability)
          }
          for d in 0..<a.headWidth { target[d] += w * qkv[j * stride + v + d] }
        }
      }
    }
  }

  func attentionBackward(
    _ a: TrainingAttention, _ qkv: UnsafePointer<Float>, out: UnsafePointer<Float>, logSums: UnsafePointer<Float>,
    dout: UnsafePointer<Float>, length: Int, keyHeads part: Range<Int>, scratch: UnsafeMutablePointer<Float>,
    dqkv: UnsafeMutablePointer<Float>, dbias: UnsafeMutablePointer<Float>?
  ) {
    let (stride, group, width) = ((a.heads + 2 * a.keyHeads) * a.headWidth, a.heads / a.keyHeads, a.headWidth)
    for keyHead in part {
      let (k, v) = ((a.heads + keyHead) * width, (a.heads + a.keyHeads + keyHead) * width)
      for j in 0..<length {
        for d in 0..<width {
          dqkv[j * stride + k + d] = 0
          dqkv[j * stride + v + d] = 0
        }
      }
      for head in keyHead * group..<(keyHead + 1) * group {
        let q = head * width
        for i in 0..<length {
          _ = weights(a, qkv, length, head, i, logSums[head * length + i], scratch)
          let (o, g) = (out + (i * a.heads + head) * width, dout + (i * a.heads + head) * width)
          var delta: Float = 0
          for d in 0..<width {
            delta += o[d] * g[d]
            dqkv[i * stride + q + d] = 0
          }
          for j in 0..<length where scratch[j] > 0 {
            var m: Float = 1
            if let drop = a.dropout {
              m = mask((head * length + i) * length + j, drop.seed, drop.serial, drop.site, drop.probability)
            }
            var dp: Float = 0
            for d in 0..<width {
              dp += g[d] * qkv[j * stride + v + d]
              dqkv[j * stride + v + d] += scratch[j] * m * g[d]
            }
            let ds = scratch[j] * (dp * m - delta) * a.scale
            dbias?[head * (2 * length - 1) + length - 1 + j - i] += ds
            for d in 0..<width {
              dqkv[i * stride + q + d] += ds * qkv[j * stride + k + d]
              dqkv[j * stride + k + d] += ds * qkv[i * stride + q + d]
            }
          }
        }
      }
    }
  }
}
