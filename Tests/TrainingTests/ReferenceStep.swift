import Contrastive
import Encoder
import Platform
import Training

/// The loss of a step in f64, by the formulas as the papers write them, for a ``TrainableTable`` or a ``DenseTable`` without
/// dropout. What stands behind a stop-gradient is computed once, when the reference is made.
struct ReferenceStep {
  /// By the name of the array.
  var arrays: [String: [Double]]
  private let layouts: [String: ParameterLayout]
  private let model: any TrainableModel
  /// The model's values, where adapters are trained.
  private let base: [Double]
  private let options: StepOptions
  private let batch: TokenBatch
  private var targets: [[Double]] = []
  private var queue: [[Double]] = []

  init(_ step: TrainingStep, _ model: any TrainableModel, _ batch: TokenBatch, base: [Float]) {
    arrays = [:]
    var layouts: [String: ParameterLayout] = [:]
    for array in step.trained {
      arrays[array.name] = array.values.values.map { Double($0) }
      layouts[array.name] = array.layout
    }
    (self.layouts, self.model, self.batch, options) = (layouts, model, batch, step.options)
    self.base = base.map { Double($0) }
    for (name, array) in step.kept {
      if name == "follower" { targets = rows(all, array.values.map { Double($0) }) }
      guard name == "queue" else { continue }
      let width = model.dimension
      for row in 0..<Int(array.values[array.count - 2]) {
        queue.append(array.values[row * width..<(row + 1) * width].map { Double($0) })
      }
    }
    if options.objective == .simsiam { targets = rows(all, values) }
  }

  private var all: [TokenSequence] { batch.queries + batch.positives + batch.negatives.flatMap { $0 } }

  /// The model's values with adapters.
  private var values: [Double] {
    guard let adapters = arrays["adapters"], let layout = layouts["adapters"] else { return arrays["model"] ?? [] }
    var sums = base
    let rank = options.adapterRank ?? 1
    let scale = Double(options.adapterAlpha ?? Float(2 * rank)) / Double(rank)
    for (a, b) in zip(
      layout.entries.filter { $0.name.contains("_A") }, layout.entries.filter { $0.name.contains("_B") })
    {
      guard let matrix = model.layout[a.name.replacing(".lora_A", with: "")] else { continue }
      let (outputs, inputs) = (matrix.shape[0], matrix.shape[1])
      for output in 0..<outputs {
        for input in 0..<inputs {
          for r in 0..<rank {
            sums[matrix.start + output * inputs + input] +=
              scale * adapters[b.start + output * rank + r] * adapters[a.start + r * inputs + input]
          }
        }
      }
    }
    return sums
  }

  private func rows(_ texts: [TokenSequence], _ values: [Double]) -> [[Double]] {
    let width = model.layout.entries[0].shape[1]
    return texts.map { text in
      let mean = (0..<width).map { column in
        text.ids.reduce(0) { $0 + values[Int($1) * width + column] } / Double(text.count)
      }
      guard let weight = model.layout["layer.0.weight"], let bias = model.layout["layer.0.bias"] else { return mean }
      return dense(mean, values, weight, bias)
    }
  }

  private func dense(
    _ x: [Double], _ values: [Double], _ weight: ParameterLayout.Entry, _ bias: ParameterLayout.Entry
  ) -> [Double] {
    (0..<weight.shape[0]).map { output in
      x.indices.reduce(values[bias.start + output]) { $0 + values[weight.start + output * x.count + $1] * x[$1] }
    }
  }

  private func predicted(_ x: [Double]) -> [Double] {
    guard let values = arrays["predictor"], let entries = layouts["predictor"]?.entries else { return x }
    let z = dense(x, values, entries[0], entries[1])
    let mean = z.reduce(0, +) / Double(z.count)
    let variance = z.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(z.count)
    let hidden = z.indices.map {
      max(
        0,
        (z[$0] - mean) / (variance + 1e-5).squareRoot() * values[entries[2].start + $0] + values[entries[3].start + $0])
    }
    return dense(hidden, values, entries[4], entries[5])
  }

  private func cosine(_ a: [Double], _ b: [Double]) -> Double {
    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
  }

  private func logSumExp(_ z: [Double]) -> Double { log(z.reduce(0) { $0 + exp($1) }) }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  func loss() -> Double {
    let vectors = rows(all, values)
    let n = batch.queries.count
    let queries = Array(vectors[..<n])
    let keys = Array((options.objective == .moco ? targets : vectors)[n..<2 * n])
    let negatives = Array((options.objective == .moco ? targets : vectors)[(2 * n)...])
    let temperature = arrays["loss"].map { exp($0[0]) } ?? Double(options.temperature)
    func z(_ a: [Double], _ b: [Double]) -> Double { cosine(a, b) / temperature }
    switch options.objective {
    case .infonce:
      return mean((0..<n).map { i in logSumExp((keys + negatives).map { z(queries[i], $0) }) - z(queries[i], keys[i]) })
    case .dcl:
      return mean(
        (0..<n).map { i in
          let others = keys.indices.filter { $0 != i }.map { keys[$0] } + negatives
          return logSumExp(others.map { z(queries[i], $0) }) - z(queries[i], keys[i])
        })
    case .moco:
      return mean(
        (0..<n).map { i in
          logSumExp(([keys[i]] + negatives + queue).map { z(queries[i], $0) }) - z(queries[i], keys[i])
        })
    case .symmetric:
      return mean(
        (0..<n).map { i in
          let forward = logSumExp(keys.map { z(queries[i], $0) })
          return (forward + logSumExp(queries.map { z($0, keys[i]) })) / 2 - z(queries[i], keys[i])
        })
    case .ntXent:
      let both = queries + keys
      return mean(
        both.indices.map { i in
          let others = both.indices.filter { $0 != i }.map { z(both[i], both[$0]) }
          return logSumExp(others) - z(both[i], both[(i + n) % (2 * n)])
        })
    case .supcon:
      let both = queries + keys
      let labels = (batch.labels ?? []) + (batch.labels ?? [])
      return mean(
        both.indices.map { i in
          let others = both.indices.filter { $0 != i }
          let partners = others.filter { labels[$0] == labels[i] }.map { z(both[i], both[$0]) }
          return logSumExp(others.map { z(both[i], both[$0]) }) - mean(partners)
        })
    case .sigmoid:
      let bias = arrays["loss"].map { $0[16] } ?? Double(options.bias)
      return mean(
        (0..<n).map { i in
          (0..<n).reduce(0) { sum, j in
            let x = z(queries[i], keys[j]) + bias
            return sum + log(1 + exp(i == j ? -x : x))
          }
        })
    case .simsiam, .byol:
      let similarities = vectors.indices.map { cosine(predicted(vectors[$0]), targets[($0 + n) % (2 * n)]) }
      return options.objective == .byol ? 2 - 2 * mean(similarities) : -mean(similarities)
    }
  }

  /// The derivatives of the loss by the values of an array, by central differences; 0 in the gaps between tensors.
  func slopes(_ name: String) -> [Double] {
    guard let layout = layouts[name], let values = arrays[name] else { return [] }
    var slopes = [Double](repeating: 0, count: values.count)
    var moved = self
    let step = 1e-5
    for place in layout.entries.flatMap({ Array($0.range) }) {
      moved.arrays[name]?[place] = values[place] + step
      let above = moved.loss()
      moved.arrays[name]?[place] = values[place] - step
      slopes[place] = (above - moved.loss()) / (2 * step)
      moved.arrays[name]?[place] = values[place]
    }
    return slopes
  }
}
