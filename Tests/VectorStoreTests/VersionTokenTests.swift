import Testing
import VectorStore

/// Tokens of versions, as clients carry them.
@Suite struct VersionTokenTests {
  @Test(arguments: [
    ("c:1:2", "c", 1, 2), ("queues/q:0:0", "queues/q", 0, 0), ("a b:7:007", "a b", 7, 7),
    ("猫:9223372036854775807:9223372036854775807", "猫", Int64.max, Int.max),
  ]) func areReadAsTheyAreWritten(text: String, name: String, epoch: Int64, version: Int) throws {
    let token = try #require(VersionToken(text))
    #expect(token.name == name && token.epoch == epoch && token.version == version)
    #expect(token == VersionToken(name: name, epoch: epoch, version: version))
    #expect(VersionToken("\(token)") == token)
  }

  @Test(arguments: [
    "", ":", "::", "c", "c:1", "c:1:", "c::1", ":1:1", "c:1:1:1", "c:-1:1", "c:1:-1", "c:+1:1", "c:1:+1", "c:1.0:1",
    "c:1:0x1",
    "c:1:9223372036854775808", "c:9223372036854775808:1", "c:99999999999999999999:1", "c:1:1 ", "c: 1:1", "c:1:１",
    "c:1:1\0",
    "c:1:1e3",
  ]) func othersAreNone(text: String) { #expect(VersionToken(text) == nil) }
}
