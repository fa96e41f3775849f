import Testing
import VectorIndex

@Suite("Sets of slots")
struct SlotSetTests {
  @Test("A set of slots contains what was inserted, and combines like other sets")
  func algebra() {
    var set = SlotSet(below: 70)
    #expect(set.count == 70)
    set.remove(3)
    set.insert(200)
    #expect(set.all == Array(0..<3) + Array(4..<70) + [200])
    var other = SlotSet()
    for slot in [3, 4, 200, 300] { other.insert(slot) }
    var common = set
    common.formIntersection(other)
    #expect(common.count == 2 && common.contains(4) && common.contains(200))
    set.subtract(other)
    #expect(set.count == 68 && !set.contains(200))
    set.formUnion(other)
    #expect(set.count == 72 && set.contains(300))
  }
}
