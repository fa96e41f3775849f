import Encoder
import Safetensors

/// A tensor that is written to a safetensors file from where it is, without being copied before.
package struct OutputTensor {
  private enum Content {
    case values(FloatArray, start: Int)
    case view(TensorView)
  }

  package let name: String
  let dtype: DType
  let shape: [Int]
  let bytes: Int
  private let content: Content

  /// Values of an array from `start` on, as many as the shape says.
  package init(_ name: String, _ shape: [Int], _ array: FloatArray, from start: Int = 0) {
    let count = shape.reduce(1, *)
    precondition(start >= 0 && start + count <= array.count, "\(name) lies outside of its array")
    (self.name, self.shape, dtype, bytes) = (name, shape, .f32, 4 * count)
    content = .values(array, start: start)
  }

  /// A tensor of another file. Half-precision values are widened to f32, which is exact.
  package init(_ view: TensorView) {
    (name, shape) = (view.name, view.shape)
    let isHalf = view.dtype == .f16 || view.dtype == .bf16
    (dtype, bytes) = (isHalf ? .f32 : view.dtype, isHalf ? 2 * view.bytes.count : view.bytes.count)
    content = .view(view)
  }

  fileprivate func write(to output: inout FileOutput) throws(CheckpointError) {
    switch content {
    case .values(let array, let start):
      // SAFETY: the range was checked when the tensor was made.
      try output.write(UnsafeRawBufferPointer(start: array.start + start, count: bytes))
    case .view(let view):
      guard dtype != view.dtype else { return try output.write(view.bytes) }
      let values: [Float]
      do throws(SafetensorsError) {
        values = try view.floats()
      } catch {
        throw CheckpointError("", error.message)
      }
      try output.write(values)
    }
  }
}

extension FileOperations {
  /// Writes tensors as a safetensors file. Those with larger elements come first, so that each is aligned, and then they come by
  /// their names: the same content gives the same bytes.
  ///
  /// - Returns: the SHA-256 of the file.
  @discardableResult func write(
    _ path: String, _ tensors: [OutputTensor], metadata: [String: String]
  ) throws(CheckpointError) -> [UInt8] {
    let ordered = tensors.sorted { ($1.dtype.size, $0.name) < ($0.dtype.size, $1.name) }
    for (one, other) in zip(ordered, ordered.dropFirst()) where one.name == other.name {
      throw CheckpointError(path, "cannot have two tensors \(one.name)")
    }
    let head = SafetensorsHead.bytes(
      of: ordered.map { (name: $0.name, dtype: $0.dtype, shape: $0.shape, count: $0.bytes) }, metadata: metadata)
    return try write(path) { output throws(CheckpointError) in
      try output.write(head)
      for tensor in ordered { try tensor.write(to: &output) }
    }
  }
}
