import CKernels

/// The heads of attention, and what they see.
public protocol AttentionHeads {
  /// The number of heads of the queries.
  var heads: Int { get }
  /// The number of heads of the keys and values. Each is shared by `heads / keyHeads` neighbouring heads of the queries
  /// (Ainslie et al. 2023, arXiv 2305.13245).
  var keyHeads: Int { get }
  var headWidth: Int { get }
  /// What products of queries and keys are multiplied by.
  var scale: Float { get }
  /// How many tokens before it a query sees; nil for all.
  var before: Int? { get }
  /// How many tokens after it a query sees; nil for all, and 0 for causal attention.
  var after: Int? { get }
}

extension AttentionHeads {
  /// The number of values of the queries of a token, which is also that of the result.
  public var queryWidth: Int { heads * headWidth }
  /// The number of values of the keys of a token, and of its values.
  public var keyWidth: Int { keyHeads * headWidth }

  /// What the kernels are told about a sequence of so many tokens.
  func shim(length: Int, _ precision: Precision) -> nf_attention {
    var shape = nf_attention()
    (shape.length, shape.heads, shape.key_heads, shape.head_width) = (length, heads, keyHeads, headWidth)
    shape.precision = precision.shim
    (shape.scale, shape.before, shape.after) = (scale, before ?? .max, after ?? .max)
    return shape
  }
}

/// Self-attention of one sequence (Vaswani et al. 2017, section 3.2): softmax(Q·Kᵀ·scale + bias)·V for each head.
public struct Attention: AttentionHeads, Sendable {
  public let heads: Int
  public let keyHeads: Int
  public let headWidth: Int
  public let scale: Float
  /// Below f32, both products are of bf16 where the processor multiplies it, and of f32 elsewhere.
  public let precision: Precision
  public let before: Int?
  public let after: Int?
  private let bias: RelativeBias?

  /// What is added to the scores, by head and by how far the key is from the query.
  public struct RelativeBias: Sendable {
    fileprivate let values: [Float]
    fileprivate let longest: Int

    /// - Parameters:
    ///   - scale: that of the attention. The scores are scaled after the bias has been added.
    ///   - longest: the most tokens of a sequence, at least one.
    ///   - value: the bias of a head, and of the place of the key minus that of the query.
    public init(heads: Int, longest: Int, scale: Float, _ value: (_ head: Int, _ distance: Int) -> Float) {
      self.longest = longest
      let factor = 1 / scale
      values = (0..<heads).flatMap { head in (1 - longest..<longest).map { value(head, $0) * factor } }
    }
  }

  /// - Parameter bias: with the same scale, for at least as many tokens as any sequence has.
  public init(
    heads: Int, keyHeads: Int? = nil, headWidth: Int, scale: Float, before: Int? = nil, after: Int? = nil,
    bias: RelativeBias? = nil, precision: Precision = .f32
  ) {
    precondition(heads > 0 && heads.isMultiple(of: keyHeads ?? heads), "the heads cannot share the keys evenly")
    self.heads = heads
    self.keyHeads = keyHeads ?? heads
    self.headWidth = headWidth
    self.scale = scale
    self.before = before
    self.after = after
    self.bias = bias
    self.precision = precision
  }

  /// Computes the heads `part`, or all.
  ///
  /// - Parameters:
  ///   - qkv: [length, queryWidth + 2·keyWidth], the queries, keys and values of each token.
  ///   - scratch: at least ``scratch(length:headWidth:)`` floats.
  ///   - out: [length, queryWidth].
  public func apply(
    _ qkv: UnsafePointer<Float>, length: Int, part: Range<Int>? = nil, _ kernels: Kernels,
    scratch: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>
  ) {
    guard length > 0 else { return }
    precondition(length <= bias?.longest ?? length, "the bias is for \(bias?.longest ?? 0) tokens, not \(length)")
    let part = part ?? 0..<heads
    var shape = shim(length: length, precision)
    func run() { kernels.table.pointee.attention(&shape, qkv, part.lowerBound, part.count, scratch, out) }
    guard let bias else { return run() }
    bias.values.withUnsafeBufferPointer { values in
      (shape.bias, shape.longest) = (values.baseAddress, bias.longest)
      run()
    }
  }

  /// The number of floats of scratch memory that attention needs.
  public static func scratch(length: Int, headWidth: Int) -> Int { nf_attention_scratch(length, headWidth) }
}
