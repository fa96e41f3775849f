/// The tensors of a model that can be trained. Their values stand one after another in one array of f32, so that gradients,
/// an optimiser's moments and copies of the model are arrays of the same layout.
package struct ParameterLayout: Sendable {
  /// What a tensor is, which decides whether weights decay.
  package enum Role: Sendable {
    /// The weights of a dense layer, [outputs, inputs].
    case matrix
    /// A table with a row for each token, position or type.
    case table
    /// The gain or the bias of a norm.
    case norm
    /// The bias of a dense layer.
    case bias
  }

  package struct Entry: Sendable {
    /// As the checkpoint names the tensor.
    package let name: String
    /// Where its `model.safetensors` is within the model's folder: empty, or a module such as `2_Dense`.
    package let folder: String
    package let shape: [Int]
    package let role: Role
    /// 0 for what stands before the first layer, n for layer n − 1, and one more for what stands behind the last one.
    package let depth: Int
    /// The place of the first value.
    package let start: Int
    package let count: Int

    package var range: Range<Int> { start..<start + count }
  }

  package private(set) var entries: [Entry] = []
  /// The values of all tensors, with the gaps between them.
  package private(set) var count = 0

  /// Tensors begin at whole cache lines.
  private static let alignment = 16

  package init() {}

  /// Adds a tensor behind the others.
  ///
  /// - Returns: the place of its first value.
  @discardableResult package mutating func add(
    _ name: String, folder: String = "", _ shape: [Int], _ role: Role, depth: Int = 0
  ) -> Int {
    let start = count
    let size = shape.reduce(1, *)
    entries.append(
      Entry(name: name, folder: folder, shape: shape, role: role, depth: depth, start: start, count: size))
    count += (size + Self.alignment - 1) / Self.alignment * Self.alignment
    return start
  }

  /// The largest depth of a tensor.
  package var depth: Int { entries.reduce(0) { max($0, $1.depth) } }

  package subscript(name: String) -> Entry? { entries.first { $0.name == name } }
}
