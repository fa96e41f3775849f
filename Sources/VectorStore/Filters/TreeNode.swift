/// A node of a ``SortedTree``: a leaf with entries, or a branch with children; all leaves are equally deep.
struct TreeNode<Key: Comparable & Sendable, Value: Sendable>: Sendable {
  struct Entry: Sendable {
    let key: Key
    var value: Value
  }

  struct Child: Sendable {
    /// No key of the node comes before it.
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

  /// The child where `key` is, if anywhere; for a branch only.
  func childIndex(for key: Key) -> Int {
    max(0, children.firstPosition { $0.first > key } - 1)
  }

  /// ``SortedTree/update(_:orInsert:_:)`` below this node.
  /// - Returns: a new node to the right of this one, when this one had grown too large.
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

  /// Takes away a child that is empty, or joins it to the next when both are small.
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

  /// Halves a list; one that grows at its end keeps all but the newest, so that ascending keys leave nodes full.
  private static func split<Element>(_ list: inout [Element], newest: Int) -> [Element] {
    let cut = newest == list.count - 1 ? newest : list.count / 2
    let right = Array(list[cut...])
    list.removeSubrange(cut...)
    return right
  }
}
