/// What a pass over all anchors found.
struct StripOutput {
  /// ℓᵢ of each anchor.
  var losses: [Double]
  /// Σᵢ Σⱼ w_ij·z_ij and Σᵢ Σⱼ w_ij.
  var weightedLogits = 0.0
  var weights = 0.0
  /// Σᵢ of the rows' entropies.
  var entropy = 0.0
  /// s·∂(Σℓ)/∂q̂ of each anchor, [n, d]; empty without gradients. Likewise the others, block by block.
  var anchors: [Float] = []
  var candidates: [[Float]] = []
  var ownPositives: [Float] = []
  var ownNegatives: [Float] = []
  var probe: RowProbe?
}
