import CKernels

/// Self-attention of one sequence in f32, for training: as ``Attention``, with dropout of the weights and a backward pass.
public struct TrainingAttention: AttentionHeads, Sendable {
  /// Which weights are dropped, as ``Kernels/dropout(_:count:from:seed:serial:site:probability:into:)`` takes it. The weight of
  /// a query and a key of a head has the index (head·length + query)·(length rounded up to a multiple of 16) + key.
  public struct WeightDropout: Sendable {
    public var seed: UInt64
    public var serial: UInt64
    public var site: UInt32
    public var probability: Float

    public init(seed: UInt64, serial: UInt64, site: UInt32, probability: Float) {
      self.seed = seed
      self.serial = serial
      self.site = site
      self.probability = probability
    }

    var shim: nf_dropout { nf_dropout(seed: seed, serial: serial, site: site, probability: probability) }
  }

  public let heads: Int
  public let keyHeads: Int
  public let headWidth: Int
  public let scale: Float
  public let before: Int?
  public let after: Int?
  /// What is added to the scaled scores, divided by `scale`: [heads, 2·longest − 1], where the value at longest − 1 + d is for a
  /// key whose place is that of its query plus d. Nil for nothing.
  public var bias: [Float]?
  public var dropout: WeightDropout?

  /// - Parameter bias: its size divided by the number of heads must be odd: 2·longest − 1.
  public init(
    heads: Int, keyHeads: Int? = nil, headWidth: Int, scale: Float, before: Int? = nil, after: Int? = nil,
    bias: [Float]? = nil, dropout: WeightDropout? = nil
  ) {
    precondition(heads > 0 && heads.isMultiple(of: keyHeads ?? heads), "the heads cannot share the keys evenly")
    self.heads = heads
    self.keyHeads = keyHeads ?? heads
    self.headWidth = headWidth
    self.scale = scale
    self.before = before
    self.after = after
    self.bias = bias
    self.dropout = dropout
  }

  /// The number of floats of scratch memory that both passes need.
  public func scratch(length: Int) -> Int {
    max(nf_attention_scratch(length, headWidth), nf_attention_backward_scratch(headWidth))
  }

  // SAFETY: the pointers in the shape are used within `body` only.
  fileprivate func withShape(
    length: Int, logSums: UnsafeMutablePointer<Float>, _ body: (UnsafePointer<nf_attention>) -> Void
  ) {
    let longest = ((bias?.count ?? 0) / heads + 1) / 2
    precondition(bias == nil || length <= longest, "the bias is for \(longest) tokens, not \(length)")
    var shape = shim(length: length, .f32)
    (shape.longest, shape.log_sums) = (longest, logSums)
    func withBias(_ mask: UnsafePointer<nf_dropout>?) {
      shape.dropout = mask
      guard let bias else { return body(&shape) }
      bias.withUnsafeBufferPointer { values in
        shape.bias = values.baseAddress
        body(&shape)
      }
    }
    guard let dropout, dropout.probability > 0 else { return withBias(nil) }
    withUnsafePointer(to: dropout.shim) { withBias($0) }
  }
}

extension Kernels {
  /// Attention of the heads that share the key heads `part`.
  ///
  /// - Parameters:
  ///   - qkv: [length, queryWidth + 2·keyWidth], the queries, keys and values of each token.
  ///   - scratch: at least ``TrainingAttention/scratch(length:)`` floats.
  ///   - out: [length, queryWidth], of which these heads are written.
  ///   - logSums: gets log Σ exp(score) of each head and query, [heads, length], for the backward pass.
  public func attentionForward(
    _ shape: TrainingAttention, _ qkv: UnsafePointer<Float>, length: Int, keyHeads part: Range<Int>,
    scratch: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>, logSums: UnsafeMutablePointer<Float>
  ) {
    guard length > 0 else { return }
    let shared = shape.heads / shape.keyHeads
    shape.withShape(length: length, logSums: logSums) {
      table.pointee.attention($0, qkv, part.lowerBound * shared, part.count * shared, scratch, out)
    }
  }

  /// The backward pass of ``attentionForward(_:_:length:keyHeads:scratch:into:logSums:)``. The weights are computed again from
  /// `logSums`, so that no memory of the size length² is needed (Dao et al. 2022, arXiv 2205.14135).
  ///
  /// - Parameters:
  ///   - out, logSums: of the forward pass with the same shape.
  ///   - dout: the derivative of the loss by `out`, [length, queryWidth].
  ///   - dqkv: gets the derivatives by `qkv`, in its layout, for the heads that share the key heads `part`, and these.
  ///   - dbias: the derivatives by what is added to the scaled scores are added here, [heads, 2·length − 1], where the value at
  ///     length − 1 + d is for a key whose place is that of its query plus d; nil where nobody needs them.
  public func attentionBackward(
    _ shape: TrainingAttention, _ qkv: UnsafePointer<Float>, out: UnsafePointer<Float>,
    logSums: UnsafePointer<Float>, dout: UnsafePointer<Float>, length: Int, keyHeads part: Range<Int>,
    scratch: UnsafeMutablePointer<Float>, dqkv: UnsafeMutablePointer<Float>, dbias: UnsafeMutablePointer<Float>?
  ) {
    guard length > 0 else { return }
    // SAFETY: the backward pass only reads the sums.
    shape.withShape(length: length, logSums: UnsafeMutablePointer(mutating: logSums)) {
      table.pointee.attention_backward($0, qkv, out, dout, part.lowerBound, part.count, scratch, dqkv, dbias)
    }
  }
}
