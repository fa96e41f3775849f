/// An array whose copies share blocks: writing to one copy copies the block it writes to, not the whole.
struct BlockArray<Element: Sendable>: Sendable {
  private static var elementsPerBlock: Int { 1024 }

  private(set) var count = 0
  private var blocks: [[Element]] = []

  mutating func append(_ element: Element) {
    if count % Self.elementsPerBlock == 0 { blocks.append([]) }
    blocks[blocks.count - 1].append(element)
    count += 1
  }

  /// `position` must be one of 0 ..< count.
  subscript(position: Int) -> Element {
    get { blocks[position / Self.elementsPerBlock][position % Self.elementsPerBlock] }
    set { blocks[position / Self.elementsPerBlock][position % Self.elementsPerBlock] = newValue }
  }

  /// Removes the element at `position` by moving the last one into its place.
  mutating func swapRemove(at position: Int) {
    guard position >= 0, position < count else { return }
    if position != count - 1 { self[position] = self[count - 1] }
    blocks[blocks.count - 1].removeLast()
    if blocks[blocks.count - 1].isEmpty { blocks.removeLast() }
    count -= 1
  }
}
