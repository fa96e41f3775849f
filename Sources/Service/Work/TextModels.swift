/// The encoders of the service, at least one. A request names one by `model`; the first is used where it names none.
struct TextModels: Sendable {
  let all: [TextEncoder]

  var first: TextEncoder { all[0] }

  /// - Precondition: there is one, and no two have the same name.
  init(_ all: [TextEncoder]) {
    precondition(!all.isEmpty && Set(all.map(\.name)).count == all.count, "models need names of their own")
    self.all = all
  }

  /// The model of a name. Where there is only one, any name means it, because clients send names of their own.
  ///
  /// - Throws: 404 for a name that no model has.
  func named(_ name: String?, field: String = "model") throws(Problem) -> TextEncoder {
    guard let name, all.count > 1 else { return first }
    guard let model = all.first(where: { $0.name == name }) else {
      var problem = Problem(
        404, "there is no model '\(name)'; there are: \(all.map(\.name).joined(separator: ", "))", param: field)
      problem.code = "model_not_found"
      throw problem
    }
    return model
  }

  /// Reads `model`.
  func chosen(_ fields: inout Fields) throws(Problem) -> TextEncoder {
    try named(try fields.string("model"), field: fields.name("model"))
  }

  /// Texts that wait for a batch, in each lane.
  var waiting: [(lane: String, texts: Int)] {
    first.waiting.map { each in
      (each.lane, all.reduce(0) { $0 + ($1.waiting.first { $0.lane == each.lane }?.texts ?? 0) })
    }
  }
}
