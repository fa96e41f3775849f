import Foundation
import PostgresRecords
import Synchronization
import Testing

/// A PostgreSQL server for the tests of this process, in a temporary folder, and a database of its own for each test.
package final class TestDatabase: Sendable {
  /// The address of the database.
  package let url: String
  private let name: String

  private static let numbers = Atomic(0)
  private static let server = Result { try Server() }

  package init() throws {
    let server = try Self.server.get()
    name = "test\(Self.numbers.add(1, ordering: .relaxed).newValue)"
    url = server.url(of: name)
    try server.run("CREATE DATABASE \(name)", in: "postgres")
  }

  deinit { _ = try? Self.server.get().run("DROP DATABASE \(name) WITH (FORCE)", in: "postgres") }

  /// Runs SQL as another program would.
  ///
  /// - Returns: the values of the answer, a line for each row and `|` between columns.
  @discardableResult package func run(_ sql: String) throws -> String { try Self.server.get().run(sql, in: name) }

  /// Begins a transaction with a statement, and keeps it open.
  package func holding(_ sql: String) throws -> OpenTransaction { try OpenTransaction(sql, url) }

  /// Ends every connection to the database, as a failure of the network or of the server would.
  package func cutConnections() throws {
    try Self.server.get().run(
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '\(name)'", in: "postgres")
  }
}

/// A transaction of another program, which ends when it is told to.
package final class OpenTransaction {
  private let process = Process()
  private let input = Pipe()

  fileprivate init(_ sql: String, _ url: String) throws {
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/psql")
    process.arguments = ["-XAtqv", "ON_ERROR_STOP=1", url]
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data("BEGIN;\n\(sql);\n\\echo held\n".utf8))
    var read = ""
    while !read.contains("held") {
      let bytes = output.fileHandleForReading.availableData
      try #require(!bytes.isEmpty, "psql ended")
      read += String(decoding: bytes, as: UTF8.self)
    }
  }

  /// Rolls it back.
  package func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }
}

/// The server, which ends with the process.
private final class Server: Sendable {
  private let folder: String
  private static let running = Mutex<String?>(nil)

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("nearfar-\(UUID().uuidString)").path
    _ = try Self.output(of: [Self.script, "start", folder])
    Self.running.withLock { $0 = folder }
    atexit { Server.stop() }
  }

  func url(of database: String) -> String { "postgresql://nearfar@/\(database)?host=\(folder)" }

  @discardableResult func run(_ sql: String, in database: String) throws -> String {
    try Self.output(of: ["/usr/bin/psql", "-XAtqv", "ON_ERROR_STOP=1", "-c", sql, url(of: database)])
  }

  private static var script: String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("scripts/test-database.sh").path
  }

  private static func stop() {
    guard let folder = running.withLock({ $0 }) else { return }
    _ = try? output(of: [script, "stop", folder])
    try? FileManager.default.removeItem(atPath: folder)
  }

  private static func output(of command: [String]) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.standardOutput = pipe
    try process.run()
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(command) failed")
    return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
  }
}
