/// Values by key, in the order of the keys: a B+ tree of arrays. A copy costs nothing; a change to a copy that is still
/// shared copies only the nodes on the way to the key.
struct SortedTree<Key: Comparable & Sendable, Value: Sendable>: Sendable {
  typealias Entry = TreeNode<Key, Value>.Entry
  private var root = TreeNode<Key, Value>()

  /// The value of a key that is there.
  subscript(key: Key) -> Value? {
    let leaf = root.leaf(for: key)
    let at = leaf.firstPosition { $0.key >= key }
    return at < leaf.count && leaf[at].key == key ? leaf[at].value : nil
  }

  /// Lets `body` change the value of `key` in place, or `fresh` when the key is not there; without `fresh` it is then not
  /// called. The key stays, or is put in, if `body` returns true.
  mutating func update(_ key: Key, orInsert fresh: @autoclosure () -> Value?, _ body: (inout Value) -> Bool) {
    if let right = root.update(key, fresh, body) {
      let left = root
      root = TreeNode()
      root.children = [TreeNode.Child(first: left.firstKey ?? right.first, node: left), right]
    } else if root.children.count == 1 {
      let only = root.children[0].node
      root = only
    }
  }

  /// Calls `body` with the entries that stand in `order` to `operand`, run by run, ascending.
  func forEachRun(_ order: FilterOrder, _ operand: Key, _ body: (ArraySlice<Entry>) -> Void) {
    root.forEachRun(order, operand, body)
  }
}

extension TreeNode {
  /// The entries of the leaf where `key` is, if anywhere.
  func leaf(for key: Key) -> [Entry] {
    children.isEmpty ? entries : children[childIndex(for: key)].node.leaf(for: key)
  }

  var firstKey: Key? { children.first?.first ?? entries.first?.key }

  func forEachRun(_ order: FilterOrder, _ operand: Key, _ body: (ArraySlice<Entry>) -> Void) {
    guard children.isEmpty else {
      // Only the child that may hold the operand is cut; equal keys are in one child, for a key is there once.
      let middle = childIndex(for: operand)
      switch order {
      case .below, .atMost:
        for index in 0...middle { children[index].node.forEachRun(order, operand, body) }
      case .above, .atLeast:
        for index in middle..<children.count { children[index].node.forEachRun(order, operand, body) }
      }
      return
    }
    let run =
      switch order {
      case .below: entries[..<entries.firstPosition { $0.key >= operand }]
      case .atMost: entries[..<entries.firstPosition { $0.key > operand }]
      case .above: entries[entries.firstPosition { $0.key > operand }...]
      case .atLeast: entries[entries.firstPosition { $0.key >= operand }...]
      }
    if !run.isEmpty { body(run) }
  }
}
