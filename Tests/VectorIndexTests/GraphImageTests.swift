import TestSupport
import Testing
import VectorIndex

@Suite("Images of the graph")
struct GraphImageTests {
  private func empty() -> VectorIndex {
    var options = IndexOptions()
    options.graphThreshold = 200
    return VectorIndex(dimension: 16, metric: .cosine, options: options)
  }

  @Test func wrongImagesAreRefused() throws {
    var random = Seeded(12)
    let rows = random.floats(600 * 16)
    let built = empty()
    let slots = try built.apply(removing: [], adding: rows)
    let image = try #require(built.image())
    let index = empty()
    #expect(try index.apply(removing: [], adding: rows, buildsGraph: false) == slots)
    #expect(index.image() == nil)
    func refuses(_ change: (inout GraphImage) -> Void) throws {
      var wrong = image
      change(&wrong)
      #expect(try !index.adopt(wrong, at: slots))
      #expect(index.snapshot.graph == nil)
    }
    try refuses { $0.lists[0] = Int32($0.width + 1) }
    try refuses { $0.lists[0] = -1 }
    try refuses { $0.lists[1] = 600 }
    try refuses { $0.lists[1] = .min }
    try refuses { $0.lists[1] = 0 }
    try refuses { $0.lists[1] = $0.lists[2] }
    try refuses { $0.lists.removeLast() }
    try refuses { $0.width = .max }
    try refuses { $0.width = 0 }
    try refuses { $0.entries = [] }
    try refuses { $0.entries = [600] }
    try refuses { $0.entries = [3, 3] }
    try refuses { $0.ef = 0 }
    try refuses { $0.sampledRecall = .nan }
    #expect(try !index.adopt(image, at: [0] + slots.dropLast()))
    #expect(try !index.adopt(image, at: slots.dropLast() + [600]))
    #expect(try !index.adopt(image, at: slots.map { $0 < 200 ? -1 : $0 }))
    #expect(try index.adopt(image, at: slots))
    #expect(index.validate() == built.validate())
    #expect(try !index.adopt(image, at: slots))
  }
}
