/// What an API key may do.
enum Right: String, CaseIterable, Sendable {
  /// Embedding, scoring, searching, listing and exporting.
  case read
  /// Changing collections, their points and queues.
  case write
  /// Reading `/metrics`.
  case admin
}

/// The rights of an API key.
struct Rights: Equatable, Sendable {
  private var bits: UInt8 = 0

  static let all = Rights(Right.allCases)

  init(_ rights: [Right]) {
    for right in rights { bits |= Self.bit(right) }
  }

  func contains(_ right: Right) -> Bool { bits & Self.bit(right) != 0 }

  /// A number for each set of rights.
  var number: UInt8 { bits }

  private static func bit(_ right: Right) -> UInt8 {
    switch right {
    case .read: 1
    case .write: 2
    case .admin: 4
    }
  }
}

/// What a caller needs for an action, where the service has keys.
enum Requirement: Equatable, Sendable {
  /// Nothing: probes, and pages that hold no data.
  case nothing
  /// A key, whatever its rights.
  case key
  case right(Right)
}
