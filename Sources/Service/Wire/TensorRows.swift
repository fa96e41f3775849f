import Safetensors
import SimilarityCore

extension Limits {
  /// A tensor [n, d] of F32, F16 or BF16 as rows.
  ///
  /// - Throws: ``Problem`` naming `field`, and the row that is not finite.
  func matrix(_ tensor: TensorView, field: String) throws -> Matrix {
    guard tensor.shape.count == 2 else { throw Problem.invalid(field, "has \(tensor.shape.count) axes, not 2") }
    guard [.f32, .f16, .bf16].contains(tensor.dtype) else {
      throw Problem.invalid(field, "is \(tensor.dtype.rawValue), not F32, F16 or BF16")
    }
    try check(count: tensor.shape[0], field: field)
    let values = try tensor.floats()
    if !values.isFinite, let broken = values.firstIndex(where: { !$0.isFinite }) {
      throw Problem.invalid("\(field)[\(broken / max(1, tensor.shape[1]))]", "is not finite in f32")
    }
    return try matrix(values, shape: tensor.shape, rows: tensor.shape[0], field: field)
  }
}
