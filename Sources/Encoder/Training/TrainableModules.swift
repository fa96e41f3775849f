import SimilarityCore

/// The modules behind the pooling: dense layers and, between them, normalisation. They work on one row for each text,
/// which is little beside the transformer.
struct TrainableModules: Sendable {
  enum Module: Sendable {
    case dense(TrainableDense, DenseModule.Activation)
    case normalize
  }

  let modules: [Module]

  /// The rows behind all modules, and what each module took and gave before its activation.
  func forward(_ pooled: Matrix, _ context: PassContext) -> (rows: Matrix, kept: [(input: Matrix, sums: Matrix)]) {
    var rows = pooled
    var kept: [(input: Matrix, sums: Matrix)] = []
    for module in modules {
      let input = rows
      switch module {
      case .normalize:
        rows = VectorModule.normalize.applied(to: input)
        kept.append((input, rows))
      case .dense(let layer, let activation):
        let sums = Matrix(rows: input.rows, columns: layer.outputs) { out in
          guard let y = out.baseAddress, input.rows > 0 else { return }
          input.withBaseAddress { layer.forward($0, rows: input.rows, context, into: y) }
        }
        rows = activation.applied(to: sums, context.kernels)
        kept.append((input, sums))
      }
    }
    return (rows, kept)
  }

  /// The derivatives by the pooled rows. Those by the parameters are added to `gradients`.
  func backward(
    _ rows: Matrix, _ kept: [(input: Matrix, sums: Matrix)], _ context: PassContext,
    into gradients: UnsafeMutablePointer<Float>
  ) -> Matrix {
    var dy = rows
    for (module, (input, sums)) in zip(modules, kept).reversed() {
      switch module {
      case .normalize: dy = Self.normalizeBackward(dy, input)
      case .dense(let layer, let activation):
        let inner = activation.backward(dy, sums, context.kernels)
        dy = Matrix(rows: input.rows, columns: layer.inputs) { out in
          guard let dx = out.baseAddress, input.rows > 0 else { return }
          inner.withBaseAddress { inner in
            layer.addInputGradient(inner, rows: input.rows, context, to: dx)
            input.withBaseAddress { x in
              for piece in 0..<layer.pieces {
                layer.addWeightGradient(inner, x, rows: input.rows, piece: piece, context, to: gradients)
              }
            }
          }
        }
      }
    }
    return dy
  }

  /// dx = (dy − y·(y·dy))/‖x‖ with y = x/‖x‖; a row of zeros stays as it is on the way there.
  private static func normalizeBackward(_ dy: Matrix, _ x: Matrix) -> Matrix {
    Matrix(rows: x.rows, columns: x.columns) { out in
      for row in 0..<x.rows {
        let (values, slopes) = (x.row(row), dy.row(row))
        let square = values.reduce(0.0) { $0 + Double($1) * Double($1) }
        let product = zip(values, slopes).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        for (column, (value, slope)) in zip(values, slopes).enumerated() {
          out[row * x.columns + column] =
            square > 0 ? Float((Double(slope) - Double(value) * product / square) / square.squareRoot()) : slope
        }
      }
    }
  }
}

extension DenseModule.Activation {
  fileprivate func applied(to sums: Matrix, _ kernels: Kernels) -> Matrix {
    Matrix(rows: sums.rows, columns: sums.columns) { out in
      if let kernel {
        guard let target = out.baseAddress, !sums.values.isEmpty else { return }
        return sums.withBaseAddress { kernels.activateForward($0, count: out.count, kernel, into: target) }
      }
      for (index, value) in sums.values.enumerated() { out[index] = self.value(value) }
    }
  }

  fileprivate func backward(_ dy: Matrix, _ sums: Matrix, _ kernels: Kernels) -> Matrix {
    Matrix(rows: sums.rows, columns: sums.columns) { out in
      if let kernel {
        guard let target = out.baseAddress, !sums.values.isEmpty else { return }
        return dy.withBaseAddress { slopes in
          sums.withBaseAddress { kernels.activateBackward(slopes, $0, count: out.count, kernel, into: target) }
        }
      }
      for (index, sum) in sums.values.enumerated() {
        let y = value(sum)
        out[index] = dy.values[index] * (self == .tanh ? 1 - y * y : y * (1 - y))
      }
    }
  }
}
