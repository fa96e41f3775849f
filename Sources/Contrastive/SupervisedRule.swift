import Platform
import SimilarityCore

/// ℓᵢ = −mean_{p∈P(i)} z_p + log Σ_{a≠i} exp z_a, and ∂ℓᵢ/∂zⱼ = softmax(z)ⱼ − [j ∈ P(i)]/|P(i)|, where P(i) are the other
/// rows of i's class (Khosla et al. 2020, arXiv 2004.11362, L_out of equation 2). Without any, ℓᵢ = 0.
struct SupervisedRule: RowRule {
  /// The class of each anchor, and the anchors of each class.
  let classes: [Int]
  let members: [[Int]]

  init(labels: [Int]) {
    var indices: [Int: Int] = [:]
    var classes: [Int] = []
    var members: [[Int]] = []
    for (row, label) in labels.enumerated() {
      let index = indices[label] ?? members.count
      if index == members.count {
        indices[label] = index
        members.append([])
      }
      members[index].append(row)
      classes.append(index)
    }
    self.classes = classes
    self.members = members
  }

  /// Rows without a partner.
  var excluded: [Int] { classes.indices.filter { members[classes[$0]].count < 2 } }

  var ignoresShift: Bool { true }

  func apply(_ row: Int, _ z: UnsafeMutableBufferPointer<Float>, _ context: RowContext) -> RowOutcome {
    let family = members[classes[row]]
    var outcome = RowOutcome()
    guard family.count > 1 else {
      z.update(repeating: 0)
      return outcome
    }
    let share = 1 / Double(family.count - 1)
    let logit = family.reduce(0) { $1 == row ? $0 : $0 + Double(z[$1]) } * share
    z[row] = Kernels.masked
    let found = context.kernels.exponentiate(z)
    let mean = found.weighted / found.sum
    outcome.loss = Double(found.maximum) + log(found.sum) - logit
    outcome.weightedLogits = Double(found.maximum) - logit + mean
    outcome.entropy = log(found.sum) - mean
    guard context.wantsWeights else { return outcome }
    context.finish(z, factor: Float(1 / found.sum))
    for partner in family where partner != row { z[partner] -= Float(share) * context.factor(partner) }
    return outcome
  }
}
