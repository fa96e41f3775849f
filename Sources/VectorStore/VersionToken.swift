/// How far someone has seen a collection: what a write is answered with, and what a later read may ask for.
public struct VersionToken: Sendable, Equatable, CustomStringConvertible {
  public let name: String
  /// Tells collections of one name apart that were made one after another.
  public let epoch: Int64
  public let version: Int

  public init(name: String, epoch: Int64, version: Int) {
    self.name = name
    self.epoch = epoch
    self.version = version
  }

  /// Reads `NAME:EPOCH:VERSION`, as ``description`` writes it.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, !parts[0].isEmpty, let epoch = Self.number(parts[1]), let version = Self.number(parts[2])
    else { return nil }
    self.init(name: String(parts[0]), epoch: Int64(epoch), version: version)
  }

  public var description: String { "\(name):\(epoch):\(version)" }

  /// Digits only, and no more than fit.
  private static func number(_ text: some StringProtocol) -> Int? {
    guard (1...19).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }

  /// Whether a reader at `self` may be answered from what is here.
  enum Standing: Equatable {
    case reached
    case behind
    /// The token is of an earlier collection of the name.
    case remade
  }

  /// - Parameter here: what this process has under the name; nil for nothing.
  func standing(_ here: VersionToken?) -> Standing {
    guard let here else { return .behind }
    if here.epoch > epoch { return .remade }
    return here.epoch == epoch && here.version >= version ? .reached : .behind
  }
}

extension VectorCollection {
  /// What whoever sees this version has seen.
  public func token(_ version: Int) -> VersionToken { VersionToken(name: name, epoch: epoch, version: version) }
}
