/// Values by key, in the order of the keys: a B+ tree whose nodes are arrays. Copying takes constant time; a change to a
/// copy that still shares memory copies only the nodes on the way to the key.
struct SortedTree<Key: Comparable & Sendable, Value: Sendable>: Sendable {
  typealias Entry = TreeNode<Key, Value>.Entry
  private var root = TreeNode<Key, Value>()

  /// The value of `key`, or nil.
  subscript(key: Key) -> Value? {
    let leaf = root.leaf(for: key)
    let at = leaf.firstPosition { $0.key >= key }
    return at < leaf.count && leaf[at].key == key ? leaf[at].value : nil
  }

  /// Lets `body` change the value of `key` in place. For a key that is not in the tree `body` is given `fresh`; it is not
  /// called when `fresh` is nil. The key is in the tree afterwards if `body` returns true.
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

  /// Calls `body` with the entries whose keys stand in `order` to `operand`, ascending, one leaf's entries at a time.
  func forEachRun(_ order: FilterOrder, _ operand: Key, _ body: (ArraySlice<Entry>) -> Void) {
    root.forEachRun(order, operand, body)
  }
}

extension TreeNode {
  /// The entries of the only leaf that may hold `key`.
  func leaf(for key: Key) -> [Entry] {
    children.isEmpty ? entries : children[childIndex(for: key)].node.leaf(for: key)
  }

  var firstKey: Key? { children.first?.first ?? entries.first?.key }

  func forEachRun(_ order: FilterOrder, _ operand: Key, _ body: (ArraySlice<Entry>) -> Void) {
    guard children.isEmpty else {
      // Only the child that may hold the operand can be partly inside the range; the others are inside or outside as a whole.
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

/// A node of a ``SortedTree``: a leaf with entries, or a branch with children. All leaves have the same depth.
struct TreeNode<Key: Comparable & Sendable, Value: Sendable>: Sendable {
  struct Entry: Sendable {
    let key: Key
    var value: Value
  }

  struct Child: Sendable {
    /// A lower bound of the node's keys.
    var first: Key
    var node: TreeNode
  }

  /// In the order of the keys; empty in a branch.
  var entries: [Entry] = []
  /// In the order of the keys; empty in a leaf.
  var children: [Child] = []

  static var entryLimit: Int { 256 }
  static var childLimit: Int { 64 }

  var isEmpty: Bool { entries.isEmpty && children.isEmpty }

  /// The only child of a branch that may hold `key`.
  func childIndex(for key: Key) -> Int {
    max(0, children.firstPosition { $0.first > key } - 1)
  }

  /// ``SortedTree/update(_:orInsert:_:)`` below this node.
  /// - Returns: the upper part of this node, split off because it had grown too large; else nil.
  mutating func update(_ key: Key, _ fresh: () -> Value?, _ body: (inout Value) -> Bool) -> Child? {
    guard children.isEmpty else { return updateChild(key, fresh, body) }
    let at = entries.firstPosition { $0.key >= key }
    if at < entries.count, entries[at].key == key {
      if !body(&entries[at].value) { entries.remove(at: at) }
      return nil
    }
    guard var value = fresh(), body(&value) else { return nil }
    entries.insert(Entry(key: key, value: value), at: at)
    guard entries.count > Self.entryLimit else { return nil }
    let right = Self.split(&entries, newest: at)
    return Child(first: right[0].key, node: TreeNode(entries: right))
  }

  private mutating func updateChild(_ key: Key, _ fresh: () -> Value?, _ body: (inout Value) -> Bool) -> Child? {
    let index = childIndex(for: key)
    let split = children[index].node.update(key, fresh, body)
    if key < children[index].first { children[index].first = key }
    guard let split else {
      shrink(at: index)
      return nil
    }
    children.insert(split, at: index + 1)
    guard children.count > Self.childLimit else { return nil }
    let right = Self.split(&children, newest: index + 1)
    return Child(first: right[0].first, node: TreeNode(children: right))
  }

  /// Removes a child that is empty, or joins it with its neighbour when both are small.
  private mutating func shrink(at index: Int) {
    if children[index].node.isEmpty {
      children.remove(at: index)
      return
    }
    let left = index + 1 < children.count ? index : index - 1
    guard left >= 0 else { return }
    let entryCount = children[left].node.entries.count + children[left + 1].node.entries.count
    let childCount = children[left].node.children.count + children[left + 1].node.children.count
    guard entryCount <= Self.entryLimit / 2, childCount <= Self.childLimit / 2 else { return }
    let right = children.remove(at: left + 1).node
    children[left].node.entries.append(contentsOf: right.entries)
    children[left].node.children.append(contentsOf: right.children)
  }

  /// Splits a list in halves. A list that grew at its end keeps all but the newest element instead, so that keys inserted
  /// in ascending order leave nodes full.
  private static func split<Element>(_ list: inout [Element], newest: Int) -> [Element] {
    let cut = newest == list.count - 1 ? newest : list.count / 2
    let right = Array(list[cut...])
    list.removeSubrange(cut...)
    return right
  }
}
